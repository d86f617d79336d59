"""Answers leave the server in one piece, and streams as their parts come."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
import uvloop

from boathouse.serving import OneWrite

App = Callable[[Any, Any, Any], Awaitable[None]]
ASK = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"


def answered(app: App, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[Any]]) -> Any:
    """What `talk` gives on a connection to a server of this app."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        async def run() -> Any:
            server = uvicorn.Server(uvicorn.Config(app, http=OneWrite, lifespan="off", log_level="error"))
            serving = asyncio.create_task(server.serve([listener]))
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writer.write(ASK)
            told = await talk(reader, writer)
            writer.close()
            server.should_exit = True
            await serving
            return told

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run())


def head(*more: tuple[bytes, bytes]) -> dict[str, Any]:
    return {"type": "http.response.start", "status": 200, "headers": [*more]}


def body(part: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": part, "more_body": more}


@pytest.mark.parametrize("size", [0, 2, 3_000_000])
def test_head_and_body_arrive_whole_one_answer_after_another(size: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(head((b"content-length", b"%d" % size)))
        await send(body(b"x" * size))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        told = []
        for _ in range(3):
            await reader.readuntil(b"\r\n\r\n")
            told.append(await reader.readexactly(size))
            writer.write(ASK)
        return told

    assert answered(app, talk) == [b"x" * size] * 3


def test_a_head_and_a_part_do_not_wait_for_the_rest() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(head())
        await going.wait()
        for part in (b"one", b"two"):
            await send(body(part, more=True))
            going.clear()
            await going.wait()
        await send(body(b""))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[bytes]:
        told = [(await reader.readuntil(b"\r\n\r\n"))[:15]]
        for part in (b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"):
            going.set()
            told.append(await reader.readexactly(len(part)))
        return told

    going = asyncio.Event()
    assert answered(app, talk) == [b"HTTP/1.1 200 OK", b"3\r\none\r\n", b"3\r\ntwo\r\n", b"0\r\n\r\n"]


def test_a_connection_that_ends_with_its_answer_brings_all_of_it() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(head((b"connection", b"close"), (b"content-length", b"4")))
        await send(body(b"last"))

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        return await reader.read()

    assert answered(app, talk).endswith(b"\r\n\r\nlast")
