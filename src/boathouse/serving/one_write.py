"""uvicorn's HTTP, with an answer's head and body in one write: two cost two packets, and wake whoever reads them twice."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class OneWrite(HttpToolsProtocol):
    """For `uvicorn.Config(http=OneWrite)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(_Together(transport, self.loop))  # type: ignore[arg-type]


class _Together:
    """A transport that holds a write until the next one, or until the loop turns: nothing waits longer."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held = b""
        self._turn: asyncio.Handle | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Write, or hold."""
        if self._turn is None:
            self._held, self._turn = data, self._loop.call_soon(self._release)
        else:
            self._release(data)

    def close(self) -> None:
        """Close, once all is written."""
        if self._turn is not None:
            self._release()
        self._transport.close()

    def _release(self, *more: bytes) -> None:
        assert self._turn is not None
        self._turn.cancel()
        self._turn = None
        self._transport.writelines([self._held, *more])
