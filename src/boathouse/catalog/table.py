"""A table in a caller's hands: the catalog has said yes, and hears of every read and write."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from boathouse import clock
from boathouse.catalog.expectations import Gate
from boathouse.catalog.served import ServedFolder
from boathouse.catalog.table_stream import TableStream
from boathouse.catalog.values import Making, Sources, TableAccess, TableInfo
from boathouse.errors import DuplicateKey, InvalidInput, NotPermitted
from boathouse.lake import (
    UNCHANGED,
    Cluster,
    Commit,
    DeltaFolder,
    Engine,
    Frame,
    Origin,
    Relation,
    Vacuumed,
    batches,
    column_types,
    fitted,
    origin_of,
)

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame

Columns = Sequence[tuple[str, str]]
"""(column, SQL type) in order."""

_KEYS_GOOD_FOR = timedelta(minutes=5)
"""What an operation starts with at least; the catalog gives new keys from half of their life on."""

_MAY_CHANGE_COLUMNS = ("WRITE", "OVERWRITE", "MERGE", "RESTORE")
_BY_ITSELF = Making(sources=())
"""Of a write that takes nothing from elsewhere."""


class TablePort(Protocol):
    """What a table needs of the platform."""

    def note_read(self, name: str, version: int) -> None:
        """A version was read."""

    def note_write(self, name: str, commit: Commit, columns: Columns | None, making: Making) -> None:
        """A version was written; `columns` where the write may have changed them."""

    def check_columns(self, name: str, columns: Columns, force: bool) -> None:
        """Before a table has these columns. Raises Conflict for one in use that goes or changes, unless forced."""

    def sql(self, query: str) -> Relation:
        """Rows through the server."""

    def work(self, name: str, operation: str, arguments: Mapping[str, Any], rows: Frame | None) -> tuple[Any, pa.Table]:
        """An operation that the server does with a table; its answer and rows."""


class Table:
    """Reads and writes of one table. Names of columns in `where` are SQL, times are UTC."""

    def __init__(self, access: TableAccess, port: TablePort, engine: Engine,
                 reopen: Callable[[str], TableAccess]) -> None:  # fmt: skip
        self._port = port
        self._engine = engine
        self._reopen = reopen
        self._take(access)

    @property
    def name(self) -> str:
        """The full name, `environment.schema.table`."""
        return self._access.info.name

    @property
    def info(self) -> TableInfo:
        """Keys, times, description and owner, as of when the table was opened."""
        return self._access.info

    @property
    def version(self) -> int:
        """The newest version."""
        return self._folder.version()

    @property
    def table_id(self) -> str | None:
        """Delta's own id, by which a table is told from one that had its name before; None through the server."""
        folder = self._folder
        return str(folder.table().metadata().id) if isinstance(folder, DeltaFolder) else None

    @property
    def keeps_changes(self) -> bool:
        """Whether commits tell the rows that they change; else `changes` has all rows of the files that they rewrite."""
        folder = self._folder
        return not isinstance(folder, DeltaFolder) or folder.properties().get("delta.enableChangeDataFeed") == "true"

    def schema(self) -> pa.Schema:
        """Columns and Arrow types of the newest version."""
        return self._folder.schema()

    def read(self, version: int | None = None, timestamp: datetime | str | None = None,
             columns: Sequence[str] | None = None, where: str | None = None) -> Relation:  # fmt: skip
        """Rows, lazily, of the newest or a given version, or as of a time (UTC, where it has no zone).

        Files that hold no row for `where` are not opened. Raises NotFound for a version that is not there.
        """
        self._need("SELECT")
        try:
            timestamp = clock.parse_instant(timestamp) if timestamp else None
        except ValueError as error:
            raise InvalidInput(f"{timestamp!r} is no time of {self.name}: write it as 2025-03-30T12:00:00+02:00") from error
        selected = ", ".join(f'"{c}"' for c in columns) if columns else "*"
        condition = f" WHERE {where}" if where else ""
        if self._access.through == "server":
            then = f" VERSION AS OF {version:d}" if version is not None else ""
            then = f" TIMESTAMP AS OF '{timestamp.isoformat()}'" if timestamp and not then else then
            return self._port.sql(f"SELECT {selected} FROM {self.name}{then}{condition}")
        return self._engine.relation(f"SELECT {selected} FROM {self.scan(version, timestamp, where)}{condition}")

    def scan(self, version: int | None = None, timestamp: datetime | None = None, where: str | None = None) -> str:
        """SQL of a relation over one version, for use inside larger queries on the same engine.

        With `where`, files that hold no row for it are left out; the query still has to filter the rows of the others.
        """
        self._need("SELECT")
        if self._access.through == "server":
            return self._engine.register(self.read(version, timestamp).to_arrow())
        folder = self._folder
        assert isinstance(folder, DeltaFolder)
        snapshot = folder.snapshot(version, timestamp)
        self._port.note_read(self.name, snapshot.version())
        return self._engine.remember(self._engine.scan(snapshot, where), Origin(self.name, str(snapshot.version())))

    def frame(self, cluster: Cluster) -> "DataFrame":
        """The newest version as a frame of a cluster, which opens the files with keys of its own.

        Raises NotPermitted where rows come through the server alone: masks and filters hold only there.
        """
        self._need("SELECT")
        folder = self._folder
        if not isinstance(folder, DeltaFolder):
            raise NotPermitted(
                f"{self.name} is read through the server alone (it has masks or a filter, is a view, or its store gives "
                "no keys), which a cluster cannot do: read it with lake.sql(), or with BOATHOUSE_ENGINE=duckdb"
            )
        version = folder.version()
        self._port.note_read(self.name, version)
        return cluster.scan(self.info.location, version)

    def append(self, df: Frame, transaction: tuple[str, int] | None = None, evolve: bool = False,
               sources: Sources | None = None, marks: Mapping[str, int] | None = None) -> Commit:  # fmt: skip
        """Add rows. A transaction (application id, number) that was committed before adds nothing.

        `marks` (application id -> number) go with the rows; where one stands at its number already, nothing is added.
        `sources` names what the rows were made out of, for the lineage, where the frame does not bring it along.
        """
        making = Making(origin_of(df), sources)
        both = {**dict([transaction] if transaction else []), **(marks or {})}
        return self._write(lambda: self._gate().write(
            df, lambda rows: self._folder.append(rows, transaction, evolve, marks), both,
        ), making)  # fmt: skip

    def overwrite(self, df: Frame, where: str | None = None, evolve: bool = False,
                  sources: Sources | None = None, marks: Mapping[str, int] | None = None,
                  force: bool = False) -> Commit:  # fmt: skip
        """Replace all rows, or those that `where` names; `sources` as for `append`, `marks` as for `merge`.

        With `evolve` the columns are replaced too. Raises Conflict for one in use that would go or have another type,
        unless forced.
        """
        def act(rows: Frame) -> Commit:
            folder = self._folder
            if isinstance(folder, DeltaFolder):
                return folder.overwrite(rows, where, evolve, marks, self._permit(force))
            return folder.overwrite(rows, where, evolve, marks, force)

        making = Making(origin_of(df), sources, replaces=where is None)
        return self._write(lambda: self._gate().write(df, act, marks, renewed=evolve and not where), making)

    def merge(self, df: Frame, on: Sequence[str] | None = None, evolve: bool = False, update: bool = True,
              sources: Sources | None = None, marks: Mapping[str, int] | None = None,
              dropping: str | None = None) -> Commit:  # fmt: skip
        """Update rows with equal keys and insert the others; keys default to the table's own, `sources` as for `append`.

        A column that `df` lacks keeps its values in rows that are there, and is null in those that are inserted.
        A table with a known-time column keeps every (keys, event time, known time): what was known
        before is never erased, and a new version has the columns that `df` lacks as they were known then.
        `update=False` leaves rows that are there as they are. Where `dropping`, a Boolean column of `df` alone, is
        true, the row with its keys is removed. `marks` (application id -> number) go with the rows; where all stand
        at their numbers already, or beyond, nothing is done. Raises DuplicateKey when two rows of `df` share a key.
        """
        keys = list(on or self.info.primary_keys)
        if not keys:
            raise InvalidInput(f"{self.name} has no primary keys: say `on=[…]`")
        if self.info.known_time and self.info.known_time not in keys:
            keys.append(self.info.known_time)
        making = Making(origin_of(df), sources)
        rows = batches(df).read_all()
        check_keys(rows, keys, self.name)
        return self._write(lambda: self._gate().write(
            rows, lambda kept: self._folder.merge(kept, keys, evolve, update, marks, dropping, self.info.known_time), marks,
            dropping, keys=keys if update else (),
        ), making)  # fmt: skip

    def fill(self, df: Frame, on: Sequence[str], columns: Sequence[str], sources: Sources | None = None) -> Commit:
        """Set some columns of rows that are there; nothing is inserted. `sources` as for `append`."""
        return self._write(lambda: self._gate().fill(df, on, columns), Making(origin_of(df), sources))

    def delete(self, where: str | None = None) -> Commit:
        """Remove the rows that `where` names; all without it."""
        return self._write(lambda: self._folder.delete(where), Making(sources=(), replaces=where is None))

    def update(self, values: Mapping[str, str], where: str | None = None) -> Commit:
        """Set columns to SQL expressions."""
        return self._write(lambda: self._gate().update(values, where))

    def restore(self, version: int, force: bool = False) -> Commit:
        """Make an old version the newest.

        Raises Conflict where a column in use would go or have another type, unless forced.
        """
        def act() -> Commit:
            folder = self._folder
            if isinstance(folder, DeltaFolder):
                return folder.restore(version, self._permit(force))
            return folder.restore(version, force)

        return self._write(act, Making(sources=(), restored=version))

    def optimize(self, z_order: Sequence[str] = ()) -> Commit:
        """Rewrite small files as large ones, clustered by columns where given."""
        return self._write(lambda: self._folder.optimize(z_order))

    def checkpoint(self) -> int:
        """Write the newest version's state whole, so that opening reads no commit before it; the version."""
        self._need("MODIFY")
        return self._folder.checkpoint()

    def vacuum(self, retention_hours: int = 168, dry_run: bool = False) -> Vacuumed:
        """Delete files that no version inside the retention needs, and none that something pinned.

        The server does it, since it knows the pins. What was kept, and for whom, is in the answer.
        """
        self._need("MODIFY")
        arguments = {"retention_hours": retention_hours, "dry_run": dry_run}
        return Vacuumed.from_dict(self._port.work(self.name, "vacuum", arguments, None)[0])

    def is_there(self) -> bool:
        """Whether its files are, which go with the table; one that is asked for through the server is not looked for."""
        return not isinstance(self._folder, DeltaFolder) or self._folder.exists()

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, newest first."""
        self._need("SELECT")
        return self._folder.history(limit)

    def changes(self, since: int, until: int | None = None) -> Relation:
        """Change rows of the versions after `since` up to `until`, with `_change_type` and `_commit_version`, as a stream.

        Raises NotPermitted for a table with masks or a filter, InvalidInput where the changes are not kept.
        """
        self._need("SELECT")
        newest = self._folder.version()
        read = newest if until is None else min(until, newest)
        rows = self._engine.register(self._folder.changes(since, read))
        self._port.note_read(self.name, read)
        scan = self._engine.remember(rows, Origin(inputs={"rows": Origin(self.name, str(read))}))
        return self._engine.relation(f"SELECT * FROM {scan}")

    def stream(self, where: str | None = None) -> TableStream:
        """The rows, and then those that come: for `write_table` and `score_stream`."""
        return TableStream(self.name, where)

    def transaction_version(self, application: str) -> int | None:
        """The newest number that an application committed here, for incremental work."""
        return self._folder.transaction_version(application)

    def _write(self, act: Callable[[], Commit], making: Making = _BY_ITSELF) -> Commit:
        self._need("MODIFY")
        commit = act()
        if commit.operation == UNCHANGED:
            return commit
        columns = self._columns() if commit.operation in _MAY_CHANGE_COLUMNS else None
        self._port.note_write(self.name, commit, columns, making)
        return commit

    def _gate(self) -> Gate:
        """What rows pass on their way in; where the server writes them, it asks."""
        info, folder = self.info, self._folder
        if isinstance(folder, ServedFolder):
            info = replace(info, expectations={})

        def keep(rows: pa.Table, batch: str, number: int) -> None:
            self._port.work(self.name, "quarantine", {"batch": batch, "number": number}, rows)

        def note(result: Mapping[str, Any]) -> None:
            self._port.work(self.name, "note_checks", {"result": dict(result)}, None)

        return Gate(info, folder, keep, note)

    def _permit(self, force: bool) -> Callable[[Columns], None]:
        return lambda columns: self._port.check_columns(self.name, columns, force)

    def _columns(self) -> Columns:
        folder = self._folder
        held = pa.schema(folder.held().schema().to_arrow()) if isinstance(folder, DeltaFolder) else folder.schema()
        return column_types(held)

    def _need(self, privilege: str) -> None:
        if privilege not in self._access.privileges:
            self._take(self._reopen(privilege))

    def _take(self, access: TableAccess) -> None:
        self._access = access
        self._opened: DeltaFolder | ServedFolder = (
            ServedFolder(access.info.name, self._port) if access.through == "server"
            else DeltaFolder(access.info.location, access.info.name, access.credentials)
        )  # fmt: skip

    @property
    def _folder(self) -> DeltaFolder | ServedFolder:
        """The table's files, under keys that are good for a while."""
        until = self._access.expires_at
        if until and until - clock.now() < _KEYS_GOOD_FOR:
            self._take(self._reopen("MODIFY" if "MODIFY" in self._access.privileges else "SELECT"))
        return self._opened


def check_keys(rows: pa.Table, keys: Sequence[str], name: str) -> None:
    """Raises InvalidInput for a key that is absent or null, DuplicateKey where two rows share one."""
    if absent := [k for k in keys if k not in rows.column_names]:
        raise InvalidInput(f"{name} is merged on {', '.join(keys)}, but the rows have no column {absent[0]!r}")
    wanted = fitted(rows.select(list(keys)), name)  # Arrow groups by no string_view, which is what Polars has
    counted = wanted.group_by(list(keys)).aggregate([([], "count_all")])
    if counted.num_rows < rows.num_rows:
        twice = next(r for r in counted.to_pylist() if r["count_all"] > 1)
        twice.pop("count_all")
        raise DuplicateKey(f"{name}: {rows.num_rows - counted.num_rows} rows repeat a key, for example {twice}")
    for key in keys:
        if rows.column(key).null_count:
            raise InvalidInput(f"{name}.{key} is a key and may not be null ({rows.column(key).null_count} rows are)")
