"""Moves endpoints' logged requests from their spools into bronze tables."""

import json
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from filelock import FileLock

from boathouse.catalog import Catalog, Making, SqlDesk, Table, TableAccess, TableSpec
from boathouse.environments import Deployments
from boathouse.errors import BoathouseError, Unavailable
from boathouse.identity import Identity
from boathouse.lake import Commit, Engine, Frame, Relation
from boathouse.serving import PAYLOAD_SCHEMA, captured_as, flush, served_entity

_log = logging.getLogger(__name__)
_SECONDS = 5.0


class InferenceFlush:
    """A background flusher; `flush` moves one endpoint's requests at once."""

    def __init__(self, catalog: Catalog, deployments: Deployments, identity: Callable[[str], Identity], spool: Path,
                 owned: Callable[[], bool], sql: SqlDesk) -> None:  # fmt: skip
        self._catalog = catalog
        self._deployments = deployments
        self._identity = identity
        self._spool = spool
        self._owned = owned
        self._sql = sql
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def start(self) -> None:
        """Flush every few seconds until `stop`."""
        threading.Thread(target=self._run, name="inference-log", daemon=True).start()

    def stop(self) -> None:
        """Stop; what is spooled stays on disk for the next start."""
        self._stop.set()

    def flush(self, environment: str, endpoint: str) -> int:
        """Move what an endpoint has logged, also one that is there no more; how many requests."""
        folder = self._spool / f"{environment}.{endpoint}"
        if not any(folder.glob("**/*.jsonl")):
            return 0
        name, deployed = f"{environment}.{endpoint}", self._deployments.resources("model_serving_endpoint", environment)
        definition = next((r.definition for r in deployed if r.name == endpoint), None)
        with self._lock, FileLock(folder / "flush.lock"):  # another server of the home may be asked for the same
            moved = sum(self._move(name, place.name, place) for place in sorted(folder.iterdir()) if any(place.glob("*.jsonl")))
            if definition is not None and any(folder.glob("*.jsonl")):  # of an earlier version: it had no folders for models
                moved += self._move(name, served_entity(environment, definition)[0], folder)
        if definition is not None:
            model = served_entity(environment, definition)[0]
            if wanted := captured_as(environment, endpoint, model, definition):
                self._view(environment, wanted, f"{model}_payload", name)
        return moved

    def _move(self, endpoint: str, model: str, folder: Path) -> int:
        table = self._table(endpoint.partition(".")[0], f"{model}_payload", model)

        def append(rows: pa.Table, transaction: tuple[str, int]) -> None:
            evolve = not set(rows.column_names) <= {c.name for c in table.info.columns}  # made by an earlier version
            table.append(rows, transaction, evolve, sources=_sources(f"endpoint:{endpoint}", model, rows))

        return flush(folder, table.transaction_version, append)

    def _view(self, environment: str, name: str, table: str, endpoint: str) -> None:
        """The endpoint's own requests under the name that its bundle gives them; whatever has the name already stays."""
        if not self._catalog.exists("table", name):
            query = f"SELECT * FROM {_quoted(table)} WHERE endpoint = '{endpoint}'"  # neither has a quote: names are checked
            statement = f"CREATE VIEW IF NOT EXISTS {_quoted(name)} AS {query}"
            try:
                with self._sql.execute(self._identity(environment), statement, environment):
                    _log.info("%s shows what %s logged", name, endpoint)
            except BoathouseError as error:  # the requests are in the model's table all the same
                _log.warning("%s, where %s wants its requests read, could not be made: %s", name, endpoint, error)

    def _table(self, environment: str, name: str, model: str) -> Table:
        identity = self._identity(environment)
        spec = TableSpec(name, PAYLOAD_SCHEMA, description=f"One row a request to {model}, as it came and went")
        self._catalog.create_table(identity, spec, exists_ok=True)

        def reopen(privilege: str) -> TableAccess:
            return self._catalog.open_here(identity, name, (privilege,))

        return Table(reopen("MODIFY"), _Port(self._catalog, identity), Engine(), reopen)

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            for folder in sorted(self._spool.glob("*.*")) if self._owned() else ():
                environment, _, endpoint = folder.name.partition(".")
                try:
                    self.flush(environment, endpoint)
                except Exception:
                    _log.exception("requests of %s stay spooled", folder.name)


def _quoted(name: str) -> str:
    return ".".join(f'"{level}"' for level in name.split("."))


def _sources(endpoint: str, model: str, rows: pa.Table) -> list[tuple[str, str | None]]:
    """The endpoint, the model's versions that answered, and the tables at the versions that were looked up."""
    versions = {v for v in rows.column("model_version").unique().to_pylist() if v}
    looked_up = {
        (name if name.count(".") == 2 else f"{model.partition('.')[0]}.{name}", str(version))
        for text in rows.column("feature_versions").unique().to_pylist()
        for name, version in json.loads(text or "{}").items()
    }
    return [(endpoint, None), *((f"model:{model}", v) for v in sorted(versions)), *sorted(looked_up)]


class _Port:
    """What a table needs, inside the server."""

    def __init__(self, catalog: Catalog, identity: Identity) -> None:
        self._catalog = catalog
        self._identity = identity

    def note_read(self, name: str, version: int) -> None:
        """Reads of the flusher are no lineage."""

    def note_write(self, name: str, commit: Commit, columns: Sequence[tuple[str, str]] | None, making: Making) -> None:
        """Tell the catalog of the commit."""
        named = [s if isinstance(s, tuple) else (s, None) for s in making.sources or ()]
        sources = [(node, None if version is None else str(version)) for node, version in named]
        self._catalog.note_write(self._identity, name, commit.version, commit.operation, sources)

    def check_columns(self, name: str, columns: Sequence[tuple[str, str]], force: bool) -> None:
        """The flusher replaces no columns."""

    def sql(self, query: str) -> Relation:
        """The flusher asks nothing."""
        raise Unavailable(f"no queries here: {query}")

    def work(self, name: str, operation: str, arguments: Mapping[str, Any], rows: Frame | None) -> tuple[Any, pa.Table]:
        """The flusher opens the files itself."""
        raise Unavailable(f"no {operation} of {name} for {self._identity.principal} here")
