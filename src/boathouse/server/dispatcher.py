"""One port, many owners: each path belongs to exactly one app. What nobody owns is answered 404."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from boathouse.platform import Platform

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Dispatcher:
    """Sends a request to the owner of its path."""

    def __init__(self, api: App, platform: Platform) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        await self._api(scope, receive, send)
