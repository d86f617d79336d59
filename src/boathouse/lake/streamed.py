"""Rows that stream from elsewhere and are read once, as they come."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from boathouse.errors import Conflict
from boathouse.lake.engine import Engine
from boathouse.lake.origin import UNKNOWN, Origin, tagged
from boathouse.lake.relation import Relation


class StreamedRelation(Relation):
    """A relation over a stream that is read once, whatever reads it first; `head` are its first rows, which stay."""

    def __init__(self, engine: Engine, head: pa.Table, rest: "OneReading", origin: Origin = UNKNOWN) -> None:
        super().__init__(engine.connection.sql(f"SELECT * FROM {engine.register(rest)}"), lambda: origin)
        self._engine = engine
        self._head = head
        self._rest = rest

    def to_arrow(self) -> pa.Table:
        """All rows as one Arrow table, which takes memory for all of them."""
        return tagged(self._rest.reader().read_all(), self.origin)

    def to_pandas(self) -> Any:
        """All rows as a pandas frame, which takes memory for all of them."""
        return Relation(self._engine.connection.from_arrow(self.to_arrow()), self._origin).to_pandas()

    toPandas = to_pandas

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._rest.reader().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for batch in self._rest.reader():
            yield from batch.to_pylist()

    def limit(self, rows: int) -> Relation:
        """The first rows; those that came already can be asked for again."""
        if rows <= self._head.num_rows:
            return Relation(self._engine.connection.from_arrow(self._head.slice(0, rows)), self._origin)
        return super().limit(rows)

    def __repr__(self) -> str:
        return repr(self.limit(20))

    def _repr_html_(self) -> str:
        return self.limit(20)._repr_html_()


class OneReading(ds.Dataset):  # type: ignore[misc]
    """A stream as something that DuckDB scans, once: a second reading would find nothing, and is refused instead."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch], close: Callable[[], None]) -> None:
        self._schema = schema
        self._batches: Iterator[pa.RecordBatch] | None = batches
        self._close = close

    def __del__(self) -> None:
        self._close()

    @property
    def schema(self) -> pa.Schema:
        """Columns and types."""
        return self._schema

    def reader(self) -> pa.RecordBatchReader:
        """The rows. Raises Conflict when they were read before."""
        batches, self._batches = self._batches, None
        if batches is None:
            raise Conflict("these rows were read already, as they came: ask again, or keep them first with `.to_arrow()`")
        return pa.RecordBatchReader.from_batches(self._schema, batches)

    def scanner(self, columns: Sequence[str] | None = None, filter: Any = None, **_options: Any) -> Any:
        """What DuckDB asks for."""
        return ds.Scanner.from_batches(self.reader(), columns=columns, filter=filter)
