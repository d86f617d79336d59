"""MLflow's own server, built when it is first needed, behind our guard and over our stores."""

# mypy: allow-untyped-calls
import functools
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import anyio.to_thread

from boathouse.errors import Unavailable
from boathouse.registry import Denied, Registry, mlflow_stores, prepare_mlflow, quietly, unheard
from boathouse.server.mlflow_guard import Allow, Authenticate, Guard, Receive, Scope, Send, owns

__all__ = ["MlflowApp", "create_mlflow_app", "owns", "prepare_mlflow"]

# MLflow keeps its stores in module globals; these let two homes live in one process, as tests do.
_tracking: ContextVar[Any] = ContextVar("mlflow-tracking")
_models: ContextVar[Any] = ContextVar("mlflow-models")
_artifacts: ContextVar[Any] = ContextVar("mlflow-artifacts")

# MLflow reads these at each request, not once.
SETTINGS = {
    "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
    "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",  # the guard compares Origin and Host
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_AI_GATEWAY": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}


class MlflowApp:
    """An ASGI app that imports MLflow (3 to 9 CPU seconds) at its first request, or at `warm_up`."""

    def __init__(self, registry: Registry, artifact_root: str) -> None:
        self._registry = registry
        self._artifact_root = artifact_root
        self._builder = threading.Lock()
        self._lock = threading.Lock()
        self._closed = False
        self._built: tuple[Any, Any, Any, Any] | None = None

    def warm_up(self) -> threading.Thread:
        """Build in the background; requests that come meanwhile wait."""
        thread = threading.Thread(target=self._warmed, name="mlflow", daemon=True)
        thread.start()
        return thread

    def _warmed(self) -> None:
        with suppress(Unavailable):
            self.build()

    def build(self) -> tuple[Any, Any, Any, Any]:
        """Import MLflow's server, migrate its tables, open its stores. Raises Unavailable once this is closed."""
        with self._builder:
            if self._built is None:
                os.environ |= SETTINGS | {"_MLFLOW_SERVER_ARTIFACT_DESTINATION": self._artifact_root}
                return self._open(_mlflow_server())
            return self._built

    def _open(self, app: Any) -> tuple[Any, Any, Any, Any]:
        with self._lock:
            if self._closed:
                raise Unavailable("the server ends")
            prepare_mlflow(self._registry.database.url, self._artifact_root)
            with quietly():
                from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

                stores = mlflow_stores(self._registry, None, self._artifact_root)
                self._built = (app, *stores, get_artifact_repository(self._artifact_root))
                return self._built

    def model_store(self) -> Any:
        """The registry store; whoever uses it says on whose behalf, by `acting_as`."""
        return self.build()[2]

    def close(self) -> None:
        """Give MLflow's database connections back. An import that goes on in the background is not waited for."""
        with self._lock:
            self._closed = True
            for store in self._built[1:3] if self._built else ():
                store._dispose_engine()
                store._engine_map.pop(self._registry.database.url, None)
            self._built = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let MLflow answer one request over this home's stores."""
        built = self._built
        if built is None:
            built = await anyio.to_thread.run_sync(self.build)
        app, *stores = built
        kept = [(var, var.set(store)) for var, store in zip((_tracking, _models, _artifacts), stores, strict=True)]
        try:
            await app(scope, receive, send)
        finally:
            for var, token in kept:
                var.reset(token)


class Mlflow(Guard):
    """The guarded app; `warm_up` builds what stands behind the guard, `model_store` is part of it, `close` lets it go."""

    def __init__(self, app: MlflowApp, registry: Registry, authenticate: Authenticate, allow: Allow, **options: Any) -> None:
        super().__init__(app, registry.database, authenticate, allow, **options)
        self.warm_up = app.warm_up
        self.model_store = app.model_store
        self.close = app.close


def create_mlflow_app(
    registry: Registry, artifact_root: str, authenticate: Authenticate, allow: Allow, *,
    session: Authenticate | None = None, cookie: str | None = None, login_url: str | None = None,
    environments: Sequence[str] = ("dev", "staging", "prod"), denied: Denied = unheard, **more: Any,
) -> Mlflow:  # fmt: skip
    """MLflow as one ASGI app for every path that `owns` names.

    `authenticate(token)` gives an identity or raises Unauthenticated; `allow(identity, privilege, name)`
    answers for a catalog (one level), a schema (two) or a model (three). `cookie` names the session cookie,
    for whose value `session(value)` answers as `authenticate` does; browsers without one go to `login_url`.
    Who is bound to no environment works in the one that is asked for, else in the first of `environments` that
    they may use. `denied(principal, privilege, name)` hears of refusals. `shared(identity, privilege)` are the experiments
    on which an identity was granted it.
    """
    app = MlflowApp(registry, artifact_root)
    return Mlflow(app, registry, authenticate, allow, session=session, cookie=cookie, login_url=login_url,
                  environments=environments, denied=denied, **more)  # fmt: skip


@functools.cache
def _mlflow_server() -> Any:
    with quietly():
        from mlflow.server import handlers
        from mlflow.server.fastapi_app import create_fastapi_app
        from werkzeug.local import LocalProxy

        handlers._tracking_store = LocalProxy(_tracking)
        handlers._model_registry_store = LocalProxy(_models)
        handlers._artifact_repo = LocalProxy(_artifacts)
        return create_fastapi_app()
