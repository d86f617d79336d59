"""The answer to a query: its columns, the versions it read, and its rows as a stream."""

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from boathouse.lake import Chunks, Origin, column_types


class RowStream:
    """Rows of one query as bytes in a format, to be read once. `versions` names what was read: table -> Delta version."""

    def __init__(self, query_id: str, chunks: Iterator[bytes], versions: Mapping[str, int], origin: Origin) -> None:
        self.query_id = query_id
        self.versions = dict(versions)
        self.origin = origin
        self.chunks = chunks
        self.complete = False


class QueryResult:
    """Rows of one query, to be read once. `versions` names the Delta version of every table that was read.

    `origin` is the same with the query itself, for the lineage of what is made out of the rows.
    """

    def __init__(self, rows: RowStream) -> None:
        self.query_id = rows.query_id
        self.versions = rows.versions
        self.origin = rows.origin
        self._rows = rows
        self._stream = pa.ipc.open_stream(Chunks(rows.chunks))

    @property
    def schema(self) -> pa.Schema:
        """Columns and Arrow types."""
        return self._stream.schema.remove_metadata()

    @property
    def types(self) -> dict[str, str]:
        """Column -> SQL type name."""
        return dict(column_types(self.schema))

    def reader(self) -> pa.RecordBatchReader:
        """The rows, batch by batch. Reading raises what the query fails with on its way."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table."""
        return pa.Table.from_batches(self._batches(), self.schema)

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as plain dicts."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self._stream:
            yield batch.replace_schema_metadata(None)
        self._rows.complete = True
