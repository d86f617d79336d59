"""Requests take turns, and are answered after their lines were kept."""

import asyncio
import threading
import time

import pytest

from boathouse.errors import TooManyRequests
from boathouse.serving.turns import Turns


class Log:
    """What was written, by how many writes; it may fail."""

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []
        self.full = False

    def write(self, lines: list[bytes]) -> None:
        if self.full:
            raise OSError("the disk is full")
        self.writes.append(list(lines))


@pytest.mark.parametrize(("together", "writes"), [(60, [[b"0", b"1", b"2", b"3"]]), (0, [[b"0"], [b"1"], [b"2"], [b"3"]])])
def test_what_gathers_is_written_at_once_and_answered_in_order(together: float, writes: list[list[bytes]]) -> None:
    log, first = Log(), threading.Event()

    def work(question: int) -> tuple[int, bytes]:
        if question == 0:
            first.wait(5)
        return question * 2, str(question).encode()

    async def all_of_them() -> list[int]:
        turns = Turns(work, log.write, together=together)
        asked = [asyncio.ensure_future(turns.ask(n)) for n in range(4)]
        await asyncio.sleep(0)  # all of them have asked
        first.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(all_of_them()) == [0, 2, 4, 6]
    assert log.writes == writes


def test_what_is_not_kept_is_not_answered() -> None:
    log = Log()

    async def ask() -> None:
        turns = Turns(lambda question: (question, b"line"), log.write)
        assert await turns.ask(1) == 1
        log.full = True
        with pytest.raises(OSError, match="full"):
            await turns.ask(2)
        log.full = False
        assert await turns.ask(3) == 3

    asyncio.run(ask())
    assert log.writes == [[b"line"], [b"line"]]


def test_one_that_fails_fails_alone() -> None:
    log = Log()

    def work(question: int) -> tuple[int, bytes]:
        return 6 // question, b"line"

    async def ask() -> list[int | BaseException]:
        turns = Turns(work, log.write)
        return await asyncio.gather(*(turns.ask(n) for n in (1, 0, 2)), return_exceptions=True)

    one, none, two = asyncio.run(ask())
    assert (one, two) == (6, 3)
    assert isinstance(none, ZeroDivisionError)


def test_one_sync_is_enough_for_all_that_wait_and_comes_before_their_answers() -> None:
    log, syncs = Log(), list[int]()
    syncing, released = threading.Event(), threading.Event()

    def sync() -> None:
        written = sum(map(len, log.writes))
        syncing.set()
        if not syncs:
            released.wait(5)
        syncs.append(written)

    async def ask() -> list[int]:
        turns = Turns(lambda question: (question, b"line"), log.write, sync)
        first = asyncio.ensure_future(turns.ask(0))
        while not syncing.is_set():
            await asyncio.sleep(0.001)
        others = [asyncio.ensure_future(turns.ask(n)) for n in range(1, 20)]
        while sum(map(len, log.writes)) < 20:
            await asyncio.sleep(0.001)
        assert not any(one.done() for one in (first, *others))
        released.set()
        return await asyncio.gather(first, *others)

    assert asyncio.run(ask()) == list(range(20))
    assert syncs == [1, 20]


def test_what_is_done_at_once_is_kept_before_its_answer_and_synced_too() -> None:
    log, done = Log(), list[str]()

    async def ask() -> None:
        turns = Turns(lambda question: (question, b"line"), log.write, lambda: done.append("synced"))
        assert await turns.at_once(1) == 1
        done.append("answered")
        log.full = True
        with pytest.raises(OSError, match="full"):
            await turns.at_once(2)

    asyncio.run(ask())
    assert (log.writes, done) == ([[b"line"]], ["synced", "answered"])


def test_who_is_gone_is_passed_over_and_leaves_no_line() -> None:
    log, working, released = Log(), threading.Event(), threading.Event()
    worked = list[int]()

    def work(question: int) -> tuple[int, bytes]:
        worked.append(question)
        working.set()
        released.wait(5)
        return question, str(question).encode()

    async def ask() -> None:
        turns = Turns(work, log.write)
        asked = [asyncio.ensure_future(turns.ask(n)) for n in range(100)]
        await asyncio.to_thread(working.wait, 5)
        for one in asked[:99]:
            one.cancel()
        await asyncio.sleep(0)
        released.set()
        assert await asked[99] == 99

    asyncio.run(ask())
    assert worked == [0, 99]
    assert [line for lines in log.writes for line in lines] == [b"0", b"99"]


def test_more_than_may_wait_are_told_when_to_come_again() -> None:
    log, released = Log(), threading.Event()

    def work(question: float) -> tuple[float, bytes]:
        if question:
            time.sleep(question)
        else:
            released.wait(5)
        return question, b"line"

    async def ask() -> int:
        turns = Turns(work, log.write, most=3)
        for _ in range(5):
            await turns.ask(0.2)
        asked = [asyncio.ensure_future(turns.ask(0)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyRequests, match=r"3 requests wait.*again in \d+ s.*endpoint_queue") as refused:
            await turns.ask(0)
        asked[2].cancel()  # who is gone waits no more
        await asyncio.sleep(0)
        asked[2] = asyncio.ensure_future(turns.ask(0))
        await asyncio.sleep(0)
        released.set()
        await asyncio.gather(*asked)
        assert await turns.ask(0) == 0
        return int(refused.value.details["retry_after"])

    assert asyncio.run(ask()) == 1
