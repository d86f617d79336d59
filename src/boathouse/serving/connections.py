"""Connections to model servers on this machine, kept open: HTTP/1.1 with nothing between the sockets and its parser."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

from boathouse.serving.process import LOOPBACK

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Reply:
    """What a model server answered."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytes = b""


class Connections:
    """Asks the servers of one loop. A connection carries one question at a time, and is kept for the next."""

    def __init__(self) -> None:
        self._idle: dict[int, list[_Connection]] = {}
        self._open: set[_Connection] = set()

    async def post(self, port: int, path: str, headers: Iterable[Header], body: bytes, seconds: float) -> Reply:
        """The answer of the server at a port. Raises OSError: TimeoutError after `seconds`, else ConnectionError."""
        connection = None
        try:
            async with asyncio.timeout(seconds):
                connection = await self._connection(port)
                reply = await connection.ask(_request(path, headers, body))
        except BaseException as error:
            if connection is not None:
                connection.close()  # what is still to come on it answers another question
            if isinstance(error, TimeoutError):
                raise TimeoutError(f"no answer within {seconds:g} s") from error
            raise
        if connection.usable:
            self._idle.setdefault(port, []).append(connection)
        return reply

    def close(self) -> None:
        """Close all connections."""
        for connection in list(self._open):
            connection.close()

    async def _connection(self, port: int) -> "_Connection":
        kept = self._idle.get(port, [])
        while kept:
            connection = kept.pop()
            if connection.usable:
                return connection
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(lambda: _Connection(self._lost), LOOPBACK, port)
        self._open.add(made)
        return made

    def _lost(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        for port, kept in list(self._idle.items()):
            if connection in kept:
                kept.remove(connection)
            if not kept:
                del self._idle[port]


class _Connection(asyncio.Protocol):
    """One connection; its methods `on_…` are what the parser calls."""

    def __init__(self, lost: Callable[["_Connection"], None]) -> None:
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._parser, self._reply, self._parts = httptools.HttpResponseParser(self), Reply(), list[bytes]()

    @property
    def usable(self) -> bool:
        """Whether another question can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> Reply:
        """The answer to a whole request."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionError(f"the model server does not speak HTTP: {error}"))
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._lost(self)
        self._fail(ConnectionResetError(f"the model server closed the connection: {error or 'it ended'}"))

    def on_message_begin(self) -> None:
        self._reply, self._parts = Reply(), []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._reply.headers[name.lower()] = value

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        self._reply.status, self._reply.body = self._parser.get_status_code(), b"".join(self._parts)
        if not self._parser.should_keep_alive():
            self.close()
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._reply)

    def _fail(self, error: ConnectionError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _request(path: str, headers: Iterable[Header], body: bytes) -> bytes:
    lines = [b"POST %b HTTP/1.1" % path.encode(), b"host: boathouse", b"content-length: %d" % len(body)]
    for name, value in headers:
        if b"\n" in value or b"\r" in value:
            raise ValueError(f"the header {name.decode()} has a line's end in it")
        lines.append(name + b": " + value)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def text(headers: Mapping[bytes, bytes], name: bytes) -> str | None:
    """A header as text."""
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
