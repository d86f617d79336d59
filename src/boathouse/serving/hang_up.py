"""Work for a caller ends when the caller hangs up: nobody reads its answer."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from types import TracebackType
from typing import Any

_AFTER = 0.1
"""Seconds after which it is watched whether the caller is still there: what is answered sooner costs a timer alone."""
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]


class HangUp:
    """`with HangUp(receive):` around work for a request whose body was read; raises ConnectionResetError out of it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._gone = False
        self._watch: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        self._working = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(_AFTER, self._begin)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()
        if self._gone and isinstance(error, asyncio.CancelledError) and self._working is not None:
            self._working.uncancel()
            raise ConnectionResetError("the caller hung up before it was answered") from error

    def _begin(self) -> None:
        self._watch = asyncio.create_task(self._wait())

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._working is not None:
            self._working.cancel()
