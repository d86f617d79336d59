"""Requests take turns in one thread; what has gathered is written to the log together, before any of it is answered."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

Q = TypeVar("Q")
A = TypeVar("A")
_TOGETHER = 0.001
"""Seconds after which what was worked out is written and answered, while others wait for their turn."""
_log = logging.getLogger(__name__)


class Turns(Generic[Q, A]):
    """For the callers of one loop at a time: `work` gives for a question its answer and its line for the log.

    `write` keeps lines, and returns when they are kept. One that comes alone is answered at once: nothing waits for company.
    """

    def __init__(self, work: Callable[[Q], tuple[A, bytes]], write: Callable[[Sequence[bytes]], None],
                 sync: Callable[[], None] | None = None, together: float = _TOGETHER) -> None:  # fmt: skip
        """What is worked out within `together` seconds is written at once.

        With `sync` nothing is answered before it has returned since its line was written: once for all that gathered.
        """
        self._work, self._write, self._sync, self._together = work, write, sync, together
        self._waiting: SimpleQueue[tuple[Q, asyncio.Future[A]]] = SimpleQueue()
        self._written: SimpleQueue[list[tuple[asyncio.Future[A], A]]] = SimpleQueue()
        self._thread: threading.Thread | None = None

    async def ask(self, question: Q) -> A:
        """The answer, once its line is kept. Raises what `write` raises."""
        self._begin()
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.put((question, answer))
        return await answer

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
            question, future = self._waiting.get()
            limit = time.perf_counter() + self._together
            try:
                while True:
                    answer, line = self._work(question)
                    done.append((future, answer))
                    lines.append(line)
                    if time.perf_counter() > limit:
                        break
                    question, future = self._waiting.get_nowait()
            except Empty:
                pass
            except Exception as error:
                _log.exception("a request could not be worked out")
                _fail([future], error)
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
