"""Rows that are read more than once, though they may come only once and be more than memory holds."""

import shutil
import tempfile
import weakref
from itertools import chain
from pathlib import Path

import duckdb
import pyarrow as pa

from boathouse.lake.engine import Engine
from boathouse.lake.frames import Frame, Stream, batches, normalised
from boathouse.lake.literals import text
from boathouse.lake.origin import origin_of, tagged
from boathouse.lake.relation import Relation
from boathouse.lake.rows_out import write_rows

_HELD_BYTES = 256 << 20


def spooled(engine: Engine, frame: Frame) -> str:
    """SQL of a frame's rows in the lakehouse's types, to be read as often as needed, in the frame's order.

    A lazy frame of many rows lies in a Parquet file where the engine spills, until the engine is gone.
    """
    origin, reader = origin_of(frame), batches(frame)
    kept = normalised(reader.schema)
    held: list[pa.RecordBatch] = []
    size = 0
    lazy = isinstance(frame, Relation | Stream | pa.RecordBatchReader | duckdb.DuckDBPyRelation)
    for batch in reader:
        held.append(batch)
        size += batch.nbytes
        if lazy and size > _HELD_BYTES:
            typed = (t for b in chain(held, reader) for t in pa.Table.from_batches([b]).cast(kept).to_batches())
            path = _folder(engine) / f"{len(list(_folder(engine).iterdir()))}.parquet"
            with path.open("wb") as file:
                write_rows(pa.RecordBatchReader.from_batches(kept, typed), "parquet", file.write)
            return engine.remember(f"read_parquet({text(str(path))})", origin)
    return engine.register(tagged(pa.Table.from_batches(held, reader.schema).cast(kept), origin))


def _folder(engine: Engine) -> Path:
    """Where an engine's spooled rows lie; removed with the engine."""
    if engine.spool is None:
        above = engine.temporary.parent if engine.temporary else None
        engine.spool = Path(tempfile.mkdtemp(prefix="spool-", dir=above))
        weakref.finalize(engine, shutil.rmtree, engine.spool, ignore_errors=True)
    return engine.spool
