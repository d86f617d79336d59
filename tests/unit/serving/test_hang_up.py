"""Work ends when its caller hangs up, and not before."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import pytest

from boathouse.serving.hang_up import HangUp

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


def caller(stays: float) -> Receive:
    async def receive() -> MutableMapping[str, Any]:
        await asyncio.sleep(stays)
        return {"type": "http.disconnect"}

    return receive


async def working(receive: Receive, seconds: float) -> str:
    with HangUp(receive):
        await asyncio.sleep(seconds)
    await asyncio.sleep(0.05)
    return "whole"


def test_work_ends_when_its_caller_is_gone() -> None:
    async def run() -> float:
        began = asyncio.get_running_loop().time()
        with pytest.raises(ConnectionResetError, match="hung up"):
            await working(caller(0.05), 10)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        return asyncio.get_running_loop().time() - began

    assert asyncio.run(run()) < 2


@pytest.mark.parametrize("seconds", [0, 0.3])
def test_work_for_who_stays_is_done(seconds: float) -> None:
    assert asyncio.run(working(caller(5), seconds)) == "whole"


def test_another_cancellation_stays_one() -> None:
    async def run() -> None:
        task = asyncio.create_task(working(caller(5), 10))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
