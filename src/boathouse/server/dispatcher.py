"""One port, many owners: each path belongs to exactly one app. What nobody owns is answered 404 by the API."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

import anyio.to_thread

from boathouse.identity import Identity
from boathouse.platform import Platform, SharedExperiments
from boathouse.server.auth import COOKIE, allows
from boathouse.server.forwarding import Forwarding, leaders
from boathouse.server.invocations import Invocations
from boathouse.server.mlflow_app import create_mlflow_app, owns

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Dispatcher:
    """Sends a request to the owner of its path: an endpoint, MLflow for MLflow's own paths, else our API and UI."""

    def __init__(self, api: App, platform: Platform) -> None:
        self._api = api
        self._platform = platform
        self.invocations = Invocations(platform)
        self.forwarding = Forwarding()

        def known(identity: Identity) -> Identity:
            platform.audit.comes_from(identity.principal)
            return identity

        def denied(principal: str, privilege: str, name: str) -> None:
            platform.audit.record(principal, f"denied {privilege}", name, {"through": "MLflow"}, "denied")

        self._mlflow = create_mlflow_app(
            platform.registry, platform.settings.artifact_root,
            lambda token: known(platform.identities.authenticate(token)), partial(allows, platform),
            session=lambda cookie: known(platform.logins.identify(cookie)), cookie=COOKIE, login_url="/login", denied=denied,
            shared=SharedExperiments(platform.registry, platform.access),
        )  # fmt: skip

    def warm_up(self) -> None:
        """Import MLflow in the background, so that its first request does not wait."""
        self._mlflow.warm_up()

    async def release(self) -> None:
        """Close the connections to model servers."""
        await self.invocations.router.close()
        await self.forwarding.close()

    def model_store(self) -> Any:
        """MLflow's registry store over ours, built when it is first asked for."""
        return self._mlflow.model_store()

    def close(self) -> None:
        """Let go of MLflow's stores."""
        self._mlflow.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch one request. What only the leading server can answer is passed on to it.

        An answer that refuses, of which the audit log has not heard, is written by the port itself.
        """
        if scope["type"] != "http":
            await self._api(scope, receive, send)
            return
        if (leader := self._platform.leading.leader()) and leaders(scope["path"]):
            await self.forwarding(leader, scope, receive, send)
            return
        owner = self._owner(scope)
        with self._platform.database.visit(), self._platform.audit.listening() as heard:

            async def watched(message: MutableMapping[str, Any]) -> None:
                if message["type"] == "http.response.start" and (heard.pending or message["status"] == 403):
                    settle = partial(self._platform.audit.settle, refused=message["status"] == 403)
                    await anyio.to_thread.run_sync(settle, heard, scope["method"], scope["path"])
                await send(message)

            await owner(scope, receive, watched)

    def _owner(self, scope: Scope) -> App:
        if self.invocations.takes(scope):
            return self.invocations
        return self._mlflow if owns(scope["path"]) else self._api
