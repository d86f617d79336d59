"""Rows written as Arrow, CSV, JSON or Parquet to something that only takes bytes, batch by batch."""

import io
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from boathouse.errors import InvalidInput

_GROUP_ROWS = 122_880
_GROUP_BYTES = 64 << 20

Write = Callable[[memoryview], object]


class _Sink(io.RawIOBase):
    def __init__(self, write: Write) -> None:
        self._write = write
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._write(view)
        self._at += len(view)
        return len(view)

    def tell(self) -> int:
        return self._at


def write_rows(rows: pa.RecordBatchReader, form: str, write: Write, metadata: Mapping[str, str] | None = None) -> int:
    """All batches of a stream in a format; how many rows. `metadata` goes into Arrow's and Parquet's schema.

    Raises InvalidInput for another format.
    """
    if form not in FORMS:
        raise InvalidInput(f"the format {form!r} is unknown; use one of {', '.join(FORMS)}")
    schema = rows.schema.with_metadata({**(metadata or {})}) if metadata else rows.schema
    count = 0

    def counted() -> Iterable[pa.RecordBatch]:
        nonlocal count
        for batch in rows:
            count += batch.num_rows
            yield batch

    FORMS[form](schema, counted(), _Sink(write))
    return count


def _arrow(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    with pa.ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(sink, schema) as writer:
        waiting: list[pa.RecordBatch] = []
        rows = size = 0
        for batch in batches:
            waiting.append(batch)
            rows, size = rows + batch.num_rows, size + batch.nbytes
            if rows >= _GROUP_ROWS or size >= _GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting, batch.schema))
                waiting, rows, size = [], 0, 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, waiting[0].schema))


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    import pyarrow.csv

    flat = pa.schema([pa.field(f.name, pa.string()) if _nested(f.type) else f for f in schema])
    with pyarrow.csv.CSVWriter(sink, flat) as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays([_flat(c) for c in batch.columns], schema=flat))


def _nested(kind: pa.DataType) -> bool:
    simple = (pa.types.is_primitive, pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_null)
    return not any(check(kind) for check in simple)


def _flat(column: pa.Array) -> pa.Array:
    if not _nested(column.type):
        return column
    if pa.types.is_decimal(column.type) or pa.types.is_dictionary(column.type):
        return column.cast(pa.string())
    values = column.to_pylist(maps_as_pydicts=_AS_OBJECTS)
    texts = [None if v is None else v if isinstance(v, str) else _ENCODER.encode(v).decode() for v in values]
    return pa.array(texts, pa.string())


def _json(schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    sink.write(b'{"columns":' + _ENCODER.encode(schema.names) + b',"rows":[')
    _listed(batches, sink)
    sink.write(b"]}")


def _array(_schema: pa.Schema, batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    sink.write(b"[")
    _listed(batches, sink)
    sink.write(b"]\n")


def _listed(batches: Iterable[pa.RecordBatch], sink: _Sink) -> None:
    first = True
    for batch in batches:
        if batch.num_rows:
            rows = _ENCODER.encode(batch.to_pylist(maps_as_pydicts=_AS_OBJECTS))[1:-1]
            sink.write(rows if first else b"," + rows)
            first = False


_ENCODER = msgspec.json.Encoder(enc_hook=str)  # writes what is no number as null
_AS_OBJECTS = "lossy"
"""Maps are JSON's objects; of a key that is there twice the last counts."""


FORMS: dict[str, Callable[[pa.Schema, Iterable[pa.RecordBatch], _Sink], None]] = {
    "arrow": _arrow, "csv": _csv, "json": _json, "array": _array, "parquet": _parquet,
}  # fmt: skip
"""Format -> what writes it: `json` is an object with the columns' names and the rows, `array` the rows alone."""
