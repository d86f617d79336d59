"""DuckDB over Delta: plain tables through `read_parquet` of the files that Delta names, others as a stream."""

import atexit
import inspect
import re
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from duckdb.func import ARROW, SPECIAL

from boathouse.lake.frames import Stream
from boathouse.lake.limits import limited
from boathouse.lake.literals import quoted
from boathouse.lake.origin import UNKNOWN, Origin, origin_of
from boathouse.lake.relation import Relation
from boathouse.lake.snapshot import data_files, files_sql
from boathouse.lake.storage import local_path

_REGISTERED = re.compile(r'"?\b(frame_\d+)\b"?')
_FEW_ROWS = 100_000
_MOST_SCANS = 200
"""Scans whose origin is remembered; a process that reads ever new versions must not grow."""


_connections: "weakref.WeakSet[duckdb.DuckDBPyConnection]" = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    # else the interpreter's end finds what they were given still held, and says so
    for connection in list(_connections):
        connection.close()


class Engine:
    """A DuckDB connection of one's own; cursors of it run side by side.

    Beyond `memory` (None: four fifths of the machine's) it spills to the folder `temporary`, which must be no other's and
    is made when it is needed.
    """

    def __init__(self, temporary: Path | None = None, memory: str | None = None) -> None:
        self.temporary = temporary
        self.spool: Path | None = None
        self.connection = duckdb.connect(":memory:")
        self.connection.execute("SET TimeZone='UTC'")
        self.connection.execute("SET enable_progress_bar=false")
        # insertion order is kept only where a query orders: large writes then need far less memory
        self.connection.execute("SET preserve_insertion_order=false")
        if temporary is not None:
            self.connection.execute(f"SET temp_directory='{str(temporary).replace(chr(39), '')}'")
        if memory:
            self.connection.execute(f"SET memory_limit='{memory}'")
        self._names = 0
        self._scans: dict[str, Origin] = {}
        self._frames: dict[str, Origin] = {}
        _connections.add(self.connection)

    def lock(self, folders: Sequence[str]) -> None:
        """From now on nothing outside these folders is opened and no setting changes."""
        allowed = ", ".join("'" + folder.replace("'", "''") + "/'" for folder in folders)
        self.connection.execute(f"SET allowed_directories=[{allowed}]")
        self.connection.execute("SET enable_external_access=false")
        self.connection.execute("SET lock_configuration=true")

    def scan(self, table: DeltaTable, where: str | None = None) -> str:
        """SQL of a relation over one snapshot; files that hold no row for `where` are left out, other rows are not.

        A table whose files alone do not say its rows, or that is not on this machine, is streamed.
        """
        if files := data_files(table, where):
            root = local_path(table.table_uri)
            if root:
                return files_sql(files, str(root))
        from boathouse.lake import rescan  # loads pandas

        return self.register(rescan.files_dataset(files, table) if files else rescan.snapshot_rows(table))

    def register(self, frame: Any) -> str:
        """An Arrow table, dataset or stream under a name of its own; the name, quoted. A Stream is never held."""
        self._names += 1
        name = f"frame_{self._names}"
        self.connection.register(name, _settled(frame) if isinstance(frame, Stream) else frame)
        self._frames[name] = origin_of(frame)
        return quoted(name)

    def define(self, function: Callable[..., pa.Array], parameters: Sequence[str], returns: str) -> str:
        """A function of Arrow columns under a name of its own, for use in SQL; nulls reach it. The name, quoted."""
        self._names += 1
        name = f"function_{self._names}"

        def called(*columns: pa.ChunkedArray) -> pa.Array:
            return function(*columns)

        # DuckDB counts the parameters that a signature shows
        shown = [inspect.Parameter(f"p{i}", inspect.Parameter.POSITIONAL_ONLY) for i in range(len(parameters))]
        called.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        self.connection.create_function(
            name, called, list(parameters), returns, type=ARROW, null_handling=SPECIAL, side_effects=True
        )
        return quoted(name)

    def relation(self, sql: str, quick: Callable[[int], pa.RecordBatchReader | None] = lambda _rows: None) -> Relation:
        """A lazy relation over a query; `quick` is another way to its rows, as Relation takes it. Raises InvalidInput."""
        with limited():
            return Relation(self.connection.sql(sql), lambda: self._origin(sql), quick)

    def remember(self, scan: str, origin: Origin) -> str:
        """Say where the rows of a scan come from, so that relations over it know; the scan's SQL to use from now on."""
        if known := _REGISTERED.fullmatch(scan):
            self._frames[known.group(1)] = origin
            return scan
        self._names += 1
        scan = f"{scan}/*scan {self._names}*/"  # scans of two empty tables read alike
        self._scans[scan] = origin
        while len(self._scans) > _MOST_SCANS:
            self._scans.pop(next(iter(self._scans)))
        return scan

    def _origin(self, sql: str) -> Origin:
        inputs: dict[str, Origin] = {}
        for i, (scan, origin) in enumerate(self._scans.items()):
            if scan in sql:
                sql = sql.replace(scan, f"scan_{i}")
                inputs[f"scan_{i}"] = origin
        for name in dict.fromkeys(_REGISTERED.findall(sql)):
            inputs[name] = self._frames.get(name, UNKNOWN)
        return Origin(query=sql, inputs=inputs)


def _settled(stream: Stream) -> Any:
    """Few rows as a table; of many, what reads them anew at each scan."""
    rows: list[pa.RecordBatch] = []
    for batch in stream.open():
        rows.append(batch)
        if sum(b.num_rows for b in rows) > _FEW_ROWS:
            from boathouse.lake import rescan  # loads pandas

            return rescan.stream_rows(stream)
    return pa.Table.from_batches(rows, stream.schema)
