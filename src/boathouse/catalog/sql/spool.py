"""Rows of a query kept on disk, so that a write and its retries can read them again without holding them in memory."""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import pyarrow as pa

from boathouse.catalog.sql.result import RowStream
from boathouse.lake import Origin, Stream


@contextmanager
def spooled(query: AbstractContextManager[RowStream]) -> Iterator[tuple[Stream, Origin]]:
    """All rows of an Arrow stream, and where they came from, until the end of the block; the query itself has ended then."""
    with tempfile.NamedTemporaryFile(prefix="boathouse-sql-", suffix=".arrow") as file:
        with query as rows:
            for chunk in rows.chunks:
                file.write(chunk)
        file.flush()

        def reopen() -> pa.RecordBatchReader:
            stream = pa.ipc.open_stream(pa.memory_map(file.name))
            return pa.RecordBatchReader.from_batches(stream.schema.remove_metadata(), _bare(stream))

        yield Stream(reopen().schema, reopen), rows.origin


def _bare(stream: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in stream:
        yield batch.replace_schema_metadata(None)
