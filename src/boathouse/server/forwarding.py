"""Requests that another server of the lakehouse answers, passed on to it as they came."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

import httpx
import msgspec
from starlette.responses import Response

from boathouse.errors import Unavailable

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
PASSED_ON = b"x-boathouse-passed-on"
"""Marks a request that was passed on: it is not passed on again."""
_LEADERS = re.compile(r"/serving-endpoints/|(/api/v1)?/endpoints/[^/]+/[^/]+|/api/v1/system-tables$")
_OF_THE_CONNECTION = {b"connection", b"keep-alive", b"te", b"trailer", b"transfer-encoding", b"upgrade", b"content-length"}
_PATIENCE = httpx.Timeout(600, connect=5)
_PLAIN = {"accept-encoding": "identity"}  # unless the caller takes another


def leaders(path: str) -> bool:
    """Whether only the server that leads can answer: model servers are its processes."""
    return _LEADERS.match(path) is not None


class PassedOn(Response):
    """An answer that another server gives."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and its answer back."""
        forwarding = Forwarding()
        try:
            await forwarding(self._url, scope, receive, send)
        finally:
            await forwarding.close()


class Forwarding:
    """Passes requests on, in the loop of one server."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def __call__(self, url: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request with what the server at `url` answers."""
        if any(name == PASSED_ON for name, _ in scope["headers"]) or not url.startswith("http"):
            await _refuse(send, "no server of this lakehouse answers that at the moment: try again in a few seconds")
            return
        self._client = self._client or httpx.AsyncClient(headers=_PLAIN, timeout=_PATIENCE, trust_env=False)
        kept = [(k, v) for k, v in scope["headers"] if k not in _OF_THE_CONNECTION]
        query = scope["query_string"].decode("latin-1")
        target = url.rstrip("/") + scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        has_body = any(k in (b"content-length", b"transfer-encoding") for k, _ in scope["headers"])
        request = self._client.build_request(
            scope["method"], target, headers=[*kept, (PASSED_ON, b"1")], content=_body(receive) if has_body else None
        )
        try:
            answer = await self._client.send(request, stream=True)
        except httpx.TransportError as error:
            await _refuse(send, f"the server that answers this, {url}, does not: {type(error).__name__} {error}; try again")
            return
        try:
            headers = [(k.lower(), v) for k, v in answer.headers.raw if k.lower() not in _OF_THE_CONNECTION - {b"content-length"}]
            await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
            async for part in answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def close(self) -> None:
        """Close the connections."""
        if self._client:
            await self._client.aclose()


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError("the caller hung up before its request was whole")
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _refuse(send: Send, message: str) -> None:
    error = Unavailable(message)
    body = msgspec.json.encode(error.to_dict(), enc_hook=str)
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), (b"retry-after", b"2")]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
