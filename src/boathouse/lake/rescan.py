"""Rows that DuckDB scans through Arrow: as often as it likes, in bounded memory, and only what it asks for.

Loading this costs a second, since Arrow's datasets load pandas: import it where such rows are, not before.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
from deltalake import DeltaTable
from deltalake.fs import DeltaStorageHandler
from pyarrow.fs import PyFileSystem

from boathouse.lake.confined import confine
from boathouse.lake.frames import Stream
from boathouse.lake.guarantees import guarantees
from boathouse.lake.listing import Listing


def files_dataset(files: Listing, table: DeltaTable) -> ds.Dataset:
    """The files' rows by way of delta-rs' own file system, for stores that DuckDB cannot read."""
    handler = DeltaStorageHandler.from_table(table._table, table._storage_options)
    system, form = PyFileSystem(handler), ds.ParquetFileFormat()
    told = guarantees(table, files)
    fragments = [
        form.make_fragment(name, system, partition_expression=holds) for name, holds in zip(files.names, told, strict=True)
    ]
    return ds.FileSystemDataset(fragments, files.schema, form, system)


class Rescanned(ds.Dataset):  # type: ignore[misc]
    """Rows that DuckDB scans as often as it likes, in bounded memory: each scan asks for a new stream of some columns."""

    def __init__(self, schema: pa.Schema, read: Callable[[list[str]], pa.RecordBatchReader]) -> None:
        self._schema = schema
        self._read = read

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
        stream = self._read(read)
        rows = pa.RecordBatchReader.from_batches(schema, (batch.select(read).cast(schema) for batch in stream))
        return ds.Scanner.from_batches(rows, columns=wanted, filter=filter)


def snapshot_rows(table: DeltaTable) -> Rescanned:
    """One version's rows through delta-rs, whatever its features."""
    confine(table)
    # the caller's handle moves on to newer versions; the rows stay those of this one
    fixed = DeltaTable(table.table_uri, version=table.version(), storage_options=table._storage_options)
    schema = pa.schema(table.schema().to_arrow())
    return Rescanned(schema, lambda columns: pa.RecordBatchReader.from_stream(fixed.scan(columns=columns)))


def stream_rows(stream: Stream) -> Rescanned:
    """The rows of a stream."""
    return Rescanned(stream.schema, lambda _columns: stream.open())
