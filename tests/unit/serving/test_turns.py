"""Requests take turns, and are answered after their lines were kept."""

import asyncio
import threading

import pytest

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


def test_what_gathers_is_written_at_once_and_answered_in_order() -> None:
    log, first = Log(), threading.Event()

    def work(question: int) -> tuple[int, bytes]:
        if question == 0:
            first.wait(5)
        return question * 2, str(question).encode()

    async def all_of_them() -> list[int]:
        turns = Turns(work, log.write)
        asked = [asyncio.ensure_future(turns.ask(n)) for n in range(4)]
        await asyncio.sleep(0.01)
        first.set()
        return await asyncio.gather(*asked)

    assert asyncio.run(all_of_them()) == [0, 2, 4, 6]
    assert log.writes[0] == [b"0"]  # it took longer than others are kept waiting for
    assert [line for lines in log.writes for line in lines] == [b"0", b"1", b"2", b"3"]
    assert len(log.writes) < 4


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
