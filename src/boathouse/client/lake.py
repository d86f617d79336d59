"""The lakehouse in a user's hands: `lake = boathouse.connect()`."""

import base64
import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property
from typing import Any

import pyarrow as pa

from boathouse import context, names, settings
from boathouse.catalog import Clone, Making, Table, TableAccess, TableInfo, without
from boathouse.client.connection import Connection
from boathouse.client.engines import engine_within
from boathouse.client.functions import Functions
from boathouse.client.http import Http
from boathouse.client.loading import Loading
from boathouse.client.query import Answer
from boathouse.client.reads import Reads
from boathouse.client.volume import Volume
from boathouse.client.volumes import Volumes
from boathouse.context import RunFacts
from boathouse.errors import NotFound, NotPermitted
from boathouse.lake import (
    Commit,
    Engine,
    Frame,
    Origin,
    Relation,
    Storage,
    batches,
    cluster_at,
    local_path,
    origin_of,
    relation_over,
    schema_named,
)


class Lake(Connection, Loading):
    """Tables, SQL, jobs and models of one environment, under one identity. A context manager."""

    def __init__(self, http: Http, environment: str, run: RunFacts | None = None,
                 on_close: Callable[[], None] | None = None, engine: str = "duckdb",
                 given: settings.Settings | None = None) -> None:  # fmt: skip
        self._run = run or RunFacts()
        super().__init__(http, environment, self._run.project, on_close)
        self._reads = Reads(self.complete)
        self.cluster = cluster_at(engine)
        self._settings = given or settings.load()
        self.volumes = Volumes(http, self.complete, self._reads, self._environment, self.same_machine)
        self.functions = Functions(http, self.complete, self._environment)

    @property
    def run(self) -> RunFacts:
        """The run this code is part of."""
        return self._run

    @cached_property
    def engine(self) -> Engine:
        """The DuckDB engine that computes in this process; made when first needed."""
        return engine_within(self._settings)

    def beside(self) -> "Lake":
        """The same connection with an engine of its own and no cluster, for another thread."""
        other = copy.copy(self)
        other.__dict__["engine"] = engine_within(self._settings)
        other.cluster = None
        return other

    def sql(self, query: str, params: Mapping[str, Any] | Sequence[Any] | None = None) -> Relation:
        """Rows of a query over what you may read, or what a statement did; two-level names mean this environment.

        `params` stand for `$name`, or for `?` and `$1` in order. A result beyond 32 MiB streams: it is read once, as it
        comes. Raises InvalidInput for SQL that cannot run, NotPermitted and NotFound naming the table.
        """
        answer = Answer(self.http, {"query": query, "environment": self._environment, "parameters": params})
        for name, version in _versions(answer.reader.schema.metadata):
            self.note_read(name, version)
        return relation_over(self.engine, answer.reader, origin_of(answer.reader), answer.close)

    def work(self, name: str, operation: str, arguments: Mapping[str, Any], rows: Frame | None) -> tuple[Any, pa.Table]:
        """An operation on a table that the server does, for callers whose store gives no keys of their own."""
        return self.http.exchange(f"/api/v1/tables/{name}/work/{operation}", arguments, rows)

    def table(self, name: str) -> Table:
        """A table. Raises NotFound, NotPermitted."""
        full = self.complete(name)
        try:
            access = self._open(full, ("SELECT",))
        except NotPermitted:
            access = self._open(full, ("MODIFY",))

        return self._table(full, access)

    def table_to_publish(self, name: str, store: str) -> tuple[Table, str]:
        """A table and where a named online store is, in one question. Raises NotFound, NotPermitted."""
        full = self.complete(name)
        asked = {"write": True, "store": store, "open": True}
        found = self.http.call("GET", f"/api/v1/online-tables/{full}/location", params=asked)
        return self._table(full, self._here(TableAccess.from_dict(found["table"]))), str(found["location"])

    def _table(self, name: str, access: TableAccess) -> Table:
        return Table(access, self, self.engine, lambda privilege: self._open(name, (privilege,)))

    def table_info(self, name: str) -> TableInfo:
        """A table's description. Raises NotFound, NotPermitted."""
        return TableInfo.from_dict(self.http.call("GET", f"/api/v1/tables/{self.complete(name)}"))

    def table_exists(self, name: str) -> bool:
        """Whether the table exists and you may see it."""
        try:
            self.table_info(name)
        except (NotFound, NotPermitted):
            return False
        return True

    def tables(self, schema: str | None = None) -> list[TableInfo]:
        """Tables of this environment that you may see."""
        if schema and self._scratch:
            schema = names.scratch_schema(self._scratch, schema)
        full = f"{self._environment}.{schema}" if schema else None
        rows = self.http.pages("/api/v1/tables", {"environment": self._environment, "schema": full})
        return [TableInfo.from_dict(r) for r in rows]

    def create_table(self, name: str, schema: Frame | Mapping[str, str], *, primary_keys: Sequence[str] = (),
                     event_time: str | None = None, known_time: str | None = None,
                     partition_by: Sequence[str] = (), description: str = "",
                     tags: Mapping[str, str] | None = None, column_comments: Mapping[str, str] | None = None,
                     constraints: Mapping[str, str] | None = None, properties: Mapping[str, str] | None = None,
                     exists_ok: bool = False, location: str | None = None,
                     expectations: Mapping[str, str | Mapping[str, str]] | None = None,
                     freshness: timedelta | None = None) -> Table:  # fmt: skip
        """A new table, empty or with the rows of a frame.

        `schema` is a frame, `{column: type}`, DDL (`id BIGINT, place STRING`), or a schema of Arrow's, Polars' or Spark's.
        `primary_keys` includes the event time. `properties` are Delta's: `{"delta.autoOptimize.autoCompact": "true"}` joins
        small files as they come.
        `location` is a place inside an external location; a Delta table that lies there already must have these columns.
        `expectations` (name -> `{"expr": "temp > -90", "action": "warn"}`, or `drop`, `fail`) are asked of every batch that
        is written; `freshness` is how far the newest event may lie back.
        Raises AlreadyExists unless `exists_ok`, InvalidInput for keys or times that are no columns, and what an append raises;
        no table is made then.
        """
        named = schema_named(schema)
        arrow = batches(schema).schema if named is None else named
        existed = exists_ok and self.table_exists(name)
        body = {
            "name": self.complete(name), "arrow_schema": base64.b64encode(arrow.serialize().to_pybytes()).decode(),
            "primary_keys": list(primary_keys), "event_time": event_time, "known_time": known_time,
            "partition_by": list(partition_by), "description": description, "tags": dict(tags or {}),
            "column_comments": dict(column_comments or {}), "constraints": dict(constraints or {}),
            "properties": dict(properties or {}), "exists_ok": exists_ok, "location": location,
            "expectations": dict(expectations or {}), "freshness": freshness.total_seconds() if freshness else None,
        }  # fmt: skip
        self.http.call("POST", "/api/v1/tables", body)
        table = self.table(name)
        if not existed and named is None:
            try:
                table.append(schema)
            except BaseException:
                self.drop_table(name, force=True)  # else the next try would meet an empty table
                raise
        return table

    def register_table(self, name: str, location: str, *, primary_keys: Sequence[str] = (), event_time: str | None = None,
                       known_time: str | None = None, description: str = "",
                       tags: Mapping[str, str] | None = None) -> Table:  # fmt: skip
        """The Delta table that lies inside an external location, under a name; its files stay when it is dropped.

        Raises NotFound where none lies, Conflict when the place overlaps another table, NotPermitted.
        """
        body = {"name": self.complete(name), "location": location, "primary_keys": list(primary_keys),
                "event_time": event_time, "known_time": known_time, "description": description,
                "tags": dict(tags or {})}  # fmt: skip
        self.http.call("POST", "/api/v1/tables", body)
        return self.table(name)

    def location(self, name: str, write: bool = False) -> Storage:
        """The files of an external location, opened for minutes; `.store()` is an obstore store of them.

        Raises NotPermitted without READ FILES or WRITE FILES, Conflict while tables lie there.
        """
        opened = self.http.call("POST", f"/api/v1/locations/{name}/open", {"write": write})
        return Storage(opened["url"], opened["credentials"])

    def clone_table(self, source: str, target: str, *, version: int | None = None, shallow: bool = False,
                    sample: str | int | None = None, by: Sequence[str] = (), mask: bool = False, synthetic: bool = False,
                    keys: Sequence[str] = (), seed: int | str | None = None) -> Clone:  # fmt: skip
        """A new table with the rows of another, as you see them, under the same masks and filter.

        `shallow` shares the files; `sample` is a share (`"10%"`) or a number of rows, chosen by the keys or the columns
        `by`; `mask` masks as for somebody in no group; `synthetic` makes rows up, with `keys` beside the known ones mapped
        one to one. A `seed` makes clones of several tables fit together.
        Raises NotFound, NotPermitted, AlreadyExists, InvalidInput.
        """
        body = {
            "target": self.complete(target), "version": version, "shallow": shallow, "mask": mask, "synthetic": synthetic,
            "sample": None if sample is None else str(sample), "by": list(by), "keys": list(keys),
            "seed": None if seed is None else str(seed),
        }  # fmt: skip
        path = f"/api/v1/tables/{self.complete(source)}/clone"
        return Clone.from_dict(self.http.call("POST", path, body, patience=None))

    def volume(self, name: str) -> Volume:
        """A volume of files. Raises NotFound, NotPermitted."""
        return self.volumes.get(name)

    def describe_table(self, name: str, **changes: Any) -> TableInfo:
        """Change a table's description, tags, masks, row filter, expectations or freshness (seconds)."""
        return TableInfo.from_dict(self.http.call("PATCH", f"/api/v1/tables/{self.complete(name)}", changes))

    def set_expectations(self, name: str, expectations: Mapping[str, str | Mapping[str, str]]) -> TableInfo:
        """What rows of a table are expected to be, in place of what was; see `create_table`. Needs MANAGE.

        Raises InvalidInput for one that the table's rows cannot be asked.
        """
        return self.describe_table(name, expectations=dict(expectations))

    def remove_expectation(self, name: str, expectation: str) -> TableInfo:
        """Expect one thing less. Raises InvalidInput where there is none of the name."""
        info = self.table_info(name)
        return self.describe_table(name, expectations=without(info.expectations, expectation, info.name))

    def reads(self) -> dict[str, int]:
        """Table -> newest version, of all that was read through this connection."""
        return self._reads.newest

    def note_read(self, name: str, version: int) -> None:
        """A version was read."""
        self._reads.note(name, version)

    def note_write(self, name: str, commit: Commit, columns: Sequence[tuple[str, str]] | None, making: Making) -> None:
        """A version was written: tell the catalog, with what it was made out of."""
        if commit.operation == "CREATE TABLE":
            return
        replaces = making.replaces and not self._reads.may_hold_itself(name, making)
        body = {"version": commit.version, "operation": commit.operation, "columns": columns,
                "sources": self._reads.sources(name, making), "origin": making.origin.to_dict() or None,
                "replaces": replaces, "restored": making.restored}  # fmt: skip
        self.http.call("POST", f"/api/v1/tables/{name}/commits", body)

    def check_columns(self, name: str, columns: Sequence[tuple[str, str]], force: bool) -> None:
        """Before a table has these columns. Raises Conflict for one in use that goes or changes, unless forced."""
        body = {"privileges": ["MODIFY"], "columns": dict(columns), "force": force}
        self.http.call("POST", f"/api/v1/tables/{name}/open", body)

    def note_lineage(self, target: str, version: str, origin: Origin) -> None:
        """Say what a model was made out of, as far as `origin` tells; else what was read before it."""
        body = {"target": target, "version": version, "sources": self._reads.sources(target, Making(origin)),
                "origin": origin.to_dict() or None}  # fmt: skip
        self.http.call("POST", "/api/v1/lineage", body)

    def close(self) -> None:
        """Let go of the connection; in process, of the home too."""
        context.forget(self)
        if self.cluster:
            self.cluster.close()
        super().close()

    def _open(self, name: str, privileges: Sequence[str]) -> TableAccess:
        body = {"privileges": list(privileges)}
        return self._here(TableAccess.from_dict(self.http.call("POST", f"/api/v1/tables/{name}/open", body)))

    def _here(self, access: TableAccess) -> TableAccess:
        """As this machine can use it: another's files are reached through the server."""
        if access.through == "files" and local_path(access.info.location) and not self.same_machine:
            return replace(access, through="server")
        return access


def _versions(metadata: Mapping[bytes, bytes] | None) -> list[tuple[str, int]]:
    found = []
    for key, value in (metadata or {}).items():
        if key.startswith(b"boathouse.read."):
            with contextlib.suppress(ValueError):
                found.append((key.decode().removeprefix("boathouse.read."), int(value)))
    return found
