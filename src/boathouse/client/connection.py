"""What needs a server's answers alone: no frames, no engine, and so nothing that is slow to import."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from boathouse import names
from boathouse.client.http import Http
from boathouse.client.jobs import Jobs
from boathouse.client.models import Models
from boathouse.client.secrets import Secrets
from boathouse.settings import MARK


class Connection:
    """One environment of a server, under one identity. A context manager."""

    def __init__(self, http: Http, environment: str, project: str | None = None,
                 on_close: Callable[[], None] | None = None) -> None:  # fmt: skip
        self.http = http
        self._who = http.call("GET", "/api/v1/whoami")
        self._environment = self._who.get("environment") or environment
        self._same_machine = bool(self._who.get("run_id")) or _sees_home(self._who)
        self._scratch: str | None = self._who.get("scratch")
        self._on_close = on_close
        self.jobs = Jobs(http, self._environment, self._scratch, project)
        self.models = Models(http, self.complete)
        self.secrets = Secrets(http, self._environment)

    @property
    def environment(self) -> str:
        """dev, staging or prod: what completes two-level names."""
        return self._environment

    @property
    def principal(self) -> str:
        """Who the calls come from."""
        return str(self._who["principal"])

    @property
    def same_machine(self) -> bool:
        """Whether this process can open files that lie on the server's disks: it is a task, or sees the server's home."""
        return self._same_machine

    def complete(self, name: str) -> str:
        """A two-level name with the environment put before it. Raises InvalidName."""
        return str(names.parse(name, self._environment, self._scratch))

    def drop_table(self, name: str, *, force: bool = False) -> None:
        """Remove a table, its files, and what is published of it online.

        Raises Conflict, naming them, while models, endpoints or specs use it, unless forced.
        """
        self.http.call("DELETE", f"/api/v1/tables/{self.complete(name)}", params={"force": force})

    def search(self, text: str, kinds: Sequence[str] = (), environment: str | None = None,
               limit: int = 50) -> list[dict[str, Any]]:  # fmt: skip
        """What holds every word in its name, description, tags or columns, and you may see; names first.

        `kinds` of table, volume, model, function, schema, share; all environments without one. Raises InvalidInput.
        """
        asked = {"q": text, "kind": list(kinds) or None, "environment": environment}
        return list(islice(self.http.pages("/api/v1/search", asked, min(limit, 500)), limit))

    def lineage(self, name: str, direction: str = "up", *, version: int | None = None, depth: int | None = None,
                columns: bool = False) -> list[dict[str, Any]]:  # fmt: skip
        """Edges that lead to a table, model or column (`up`), or from it (`down`, `both`).

        Of one column with `schema.table.column`, of all with `columns`. With a version: what that version holds,
        and what holds it. Raises NotFound, NotPermitted.
        """
        found: list[dict[str, Any]] = json.loads(self.lineage_as("edges", name, direction, version=version, depth=depth,
                                                                 columns=columns))  # fmt: skip
        return found

    def lineage_as(self, form: str, name: str, direction: str = "up", *, version: int | None = None,
                   depth: int | None = None, columns: bool = False) -> str:  # fmt: skip
        """Lineage as text: JSON (`edges`, `graph`), `dot` for Graphviz, `mermaid`, `svg`."""
        wanted = {"environment": self._environment, "direction": direction, "at": version, "depth": depth,
                  "columns": columns, "format": form}  # fmt: skip
        given = {k: v for k, v in wanted.items() if v is not None}
        return self.http.text(f"/api/v1/lineage/{quote(name, safe='')}", given).text

    def trace(self, prediction_id: str) -> dict[str, Any]:
        """From a prediction back to request, features, model version, run, commit and raw tables."""
        found: dict[str, Any] = self.http.call("GET", f"/api/v1/trace/{self._environment}/{prediction_id}")
        return found

    def touched(self, name: str, version: int) -> dict[str, Any]:
        """From a version of a table forward: versions of tables and models, endpoints, and how many predictions."""
        path = f"/api/v1/touched/{self.complete(name)}"
        found: dict[str, Any] = self.http.call("GET", path, params={"version": version})
        return found

    def await_endpoint(self, name: str, seconds: float = 180) -> None:
        """Where this process owns the home, its model servers start when asked for: wait for this one's."""
        limit, state = time.monotonic() + seconds, "STARTING"
        while self.owns_home and state in ("STARTING", "LOADING") and time.monotonic() < limit:
            at = f"/api/v1/endpoints/{self._environment}/{name}"
            state = self.http.call("GET", at, params={"start": True})["state"]
            time.sleep(0.1)

    def query(self, endpoint: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Ask an endpoint of this environment."""
        self.await_endpoint(endpoint)
        answer: dict[str, Any] = self.http.call("POST", f"/serving-endpoints/{self._environment}.{endpoint}/invocations", body)
        return answer

    def online_folder(self) -> Path:
        """Where this environment's embedded online store lies."""
        return Path(self.http.call("GET", f"/api/v1/environments/{self._environment}")["online_folder"])

    def online_location(self, table: str, write: bool = False, store: str | None = None) -> str:
        """Where a named store is, or the one that holds a table, for whoever may read it or (`write`) publish it.

        Raises NotPermitted, NotFound.
        """
        address = f"/api/v1/online-tables/{self.complete(table)}/location"
        asked = {"write": write, **({"store": store} if store else {})}
        return str(self.http.call("GET", address, params=asked)["location"])

    def monitor(self, name: str) -> dict[str, Any]:
        """A deployed monitor's definition."""
        found: dict[str, Any] = self.http.call("GET", f"/api/v1/monitors/{self._environment}/{name}")
        return found

    @property
    def tracking_uri(self) -> str:
        """Where MLflow answers."""
        return f"{self.http.url}/mlflow"

    def point_mlflow_here(self) -> None:
        """Send this process's MLflow calls to this server, under this token."""
        bound = self._who.get("environment")
        os.environ["MLFLOW_TRACKING_URI"] = os.environ["MLFLOW_REGISTRY_URI"] = self.tracking_uri
        os.environ["MLFLOW_TRACKING_TOKEN"] = (self.http.token or "") + ("" if bound else f"@{self._environment}")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """A request to the API."""
        return self.http.call(method, path, body)

    @property
    def owns_home(self) -> bool:
        """Whether this process opened the home itself, so that what runs in the background ends with it."""
        return self._on_close is not None

    def settle(self, seconds: float = 3600) -> None:
        """Where this process owns the home, wait until everything that events have started is done."""
        if self.owns_home:
            self.await_idle(seconds)

    def await_idle(self, seconds: float = 3600) -> None:
        """Wait until no event waits and no run goes on, whoever started it."""
        limit = time.monotonic() + seconds
        while not self.http.call("GET", "/api/v1/idle")["idle"] and time.monotonic() < limit:
            time.sleep(0.2)

    def close(self) -> None:
        """Let go of the connection; in process, of the home too."""
        self.http.close()
        if self._on_close:
            self._on_close()
            self._on_close = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._environment} at {self.http.url} as {self.principal})"


def _sees_home(who: Mapping[str, Any]) -> bool:
    """Whether the server's home lies here: a folder of its name alone may be another's."""
    try:
        return Path(who["home"], MARK).read_text() == str(who["mark"])
    except (KeyError, OSError):
        return False
