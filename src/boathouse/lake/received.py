"""Rows that stream from elsewhere as a relation: a few are kept, many are read once as they come."""

from collections.abc import Callable
from itertools import chain

import pyarrow as pa

from boathouse.lake.engine import Engine
from boathouse.lake.origin import Origin, tagged
from boathouse.lake.relation import Relation

KEPT_BYTES = 32 << 20
"""Results up to this size are kept, so that they can be read again and again."""


def relation_over(engine: Engine, rows: pa.RecordBatchReader, origin: Origin, close: Callable[[], None]) -> Relation:
    """The rows of a stream: kept when they are few, else read once as they come. `close` ends the stream."""
    schema = rows.schema.remove_metadata()
    first: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        first.append(batch.replace_schema_metadata(None))
        size += batch.nbytes
        if size > KEPT_BYTES:
            break
    else:
        close()
        kept = tagged(pa.Table.from_batches(first, schema), origin)
        return engine.relation(f"SELECT * FROM {engine.register(kept)}")
    from boathouse.lake.streamed import OneReading, StreamedRelation  # loads pandas, where that is installed

    batches = chain(first, (batch.replace_schema_metadata(None) for batch in rows))
    return StreamedRelation(engine, pa.Table.from_batches(first, schema), OneReading(schema, batches, close), origin)
