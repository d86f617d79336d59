"""Requests to endpoints, on the shortest way: no framework, and no thread where memory knows who may ask.

What is asked with a token goes here; a browser's session, whose forms must prove where they are from, goes through the API.
"""

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import anyio.to_thread
import msgspec

from boathouse.errors import BoathouseError, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import token_of
from boathouse.server.question_body import read
from boathouse.serving import Asked, Router
from boathouse.serving.hang_up import HangUp
from boathouse.serving.traffic import Route

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
ROUTING_KEY = "x-routing-key"
"""The header by whose value requests stick to a version."""
_BEFORE, _AFTER = "/serving-endpoints/", "/invocations"
_log = logging.getLogger(__name__)


class Invocations:
    """Answers for one server, in its loop."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self.router = Router(platform.endpoints)

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Whether a request is one to an endpoint with a token."""
        path = scope["path"]
        return (
            path.startswith(_BEFORE) and path.endswith(_AFTER) and scope["method"] == "POST"
            and any(name == b"authorization" for name, _ in scope["headers"])
        )  # fmt: skip

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        path: str = scope["path"]
        try:
            who, route = await self._admitted(token_of(headers), path[len(_BEFORE) : -len(_AFTER)])
            kind = headers.get("content-type", "application/json")
            asked = Asked(await read(receive, headers.get("content-encoding")), kind, who.principal, headers.get(ROUTING_KEY))
            with HangUp(receive):
                answer = await self.router.ask(route, asked)
            await _reply(send, answer.status, answer.body, [(k.encode(), v.encode("latin-1")) for k, v in answer.headers.items()])
        except BoathouseError as error:
            again = error.details.get("retry_after")
            more = [] if again is None else [(b"retry-after", str(again).encode())]
            await _reply(send, error.http_status, msgspec.json.encode(error.to_dict(), enc_hook=str), more)
        except ConnectionResetError as error:
            _log.info("%s: %s", path, error)
        except Exception as error:
            _log.exception("%s", path)
            message = f"the server failed at POST {path}: {type(error).__name__}: {error}"
            body = {"error_code": "INTERNAL_ERROR", "message": message, "details": {}}
            await _reply(send, 500, msgspec.json.encode(body), [])

    async def _admitted(self, token: str | None, full_name: str) -> tuple[Identity, Route]:
        """Who asks and where it goes. Raises Unauthenticated, NotPermitted, NotFound, Unavailable."""
        platform = self._platform
        environment, _, name = full_name.partition(".")
        who = platform.identities.recall(token) if token else None
        if who is not None:
            platform.audit.comes_from(who.principal)
            route = platform.endpoints.routed(environment, name)
            if route is not None and platform.access.recall(who, "QUERY", "endpoint", full_name):
                return who, route
        return await anyio.to_thread.run_sync(self._admit, token, full_name)

    def _admit(self, token: str | None, full_name: str) -> tuple[Identity, Route]:
        who = self._platform.identities.authenticate(token)
        self._platform.audit.comes_from(who.principal)
        return who, admit(self._platform, who, full_name)


def admit(platform: Platform, who: Identity, full_name: str) -> Route:
    """Where a caller's requests to `environment.name` go. Raises NotFound, NotPermitted, Unavailable."""
    environment, dot, name = full_name.partition(".")
    if not dot:
        raise NotFound(f"an endpoint's address is /serving-endpoints/ENVIRONMENT.NAME/invocations, not {full_name!r}")
    platform.access.authorize(who, "QUERY", "endpoint", full_name)
    return platform.endpoints.route(environment, name)


async def _reply(send: Send, status: int, body: bytes, more: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    headers = [(b"content-type", b"application/json"), length, *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
