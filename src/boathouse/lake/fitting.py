"""Rows in a table's columns, as a write that may be tried again needs them."""

from typing import Any

import pyarrow as pa

from boathouse.errors import SchemaMismatch
from boathouse.lake.frames import Fitting, Stream, batches, conform, normalised, refuse_unkept
from boathouse.lake.relation import Relation


def fitting(frame: Any, kept: pa.Schema, name: str, evolve: bool = False) -> pa.Table | Fitting:
    """The rows in the columns of the table; `evolve` lets new ones in. A column that is there keeps its type.

    Raises SchemaMismatch.
    """
    frame = repeatable(frame)
    known = [field.with_nullable(kept.field(field.name).nullable) for field in normalised(kept)]
    if not evolve:
        return _repeatable(frame, pa.schema(known), name)
    new = [field for field in normalised(frame.schema) if field.name not in kept.names]
    refuse_unkept(pa.schema(new), name)
    if twice := [f.name for f in new if f.name.lower() in {n.lower() for n in kept.names}]:
        raise SchemaMismatch(f"{name} has a column of the name {twice[0]!r} already, written otherwise")
    return _repeatable(frame, pa.schema([*known, *new]), name)


def renewing(frame: Any, kept: pa.Schema, name: str) -> pa.Table | Fitting:
    """The rows in columns of their own; those that may not be null in the table stay so."""
    frame = repeatable(frame)
    refuse_unkept(frame.schema, name)
    required = {field.name for field in kept if not field.nullable}
    fields = [field.with_nullable(field.name not in required) for field in normalised(frame.schema)]
    return _repeatable(frame, pa.schema(fields), name)


def repeatable(frame: Any) -> Stream | pa.RecordBatchReader:
    """The rows behind their schema; a query's are read anew at each try, and never held all at once."""
    if not isinstance(frame, Relation):
        return frame if isinstance(frame, Stream) else batches(frame)
    relation = frame.duckdb()
    return Stream(relation.limit(0).to_arrow_table().schema, lambda: relation.to_arrow_reader(100_000))


def _repeatable(frame: Any, schema: pa.Schema, name: str) -> pa.Table | Fitting:
    # a retry reads the rows again: what cannot be made anew must stand still first
    return Fitting(frame, schema, name) if isinstance(frame, Stream) else conform(frame, schema, name).read_all()
