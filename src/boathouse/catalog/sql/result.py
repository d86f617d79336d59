"""The answer to a query: its columns, the versions it read, and its rows as a stream."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from boathouse.errors import BoathouseError, InvalidInput
from boathouse.lake import UNKNOWN, Origin, column_types


class QueryResult:
    """Rows of one query, to be read once. `versions` names the Delta version of every table that was read.

    `origin` is the same with the query itself, for the lineage of what is made out of the rows.
    """

    def __init__(self, query_id: str, rows: pa.RecordBatchReader, versions: Mapping[str, int],
                 origin: Origin = UNKNOWN) -> None:  # fmt: skip
        self.query_id = query_id
        self.versions = dict(versions)
        self.origin = origin
        self._rows = rows

    @property
    def schema(self) -> pa.Schema:
        """Columns and Arrow types."""
        return self._rows.schema

    @property
    def types(self) -> dict[str, str]:
        """Column -> SQL type name."""
        return dict(column_types(self.schema))

    def reader(self) -> pa.RecordBatchReader:
        """The rows, batch by batch. Raises InvalidInput where the query fails on its way."""
        return pa.RecordBatchReader.from_batches(self.schema, self._batches())

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table."""
        return pa.Table.from_batches(self._batches(), self.schema)

    def head(self, rows: int) -> pa.Table:
        """The first rows; the others are not computed further than their batch."""
        taken: list[pa.RecordBatch] = []
        missing = rows
        for batch in self._batches():
            taken.append(batch.slice(0, missing))
            missing -= taken[-1].num_rows
            if missing <= 0:
                break
        return pa.Table.from_batches(taken, self.schema)

    def to_dicts(self) -> list[dict[str, Any]]:
        """All rows as plain dicts."""
        rows: list[dict[str, Any]] = self.to_arrow().to_pylist()
        return rows

    def _batches(self) -> Any:
        try:
            yield from self._rows
        except BoathouseError:
            raise
        except Exception as error:
            raise failed(error) from error


def failed(error: Exception) -> InvalidInput:
    """A query's own fault, in one line."""
    return InvalidInput(f"the query failed: {str(error).splitlines()[0]}")
