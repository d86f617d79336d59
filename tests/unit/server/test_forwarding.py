"""What another server answers is passed on as it came, both ways."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from boathouse.server.forwarding import Forwarding, leaders
from boathouse.server.serve import free_port


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked."""
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message.get("more_body"):
            break
    told = {k.decode(): v.decode() for k, v in scope["headers"]}
    head = [(b"x-asked", f"{scope['method']} {scope['raw_path'].decode()}?{scope['query_string'].decode()}".encode()),
            (b"x-host", told["host"].encode()), (b"x-token", told["authorization"].encode()), (b"set-cookie", b"a=1"),
            (b"set-cookie", b"b=2")]  # fmt: skip
    await send({"type": "http.response.start", "status": 418, "headers": head})
    await send({"type": "http.response.body", "body": body[::-1]})


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(echo, port=port, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    with httpx.Client(transport=httpx.HTTPTransport(retries=8), trust_env=False) as client:
        client.post(f"http://127.0.0.1:{port}/", headers={"authorization": "x"})
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def asked(url: str, **headers: str) -> httpx.Response:
    """The answer to a request that is passed on to `url`."""
    forwarding = Forwarding()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await forwarding(url, scope, receive, send)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://here:1") as client:
            try:
                return await client.post("/serving-endpoints/dev.a%20b/invocations?n=1", content=b"abc", headers=headers)
            finally:
                await forwarding.close()

    return asyncio.run(ask())


def test_a_request_goes_on_as_it_came_and_so_does_its_answer(upstream: str) -> None:
    answer = asked(upstream, Authorization="Bearer t")
    assert (answer.status_code, answer.content) == (418, b"cba")
    assert answer.headers["x-asked"] == "POST /serving-endpoints/dev.a%20b/invocations?n=1"
    assert (answer.headers["x-host"], answer.headers["x-token"]) == ("here:1", "Bearer t")
    assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]


def test_a_request_is_passed_on_once_and_a_silent_server_is_named(upstream: str) -> None:
    again = asked(upstream, **{"Authorization": "Bearer t", "X-Boathouse-Passed-On": "1"})
    assert (again.status_code, again.json()["error_code"]) == (503, "TEMPORARILY_UNAVAILABLE")
    silent = f"http://127.0.0.1:{free_port()}"
    assert silent in asked(silent, Authorization="Bearer t").json()["message"]


@pytest.mark.parametrize(
    ("path", "passed"),
    [
        ("/serving-endpoints/dev.delay/invocations", True), ("/api/v1/endpoints/dev/delay/logs", True),
        ("/endpoints/dev/delay", True), ("/api/v1/endpoints", False), ("/endpoints", False), ("/api/v1/runs", False),
    ],
)  # fmt: skip
def test_only_what_the_leading_server_alone_can_answer_is_passed_on(path: str, passed: bool) -> None:
    assert leaders(path) is passed
