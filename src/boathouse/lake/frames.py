"""Dataframes in: anything that speaks the Arrow PyCapsule interface, and plain rows."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from boathouse.errors import InvalidInput, SchemaMismatch
from boathouse.lake.schemas import TIMESTAMP, schema_named

Frame = Any
"""Polars, pandas, DuckDB, PyArrow, Spark, a Relation, a dict of columns or a list of row dicts."""

_OF_CHANGES = frozenset({"_change_type", "_commit_version", "_commit_timestamp"})
"""What a change feed says beside a table's own columns, by Delta's protocol."""


@dataclass(frozen=True)
class Stream:
    """Rows that are made anew each time they are asked for: a write of them, and its retries, never hold them all."""

    schema: pa.Schema
    open: Callable[[], pa.RecordBatchReader]

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.open().__arrow_c_stream__(requested_schema)


class Fitting:
    """A stream in the columns and types of a table; `num_rows` counts what was read last."""

    def __init__(self, stream: Stream, schema: pa.Schema, name: str) -> None:
        self._stream = stream
        self.schema = schema
        self._name = name
        self.num_rows = 0

    def to_reader(self) -> pa.RecordBatchReader:
        """All rows, from the first one on."""
        self.num_rows = 0
        return pa.RecordBatchReader.from_batches(self.schema, self._counted(conform(self._stream, self.schema, self._name)))

    def _counted(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        for batch in reader:
            self.num_rows += batch.num_rows
            yield batch


def batches(frame: Frame) -> pa.RecordBatchReader:
    """A stream of the frame's rows. Raises InvalidInput for what is no frame, or has a column of several types."""
    try:
        return _batches(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        told = "; ".join(map(str, error.args))
        raise InvalidInput(f"the frame cannot be read: {told}; give each column one type, or pass an Arrow table") from error


def _batches(frame: Frame) -> pa.RecordBatchReader:
    if isinstance(frame, pa.RecordBatchReader):
        return frame
    if is_spark(frame):
        frame = _collected(frame)
    if isinstance(frame, pa.Table):
        return frame.to_reader()
    if isinstance(frame, Mapping):
        return pa.table(dict(frame)).to_reader()
    if type(frame).__module__.startswith("pandas"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pyarrow takes zoned times apart in a way that pandas 3.1 deprecates
            return pa.Table.from_pandas(frame, preserve_index=False).to_reader()
    if hasattr(frame, "__arrow_c_stream__"):
        return pa.RecordBatchReader.from_stream(frame)
    if isinstance(frame, Sequence) and all(isinstance(row, Mapping) for row in frame):
        return pa.Table.from_pylist(list(frame)).to_reader()
    raise InvalidInput(f"{type(frame).__name__} is no dataframe: pass Polars, pandas, Arrow, DuckDB or rows as dicts")


def is_spark(frame: Any) -> bool:
    """Whether a frame is Spark's."""
    return type(frame).__module__.startswith("pyspark.sql")


def _collected(frame: Any) -> pa.Table:
    if frame.isStreaming:
        raise InvalidInput("a streaming frame of Spark is never complete: follow a table with lake.table(…).stream()")
    return frame.toArrow()


def schema_of(source: Any) -> pa.Schema:
    """A schema given as `schema_named` takes it, or as a frame."""
    named = schema_named(source)
    return batches(source).schema if named is None else named


def normalised(schema: pa.Schema) -> pa.Schema:
    """The schema as Delta keeps it: microseconds in UTC, plain strings, signed integers."""
    return pa.schema([pa.field(f.name, _normal(f.type), nullable=True) for f in schema])


def refuse_unkept(schema: pa.Schema, name: str) -> None:
    """Raises InvalidInput for a column of a type that Delta has not, such as a time of day, or of a name that it cannot have."""
    for field in schema:
        if not field.name.strip():
            raise InvalidInput(f"{name}: column {schema.names.index(field.name) + 1} needs a name")
        if field.name in _OF_CHANGES:
            raise InvalidInput(f"{name}: changes of tables are told in a column {field.name!r}; give yours another name")
        if any(pa.types.is_time(k) or pa.types.is_duration(k) or pa.types.is_interval(k) or pa.types.is_union(k)
               for k in _within(field.type)):  # fmt: skip
            raise InvalidInput(
                f"{name}: the column {field.name!r} is of the type {field.type}, which Delta tables have not; "
                "cast it, for example to text, or to a number of seconds"
            )


def _within(kind: pa.DataType) -> Iterator[pa.DataType]:
    yield kind
    for place in range(kind.num_fields):
        yield from _within(kind.field(place).type)


def _normal(kind: pa.DataType) -> pa.DataType:  # noqa: PLR0911
    if pa.types.is_timestamp(kind):
        return TIMESTAMP
    if pa.types.is_dictionary(kind):
        return _normal(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_decimal(kind) and kind.precision <= 38:
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_unsigned_integer(kind):
        return {8: pa.int16(), 16: pa.int32()}.get(kind.bit_width, pa.int64())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(_normal(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, _normal(f.type)) for f in kind])
    return kind


def conform(frame: Frame, schema: pa.Schema, name: str) -> pa.RecordBatchReader:
    """The frame's rows in the table's columns and types; absent columns become null.

    Raises SchemaMismatch for a column the table has not, or a value that does not fit its type.
    """
    reader = batches(frame)
    if extra := [c for c in reader.schema.names if c not in schema.names]:
        raise SchemaMismatch(
            f"{name} has no column {extra[0]!r} (it has {', '.join(schema.names)}); "
            "drop it, or add columns with evolve=True"
        )
    return pa.RecordBatchReader.from_batches(schema, (_fitted(batch, schema, name) for batch in reader))


def fitted(frame: Frame, name: str) -> pa.Table:
    """All of the frame's rows in Delta's types. Raises SchemaMismatch for a value that these cannot hold."""
    reader = batches(frame)
    return conform(reader, normalised(reader.schema), name).read_all()


def _fitted(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    columns = []
    for field in schema:
        if field.name not in batch.schema.names:
            columns.append(pa.nulls(batch.num_rows, field.type))
            continue
        try:
            columns.append(_cast(batch.column(field.name), field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise SchemaMismatch(
                f"{name}.{field.name} is {field.type}, and keeps its type: {error}; cast the values, or write a new column"
            ) from error
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _cast(column: pa.Array, kind: pa.DataType) -> pa.Array:
    if column.type == kind:
        return column
    if pa.types.is_map(kind) and pa.types.is_struct(column.type):  # what dicts in a frame of pandas become
        pairs = ([(k, v) for k, v in row.items() if v is not None] if row is not None else None for row in column.to_pylist())
        return pa.array(list(pairs), kind)
    if pa.types.is_timestamp(column.type) and column.type.tz is None and pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us"), safe=False).cast(kind)
    if pa.types.is_decimal(kind) and pa.types.is_integer(column.type):  # Arrow asks for room for any number of the type
        column = column.cast(pa.decimal128(38, min(kind.scale, 19)))
    safe = not (pa.types.is_timestamp(column.type) or pa.types.is_floating(column.type))
    return column.cast(kind, safe=safe or pa.types.is_integer(kind))
