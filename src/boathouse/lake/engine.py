"""DuckDB over Delta: plain tables through `read_parquet` of the files that Delta names, others through `scan()`."""

import atexit
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import duckdb
import pyarrow as pa
from deltalake import DeltaTable
from duckdb.func import ARROW, SPECIAL

from boathouse.lake.frames import sql_type
from boathouse.lake.relation import Relation

_BLOCKED = ("deletionVectors", "columnMapping")


class Engine:
    """A DuckDB connection of one's own; cursors of it run side by side."""

    def __init__(self, temporary: Path | None = None, memory: str | None = None) -> None:
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

    def lock(self, folders: Sequence[str]) -> None:
        """From now on nothing outside these folders is opened and no setting changes."""
        allowed = ", ".join("'" + folder.replace("'", "''") + "/'" for folder in folders)
        self.connection.execute(f"SET allowed_directories=[{allowed}]")
        self.connection.execute("SET enable_external_access=false")
        self.connection.execute("SET lock_configuration=true")

    def scan(self, table: DeltaTable) -> str:
        """SQL of a relation over one snapshot."""
        return parquet_sql(table) or self.register(_read_all(table))

    def register(self, frame: pa.Table) -> str:
        """An Arrow table under a name of its own; the name, quoted."""
        self._names += 1
        name = f"frame_{self._names}"
        self.connection.register(name, frame)
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
        atexit.register(self.connection.close)  # else the interpreter's end finds the function still held
        return quoted(name)

    def relation(self, sql: str) -> Relation:
        """A lazy relation over a query."""
        return Relation(self.connection.sql(sql))


def parquet_sql(table: DeltaTable) -> str | None:
    """SQL that reads a snapshot's files, on whatever connection; None where only `scan()` reads them right."""
    schema = pa.schema(table.schema().to_arrow())
    features = set(table.protocol().reader_features or ())
    if features & set(_BLOCKED) or not table.table_uri.startswith(("file:", "/")):
        return None
    files = _local_files(table)
    empty = ", ".join(f"NULL::{duckdb_type(f.type)} AS {quoted(f.name)}" for f in schema)
    if not files:
        return f"(SELECT {empty} WHERE false)"
    listed = ", ".join("'" + f.replace("'", "''") + "'" for f in files)
    options = "union_by_name=true"
    if partitions := table.metadata().partition_columns:
        kinds = ", ".join(f"{quoted(p)}: {duckdb_type(schema.field(p).type)}" for p in partitions)
        options += f", hive_partitioning=true, hive_types={{{kinds}}}"
    columns = ", ".join(quoted(n) for n in schema.names)
    # a column that came later may be in none of the files that are left
    rows = f"SELECT * FROM read_parquet([{listed}], {options}) UNION ALL BY NAME SELECT {empty} WHERE false"
    return f"(SELECT {columns} FROM ({rows}))"


def _read_all(table: DeltaTable) -> pa.Table:
    return pa.RecordBatchReader.from_stream(table.scan()).read_all()


def _local_files(table: DeltaTable) -> list[str]:
    # delta-rs percent-encodes the table's folder in these paths, but not what lies below it
    encoded = urlparse(table.table_uri).path
    return [os.path.join(unquote(encoded), uri.removeprefix("file://").removeprefix(encoded)) for uri in table.file_uris()]


def quoted(name: str) -> str:
    """An identifier, safe inside SQL."""
    return '"' + name.replace('"', '""') + '"'


def duckdb_type(kind: pa.DataType) -> str:
    """The DuckDB type that reads an Arrow type."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return duckdb_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{quoted(f.name)} {duckdb_type(f.type)}" for f in kind) + ")"
    if pa.types.is_map(kind):
        return f"MAP({duckdb_type(kind.key_type)}, {duckdb_type(kind.item_type)})"
    names: dict[str, Any] = {"string": "VARCHAR", "binary": "BLOB"}
    return str(names.get(sql_type(kind), sql_type(kind)))
