"""Sends a request to the version whose turn it is, counts the answer, and lets shadows answer behind it."""

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from boathouse.errors import DeadlineExceeded, Unavailable
from boathouse.serving.connections import Connections, text
from boathouse.serving.endpoints import Endpoints
from boathouse.serving.tally import BUSY
from boathouse.serving.traffic import CANARY, Route, Target

_log = logging.getLogger(__name__)
_SHADOWS = 32
"""So many shadows answer at a time; requests that come meanwhile have none."""
_KEPT = (b"x-request-id", b"x-model-version", b"retry-after")
_AGAIN = 2
"""Seconds that a model server takes to start at least."""


class _Keyed(msgspec.Struct):
    client_request_id: str | int | float | None = None
    routing_key: str | int | float | None = None


@dataclass(frozen=True)
class Asked:
    """A request to an endpoint; `key` is what keeps requests together, from its header."""

    body: bytes
    content_type: str
    requester: str
    key: str | None = None

    @property
    def routing_key(self) -> str | None:
        """The key that requests stick to a version by: the header's, else the body's routing_key or client_request_id."""
        if self.key is not None or not self.content_type.startswith("application/json"):
            return self.key
        try:
            found = msgspec.json.decode(self.body, type=_Keyed)
        except msgspec.DecodeError:
            return None
        own = found.client_request_id if found.routing_key is None else found.routing_key
        return None if own is None else str(own)


@dataclass(frozen=True)
class Answered:
    """What came back, from which version, after how many seconds."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    version: int
    seconds: float


class Router:
    """Lives in the server's loop."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._connections = Connections()
        self._behind: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Close the connections to model servers."""
        for task in list(self._behind):
            task.cancel()
        self._connections.close()

    async def ask(self, route: Route, asked: Asked) -> Answered:
        """The answer of the version whose turn it is; where a canary fails, that of its champion.

        Raises Unavailable when nothing answers, DeadlineExceeded when nothing answers in time.
        """
        several = len(route.choices) > 1 or route.shadow is not None
        key = asked.routing_key if several else None
        target = route.choose(key)
        if target is None:
            raise Unavailable(f"endpoint {route.environment}.{route.endpoint} gives no version any requests", retry_after=_AGAIN)
        if target.role == CANARY and route.champion:
            answer = await self._canary(route, target, route.champion, asked)
        else:
            answer = await self._served(route, target, asked)
        copied = route.shadow and answer.status != BUSY and len(self._behind) < _SHADOWS
        if copied and (shadow := route.shadowed(key)):
            self._after(self._shadow(route, shadow, asked, answer))
        return answer

    async def _served(self, route: Route, target: Target, asked: Asked) -> Answered:
        began, name = time.perf_counter(), f"{route.environment}.{route.endpoint}"
        try:
            answer = await self._post(target, asked)
        except TimeoutError as error:  # it runs, and works on what came before or on this
            self._endpoints.tally.note(route, target, 504, time.perf_counter() - began)
            raise DeadlineExceeded(
                f"endpoint {name} gave no answer within {target.patience:g} s: send fewer rows in a request, fewer requests at a "
                f"time, or score in batch; `boathouse endpoints logs {route.endpoint}` shows what its model says"
            ) from error
        except OSError as error:
            self._endpoints.tally.note(route, target, 503, time.perf_counter() - began)
            self._endpoints.wake()
            why = f"{type(error).__name__}: {error}"
            raise Unavailable(f"endpoint {name} does not answer and is started again ({why})", retry_after=_AGAIN) from error
        self._endpoints.tally.note(route, target, answer.status, answer.seconds)
        return answer

    async def _canary(self, route: Route, target: Target, champion: Target, asked: Asked) -> Answered:
        """What a canary fails at is asked of the champion: callers are not hurt, and a failure is its own if that answers."""
        began = time.perf_counter()
        answer, status = None, 504
        try:
            answer = await self._post(target, asked)
            status = answer.status
        except TimeoutError:
            pass
        except OSError:
            status = 503
            self._endpoints.wake()
        if answer and answer.status < 400:
            self._endpoints.tally.note(route, target, answer.status, answer.seconds, failed=False)
            return answer
        took = time.perf_counter() - began
        instead = await self._served(route, champion, asked)
        if instead.status != BUSY:  # else nobody knows whose failure it is
            self._endpoints.tally.note(route, target, status, took, failed=instead.status < 400)
        return instead

    async def _shadow(self, route: Route, target: Target, asked: Asked, answer: Answered) -> None:
        began = time.perf_counter()
        try:
            status = (await self._post(target, asked, of=answer.headers.get("x-request-id", ""))).status
        except TimeoutError:
            status = 504
        except OSError:
            status = 503
            self._endpoints.wake()
        failed = status >= 400 and answer.status < 400
        self._endpoints.tally.note(route, target, status, time.perf_counter() - began, failed=failed)

    async def _post(self, target: Target, asked: Asked, of: str = "") -> Answered:
        headers = [
            (b"x-boathouse-key", self._endpoints.key.encode()), (b"x-boathouse-requester", asked.requester.encode()),
            (b"content-type", asked.content_type.encode("latin-1")),
        ]  # fmt: skip
        if of:
            headers.append((b"x-boathouse-shadow-of", of.encode("latin-1")))
        began = time.perf_counter()
        self._endpoints.busy[target.port] += 1
        try:
            reply = await self._connections.post(target.port, "/invocations", headers, asked.body, target.patience)
        finally:
            self._endpoints.busy[target.port] -= 1
        kept = {name.decode(): value for name in _KEPT if (value := text(reply.headers, name)) is not None}
        version = kept.get("x-model-version", "")
        number = int(version) if version.isdigit() else target.version
        return Answered(reply.status, reply.body, kept, number, time.perf_counter() - began)

    def _after(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)
