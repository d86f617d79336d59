"""One version of a table as SQL: its Parquet files where DuckDB may read them itself, else a stream of rows."""

from urllib.parse import urlparse

import pyarrow as pa
from deltalake import DeltaTable

from boathouse.lake.listing import Listing, Listings
from boathouse.lake.literals import duckdb_type, literal, quoted, text
from boathouse.lake.storage import local_path

_REWRITTEN = {"deletionVectors", "columnMapping"}
"""Features under which the rows are not what stands in the files."""

_listings = Listings()


def data_files(table: DeltaTable, where: str | None = None) -> Listing | None:
    """The files that may hold rows which meet a condition; None where the files alone do not tell the rows."""
    return None if _is_rewritten(table) else _listings.of(table, where)


def parquet_sql(table: DeltaTable, where: str | None = None) -> str | None:
    """SQL that reads the files which may hold rows that meet a condition, on whatever connection on this machine.

    None where DuckDB cannot read this table's files itself.
    """
    root = local_path(table.table_uri)
    files = data_files(table, where) if root else None
    return files_sql(files, str(root)) if files else None


def files_sql(files: Listing, root: str) -> str:
    """A relation over the files' rows, in the table's columns and types; `root` is the table's folder."""
    kinds = {f.name: duckdb_type(f.type) for f in files.schema}
    if not files.names:
        return f"(SELECT {', '.join(f'NULL::{kind} AS {quoted(name)}' for name, kind in kinds.items())} WHERE false)"
    listed = ", ".join(text(_no_glob(_absolute(root, name))) for name in files.names)
    if files.uniform and (files.hive or not files.partitions):
        options = "hive_partitioning=false"
        if files.partitions:
            told = ", ".join(f"{quoted(p)}: {kinds[p]}" for p in files.partitions)
            options = f"hive_partitioning=true, hive_types={{{told}}}"
        columns = ", ".join(f"{quoted(name)}::{kind} AS {quoted(name)}" for name, kind in kinds.items())
        return f"(SELECT {columns} FROM read_parquet([{listed}], {options}))"
    # the schema given, a column that came later is null; the partition values go by the number of the file
    schema = ", ".join(
        f"{text(name)}: {{name: {text(name)}, type: {text(kind)}, default_value: NULL}}"
        for name, kind in kinds.items() if name not in files.partitions
    )  # fmt: skip
    columns = ", ".join(_of_file(files, n, kind) if n in files.partitions else quoted(n) for n, kind in kinds.items())
    return f"(SELECT {columns} FROM read_parquet([{listed}], schema=MAP {{{schema}}}, hive_partitioning=false))"


def _is_rewritten(table: DeltaTable) -> bool:
    protocol = table.protocol()
    rewritten = set(protocol.reader_features or ()) & _REWRITTEN
    if protocol.min_reader_version == 2:  # column mapping, before features had names
        rewritten.add("columnMapping")
    if "columnMapping" in rewritten and table.metadata().configuration.get("delta.columnMapping.mode", "none") == "none":
        rewritten.remove("columnMapping")
    if rewritten == {"deletionVectors"}:  # allowed, but perhaps none was written yet
        return any(batch.num_rows for batch in pa.RecordBatchReader.from_stream(table.deletion_vectors()))
    return bool(rewritten)


def _of_file(files: Listing, partition: str, kind: str) -> str:
    place = files.partitions.index(partition)
    values = ", ".join(literal(values[place]) for values in files.values)
    return f"([{values}]::{kind}[])[file_index::BIGINT + 1] AS {quoted(partition)}"


def _absolute(root: str, name: str) -> str:
    if name.startswith("file:"):
        return urlparse(name).path
    return name if name.startswith("/") else f"{root.rstrip('/')}/{name}"


def _no_glob(path: str) -> str:
    return "".join(f"[{sign}]" if sign in "*?[" else sign for sign in path)
