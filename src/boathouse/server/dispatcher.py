"""One port, many owners: each path belongs to exactly one app. What nobody owns is answered 404 by the API."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from boathouse.platform import Platform
from boathouse.server.auth import COOKIE, allows
from boathouse.server.mlflow_app import create_mlflow_app, owns
from boathouse.server.routes.operations import close_forwarding

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Dispatcher:
    """Sends a request to the owner of its path: MLflow for MLflow's own paths, else our API and UI."""

    def __init__(self, api: App, platform: Platform) -> None:
        self._api = api

        def denied(principal: str, privilege: str, name: str) -> None:
            platform.audit.record(principal, f"denied {privilege}", name, {"through": "MLflow"}, "denied")

        self._mlflow = create_mlflow_app(
            platform.registry, platform.settings.path("mlflow-artifacts").as_uri(), platform.identities.authenticate,
            partial(allows, platform), session=platform.logins.identify, cookie=COOKIE, login_url="/login",
            denied=denied,
        )  # fmt: skip

    def warm_up(self) -> None:
        """Import MLflow in the background, so that its first request does not wait."""
        self._mlflow.warm_up()

    async def release(self) -> None:
        """Close the connections to model servers."""
        await close_forwarding(self._api)

    def model_store(self) -> Any:
        """MLflow's registry store over ours, built when it is first asked for."""
        return self._mlflow.model_store()

    def close(self) -> None:
        """Let go of MLflow's stores."""
        self._mlflow.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request."""
        owner = self._mlflow if scope["type"] == "http" and owns(scope["path"]) else self._api
        await owner(scope, receive, send)
