"""Looked-up columns that wait on disk, in the spine's order, until all are laid side by side."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from boathouse.features.as_of_streamed import Streamed

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Spooled:
    """Columns in a file, in batches of `rows` rows each."""

    reader: pa.ipc.RecordBatchFileReader
    rows: int

    @property
    def types(self) -> list[pa.DataType]:
        """Of each column."""
        return list(self.reader.schema.types)

    def completed(self, batch: pa.RecordBatch) -> list[pa.Array]:
        """The columns of a batch of the spine, whose `place` counts on from its first."""
        if not batch.num_rows:
            return [pa.nulls(0, kind) for kind in self.types]
        begin = batch["place"][0].as_py() - 1
        first, last = begin // self.rows, (begin + batch.num_rows - 1) // self.rows
        read = pa.Table.from_batches([self.reader.get_batch(i) for i in range(first, last + 1)])
        wanted = read.slice(begin - first * self.rows, batch.num_rows)
        return [pa.concat_arrays(column.chunks) for column in wanted.columns]


def spooled(found: Streamed, rows: int, folder: Path | None) -> Spooled:
    """Put what was looked up on disk, into a file without a name: it is gone when it is closed, or the process ends."""
    schema = pa.schema([(f"column_{i}", kind) for i, kind in enumerate(found.types)])
    opened, path = tempfile.mkstemp(prefix="as-of-", dir=folder)
    os.close(opened)
    try:
        with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for begin in range(0, len(found.rows), rows):
                writer.write_batch(pa.RecordBatch.from_arrays(found.at(begin, rows), schema=schema))
        return Spooled(pa.ipc.open_file(pa.OSFile(path, "rb")), rows)
    finally:
        Path(path).unlink()


def spool_folder(con: "duckdb.DuckDBPyConnection") -> Path | None:
    """Beside the folder that DuckDB spills to; None where it was told of none: the system's."""
    [(folder,)] = con.sql("SELECT current_setting('temp_directory')").fetchall()
    return Path(folder).parent if folder and Path(folder).is_absolute() else None


def grouped(names: Sequence[str], sizes: Sequence[int], most: int) -> list[list[str]]:
    """Columns in groups, in their order, each no larger than `most` where it has more than one."""
    groups: list[list[str]] = []
    size = 0
    for name, its in zip(names, sizes, strict=True):
        if not groups or size + its > most:
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += its
    return groups
