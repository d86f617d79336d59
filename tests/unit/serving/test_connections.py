"""Connections to model servers: kept, and never used for another question once one failed."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import uvloop

from boathouse.serving.connections import Connections

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nX-Model-Version: 3\r\ncontent-length: 2\r\n\r\n"


async def _question(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length"))
    return await reader.readexactly(int(length.partition(b":")[2]))


def served(talk: Talk, asks: Callable[[Connections, int], Awaitable[None]]) -> int:
    """Ask a server that talks so; how many connections were made to it."""
    made = 0

    async def on_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal made
        made += 1
        try:
            await talk(reader, writer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(on_connection, "127.0.0.1", 0)
        connections = Connections()
        async with server:
            await asks(connections, server.sockets[0].getsockname()[1])
            connections.close()
            await asyncio.sleep(0.01)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # as the server's own
        runner.run(run())
    return made


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        body = await _question(reader)
        writer.write(OK)
        await writer.drain()
        writer.write(body)


def test_a_connection_is_kept_and_carries_one_question_at_a_time() -> None:
    async def asks(connections: Connections, port: int) -> None:
        for body in (b"ab", b"cd"):
            reply = await connections.post(port, "/x", [], body, 5)
            assert (reply.status, reply.body, reply.headers[b"x-model-version"]) == (200, body, b"3")
        both = await asyncio.gather(*(connections.post(port, "/x", [], body, 5) for body in (b"ef", b"gh")))
        assert [reply.body for reply in both] == [b"ef", b"gh"]

    assert served(echo, asks) == 2


def test_an_answer_that_comes_late_reaches_nobody() -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await _question(reader)
        if body == b"zz":
            await asyncio.sleep(0.1)
        writer.write(OK + body)
        await echo(reader, writer)

    async def asks(connections: Connections, port: int) -> None:
        with pytest.raises(TimeoutError, match=r"no answer within 0\.02 s"):
            await connections.post(port, "/x", [], b"zz", 0.02)
        assert (await connections.post(port, "/x", [], b"ab", 5)).body == b"ab"

    assert served(slow, asks) == 2


def test_a_server_that_dies_is_an_error_and_the_next_one_is_asked_anew() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = await _question(reader)
        if body == b"ab":
            writer.write(OK + body)
            await _question(reader)

    async def asks(connections: Connections, port: int) -> None:
        assert (await connections.post(port, "/x", [], b"ab", 5)).body == b"ab"
        with pytest.raises(ConnectionError):
            await connections.post(port, "/x", [], b"cd", 5)
        assert (await connections.post(port, "/x", [], b"ab", 5)).body == b"ab"

    assert served(once, asks) == 2
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(Connections().post(1, "/x", [], b"", 5))


def test_a_header_cannot_hold_a_line() -> None:
    async def asks(connections: Connections, port: int) -> None:
        with pytest.raises(ValueError, match="x-boathouse-requester"):
            await connections.post(port, "/x", [(b"x-boathouse-requester", b"a\r\nx-boathouse-key: b")], b"", 5)

    served(echo, asks)
