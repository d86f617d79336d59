"""Requests take turns in one thread; what has gathered is written to the log together, before any of it is answered."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

from boathouse.errors import TooManyRequests

Q = TypeVar("Q")
A = TypeVar("A")
_TOGETHER = 0.001
"""Seconds after which what was worked out is written and answered, while others wait for their turn."""
_MOST = 256
_LATEST = 0.1
"""How much the latest question counts in how long one takes."""
_LONGEST_WAIT = 60
_log = logging.getLogger(__name__)


class _Asked(Generic[Q, A]):
    """A question that waits for its turn, until its caller is gone."""

    __slots__ = ("answer", "question")

    def __init__(self, question: Q, answer: "asyncio.Future[A]") -> None:
        self.question: Q | None = question
        self.answer = answer

    def taken(self) -> Q | None:
        """The question, unless nobody waits for its answer any more."""
        question = self.question  # read first: it is forgotten after its answer is done
        return None if self.answer.done() else question


class Turns(Generic[Q, A]):
    """For the callers of one loop at a time: `work` gives for a question its answer and its line for the log.

    `write` keeps lines, and returns when they are kept. One that comes alone is answered at once: nothing waits for company.
    """

    def __init__(self, work: Callable[[Q], tuple[A, bytes]], write: Callable[[Sequence[bytes]], None],
                 sync: Callable[[], None] | None = None, together: float = _TOGETHER, most: int = _MOST) -> None:  # fmt: skip
        """What is worked out within `together` seconds is written at once; `most` questions are asked at a time.

        With `sync` nothing is answered before it has returned since its line was written: once for all that gathered.
        """
        self._work, self._write, self._sync, self._together = work, write, sync, together
        self._most, self._open, self._seconds = most, 0, 0.0
        self._waiting: SimpleQueue[_Asked[Q, A]] = SimpleQueue()
        self._written: SimpleQueue[list[tuple[asyncio.Future[A], A]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def ask(self, question: Q) -> A:
        """The answer, once its line is kept. A caller that is canceled while it waits is passed over, and leaves no line.

        Raises what `write` raises, and TooManyRequests where too many wait already, saying when their turns are over.
        """
        if self._open >= self._most:
            raise self._full()
        self._begin()
        asked = _Asked[Q, A](question, asyncio.get_running_loop().create_future())
        self._waiting.put(asked)
        self._open += 1
        try:
            return await asked.answer
        finally:
            self._open -= 1
            asked.question = None  # it may be large, and its turn far away

    def _full(self) -> TooManyRequests:
        seconds = min(_LONGEST_WAIT, max(1, math.ceil(self._open * self._seconds)))
        return TooManyRequests(
            f"{self._open} requests wait for this version, and more may not: try again in {seconds} s, ask for several rows in "
            "one request, or let more wait by the setting endpoint_queue", retry_after=seconds,
        )  # fmt: skip

    async def at_once(self, question: Q) -> A:
        """The same without a turn: for work that is shorter than the way to the thread and back, and that nothing holds up."""
        answer, line = self._work(question)
        self._write([line])
        if self._sync is None:
            return answer
        self._begin()
        synced: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._written.put([(synced, answer)])
        return await synced

    def _begin(self) -> None:
        if self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="model", daemon=True)
        self._thread.start()
        if self._sync is not None:
            threading.Thread(target=self._settle, args=(self._sync,), name="log", daemon=True).start()

    def _run(self) -> None:
        while True:
            done: list[tuple[asyncio.Future[A], A]] = []
            lines: list[bytes] = []
            asked = self._waiting.get()
            limit = (began := time.perf_counter()) + self._together
            try:
                while True:
                    if (question := asked.taken()) is not None:
                        answer, line = self._work(question)
                        done.append((asked.answer, answer))
                        lines.append(line)
                        took, began = time.perf_counter() - began, time.perf_counter()
                        self._seconds += (took - self._seconds) * (_LATEST if self._seconds else 1)
                    if began > limit:
                        break
                    asked = self._waiting.get_nowait()
            except Empty:
                pass
            except Exception as error:
                _log.exception("a request could not be worked out")
                _fail([asked.answer], error)
            if done:
                self._keep(done, lines)

    def _keep(self, done: list[tuple[asyncio.Future[A], A]], lines: list[bytes]) -> None:
        try:
            self._write(lines)
        except Exception as error:
            _log.exception("%d requests could not be logged", len(lines))
            _fail([future for future, _ in done], error)
        else:
            if self._sync is None:
                _tell(done)
            else:
                self._written.put(done)

    def _settle(self, sync: Callable[[], None]) -> None:
        while True:
            done = self._written.get()
            with suppress(Empty):
                while True:
                    done += self._written.get_nowait()
            try:
                sync()
            except Exception as error:
                _log.exception("%d requests may not be on disk", len(done))
                _fail([future for future, _ in done], error)
            else:
                _tell(done)


def _tell(done: Sequence[tuple["asyncio.Future[A]", A]]) -> None:
    def act() -> None:
        for future, answer in done:
            if not future.done():
                future.set_result(answer)

    _in_loop(done[0][0], act)


def _fail(futures: Sequence["asyncio.Future[A]"], error: Exception) -> None:
    def act() -> None:
        for future in futures:
            if not future.done():
                future.set_exception(error)

    _in_loop(futures[0], act)


def _in_loop(future: "asyncio.Future[A]", act: Callable[[], None]) -> None:
    with suppress(RuntimeError):  # a loop that ended has nobody left to tell
        future.get_loop().call_soon_threadsafe(act)
