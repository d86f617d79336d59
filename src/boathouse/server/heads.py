"""HEAD wherever GET is answered: the same head, without the body, which the port leaves out."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Match
from starlette.types import ASGIApp, Receive, Scope, Send


class Heads:
    """Asks a route that knows no HEAD of its own as if GET had come."""

    def __init__(self, app: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "HEAD" and not self._known(scope):
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)
