"""A request's body on its way from the event loop to a thread that takes it in piece by piece."""

import asyncio
import queue
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from fastapi.concurrency import run_in_threadpool

_PIECE = 1 << 20
_WAITING = 4
T = TypeVar("T")


class BrokenOff(Exception):
    """The body did not come whole."""


async def taken_in(stream: AsyncIterator[bytes], take: Callable[[Iterator[bytes]], T]) -> T:
    """What `take` makes of the body, at most a few megabytes of which are held. If the body breaks off, `take` hears of it."""
    pieces: queue.Queue[bytes | Exception | None] = queue.Queue(_WAITING)
    taking = asyncio.ensure_future(run_in_threadpool(take, _drawn(pieces)))
    try:
        await _feed(stream, pieces, taking)
    except Exception as error:
        await _hand(pieces, BrokenOff(str(error) or type(error).__name__), taking)
        await asyncio.wait([taking])
        raise
    return await taking


def _drawn(pieces: "queue.Queue[Any]") -> Iterator[bytes]:
    while (piece := pieces.get()) is not None:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def _feed(stream: AsyncIterator[bytes], pieces: "queue.Queue[Any]", taking: "asyncio.Future[Any]") -> None:
    waiting, size = [], 0
    async for chunk in stream:
        waiting.append(chunk)
        size += len(chunk)
        if size >= _PIECE:
            await _hand(pieces, b"".join(waiting), taking)
            waiting, size = [], 0
            if taking.done():  # it was refused: the rest of the body is nobody's
                return
    await _hand(pieces, b"".join(waiting), taking)
    await _hand(pieces, None, taking)


async def _hand(pieces: "queue.Queue[Any]", piece: Any, taking: "asyncio.Future[Any]") -> None:
    while not taking.done():
        try:
            pieces.put_nowait(piece)
            return
        except queue.Full:
            await asyncio.sleep(0.002)
