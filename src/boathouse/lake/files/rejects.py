"""Rows that do not fit, kept with the file, the line and the reason."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from boathouse.lake.files.decoded import text_blocks
from boathouse.lake.files.input_file import InputFile

SCHEMA = pa.schema([("file", pa.string()), ("line", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
_BATCH = 10_000
_LONGEST = 1 << 20


class RejectWriter:
    """Writes rejected rows to a file as they come; `count` of them so far. A context manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self.by_file: dict[str, int] = {}
        self.first: tuple[str, int, str] | None = None
        self._waiting: list[tuple[str, int, str, str]] = []
        self._writer = pyarrow.parquet.ParquetWriter(path, SCHEMA)

    def add(self, file: str, line: int, reason: str, raw: str) -> None:
        """Keep one row."""
        if self.first is None or (file == self.first[0] and line < self.first[1]):
            self.first = (file, line, reason)
        self.count += 1
        self.by_file[file] = self.by_file.get(file, 0) + 1
        self._waiting.append((file, line, reason, raw if len(raw) <= _LONGEST else raw[:_LONGEST] + "…"))
        if len(self._waiting) >= _BATCH:
            self._flush()

    def close(self) -> None:
        """Write what waits."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            values = zip(*self._waiting, strict=True)
            columns = [pa.array(column, field.type) for column, field in zip(values, SCHEMA, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(columns, schema=SCHEMA))
            self._waiting = []


def shown(record: bytes) -> str:
    """A record as text, bytes that are none as `\\xe9`."""
    return record.decode(errors="backslashreplace")


def raw_texts(file: InputFile, encoding: str | None, places: Iterable[tuple[int, int]]) -> Iterator[str]:
    """The text at (offset, length) of a file, for places in ascending order."""
    blocks = text_blocks(file, encoding)
    held, start = b"", 0
    for offset, length in places:
        while start + len(held) < offset + length and (block := next(blocks, None)) is not None:
            keep = max(min(offset - start, len(held)), 0)
            held, start = held[keep:] + block, start + keep
        yield shown(held[offset - start : offset - start + length])
