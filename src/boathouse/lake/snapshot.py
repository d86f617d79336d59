"""One version of a table as SQL: its Parquet files where DuckDB may read them itself, else a stream of rows."""

import functools
import operator
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote, urlparse

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from boathouse.lake.frames import sql_type
from boathouse.lake.pruning import may_match
from boathouse.lake.storage import local_path

_REWRITTEN = {"deletionVectors", "columnMapping"}
"""Features under which the rows are not what stands in the files."""

_HIVE = re.compile(r"\w+")
_judging = threading.Lock()


@dataclass(frozen=True)
class DataFiles:
    """The Parquet files of one version that may hold wanted rows.

    `names` are paths below the table's folder, or absolute ones; `schema` is the table's; `partitions` its partition
    columns; `values` each file's partition values; `uniform` whether every file is known to hold every other column;
    `hive` whether the folders' names say the partition values.
    """

    names: tuple[str, ...]
    schema: pa.Schema
    partitions: tuple[str, ...] = ()
    values: tuple[tuple[Any, ...], ...] = ()
    uniform: bool = False
    hive: bool = False

    def sql(self, root: str) -> str:
        """A relation over the files' rows, in the table's columns and types; `root` is the table's folder."""
        if not self.names:
            return f"(SELECT {', '.join(f'NULL::{duckdb_type(f.type)} AS {quoted(f.name)}' for f in self.schema)} WHERE false)"
        files = ", ".join(text(_no_glob(path)) for path in self.paths(root))
        if self.partitions and self.hive and self.uniform:
            return self._hive_sql(files)
        stored = [f for f in self.schema if f.name not in self.partitions]
        # the schema given, no file is opened to learn it, and a column that came later is null
        kinds = ", ".join(
            f"{text(f.name)}: {{name: {text(f.name)}, type: {text(duckdb_type(f.type))}, default_value: NULL}}" for f in stored
        )
        rows = f"read_parquet([{files}], schema=MAP {{{kinds}}}, hive_partitioning=false)"
        return f"(SELECT {', '.join(self._column(name) for name in self.schema.names)} FROM {rows})"

    def paths(self, root: str) -> list[str]:
        """Where the files are on this machine."""
        return [_absolute(root, name) for name in self.names]

    def dataset(self, table: DeltaTable) -> ds.Dataset:
        """The files' rows by way of delta-rs' own file system, for stores that DuckDB cannot read."""
        handler = DeltaStorageHandler.from_table(table._table, table._storage_options)
        files, form = PyFileSystem(handler), ds.ParquetFileFormat()
        fragments = []
        for number, name in enumerate(self.names):
            same = [
                (ds.field(p) == pa.scalar(value, self.schema.field(p).type)) if value is not None else ds.field(p).is_null()
                for p, value in zip(self.partitions, self.values[number] if self.partitions else (), strict=True)
            ]
            told = functools.reduce(operator.and_, same) if same else None
            fragments.append(form.make_fragment(name, files, partition_expression=told))
        return ds.FileSystemDataset(fragments, self.schema, form, files)

    def _hive_sql(self, files: str) -> str:
        kinds = ", ".join(f"{quoted(p)}: {duckdb_type(self.schema.field(p).type)}" for p in self.partitions)
        columns = ", ".join(f"{quoted(f.name)}::{duckdb_type(f.type)} AS {quoted(f.name)}" for f in self.schema)
        return f"(SELECT {columns} FROM read_parquet([{files}], hive_partitioning=true, hive_types={{{kinds}}}))"

    def _column(self, name: str) -> str:
        if name not in self.partitions:
            return quoted(name)
        kind = duckdb_type(self.schema.field(name).type)
        place = self.partitions.index(name)
        of_files = ", ".join(_literal(values[place]) for values in self.values)
        return f"([{of_files}]::{kind}[])[file_index::BIGINT + 1] AS {quoted(name)}"


def data_files(table: DeltaTable, where: str | None = None) -> DataFiles | None:
    """The files that may hold rows which meet a condition; None where DuckDB cannot read this table's files itself."""
    if _is_rewritten(table):
        return None
    schema = pa.schema(table.schema().to_arrow())
    partitions = tuple(table.metadata().partition_columns)
    actions = pa.table(table.get_add_actions(flatten=True))
    if where and actions.num_rows:
        actions = _kept(actions, where, schema, partitions)
    names = tuple(unquote(path) for path in actions.column("path").to_pylist())
    if not partitions or not names:
        return DataFiles(names, schema, partitions)
    values = tuple(zip(*(actions.column(f"partition.{p}").to_pylist() for p in partitions), strict=True))
    hive = all(_HIVE.fullmatch(p) for p in partitions) and _folders_say(names, actions, partitions, schema)
    widened = "typeWidening" in (table.protocol().reader_features or ())  # DuckDB takes the first file's types
    uniform = not widened and _uniform(actions, schema, partitions)
    return DataFiles(names, schema, partitions, values, uniform, hive)


def parquet_sql(table: DeltaTable, where: str | None = None) -> str | None:
    """SQL that reads the files which may hold rows that meet a condition, on whatever connection on this machine.

    None where DuckDB cannot read this table's files itself.
    """
    root, files = local_path(table.table_uri), data_files(table, where)
    return files.sql(str(root)) if root and files else None


class SnapshotStream(ds.Dataset):  # type: ignore[misc]
    """One version's rows through delta-rs, for DuckDB to scan as often as it likes, in bounded memory."""

    def __init__(self, table: DeltaTable) -> None:
        self._table = table
        self._schema = pa.schema(table.schema().to_arrow())

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self._schema

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_options: Any) -> Any:
        """What DuckDB asks for: these columns of the rows that meet an expression."""
        wanted = list(self._schema.names if columns is None else columns)
        # the expression does not tell which columns it reads; more than it reads does no harm
        said = str(filter)
        read = wanted + [
            n for n in self._schema.names if filter is not None and n not in wanted and (n in said or not n.isidentifier())
        ]
        schema = pa.schema([self._schema.field(n) for n in read])
        stream = pa.RecordBatchReader.from_stream(self._table.scan(columns=read))
        rows = pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in stream))
        return ds.Scanner.from_batches(rows, columns=wanted, filter=filter)


def _is_rewritten(table: DeltaTable) -> bool:
    rewritten = set(table.protocol().reader_features or ()) & _REWRITTEN
    if table.protocol().min_reader_version == 2:  # column mapping, before features had names
        rewritten.add("columnMapping")
    if "columnMapping" in rewritten and table.metadata().configuration.get("delta.columnMapping.mode", "none") == "none":
        rewritten.remove("columnMapping")
    if rewritten == {"deletionVectors"}:  # allowed, but perhaps none was written yet
        return any(batch.num_rows for batch in pa.RecordBatchReader.from_stream(table.deletion_vectors()))
    return bool(rewritten)


def _kept(actions: pa.Table, where: str, schema: pa.Schema, partitions: Sequence[str]) -> pa.Table:
    condition = may_match(where, schema, frozenset(partitions), frozenset(actions.column_names))
    if condition is None:
        return actions
    with _judging:
        try:
            return _judge().from_arrow(actions).filter(f"({condition}) IS NOT FALSE").to_arrow_table()
        except duckdb.Error:
            return actions  # a value that DuckDB cannot compare proves nothing; the query itself will tell


@functools.cache
def _judge() -> duckdb.DuckDBPyConnection:
    # not the caller's connection: a query there would end the result it is reading
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone='UTC'")
    connection.execute("SET threads=1")
    return connection


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    return text(value.isoformat() if isinstance(value, datetime) else str(value))


def _folders_say(names: Sequence[str], actions: pa.Table, partitions: Sequence[str], schema: pa.Schema) -> bool:
    """Whether DuckDB reads the very values of the log out of the folders' names."""
    said: dict[str, list[str]] = {p: [] for p in partitions}
    for name in names:
        levels = [level.split("=", 1) for level in name.split("/")[:-1]]
        if [level[0] for level in levels] != list(partitions) or any(len(level) == 1 for level in levels):
            return False
        for key, value in levels:
            said[key].append(value)
    logged = {f"partition.{p}": actions.column(f"partition.{p}") for p in partitions}
    same = " AND ".join(
        f"""(CASE {quoted(p)} WHEN '__HIVE_DEFAULT_PARTITION__' THEN NULL
             ELSE TRY_CAST(url_decode({quoted(p)}) AS {duckdb_type(schema.field(p).type)}) END)
            IS NOT DISTINCT FROM {quoted('partition.' + p)}"""
        for p in partitions
    )
    with _judging:
        found = _judge().from_arrow(pa.table({**said, **logged})).aggregate(f"bool_and({same})").fetchall()
    return bool(found[0][0])


def _uniform(actions: pa.Table, schema: pa.Schema, partitions: Sequence[str]) -> bool:
    stored = [f"null_count.{name}" for name in schema.names if name not in partitions]
    return all(name in actions.column_names and not actions.column(name).null_count for name in stored)


def _absolute(root: str, name: str) -> str:
    if name.startswith("file:"):
        return urlparse(name).path
    return name if name.startswith("/") else f"{root.rstrip('/')}/{name}"


def _no_glob(path: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)


def text(value: str) -> str:
    """A string, safe inside SQL."""
    return "'" + value.replace("'", "''") + "'"


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
