"""CSV as columns of text; records that do not fit are told apart, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv

from boathouse.lake.files.dialect import Dialect, Field, fields_of
from boathouse.lake.files.records import Chunk, Numbers

_OPEN = "a quote is never closed"


@dataclass(frozen=True)
class Parsed:
    """Columns of text, the record each row came from, and (record, reason) of those that are no rows."""

    columns: list[pa.ChunkedArray]
    records: Numbers
    bad: list[tuple[int, str]]


@dataclass(frozen=True)
class CsvParser:
    """Takes records apart into `width` fields. Unquoted words among `nulls` are null, as is an empty one."""

    dialect: Dialect
    width: int
    nulls: Sequence[str] = ()

    def parse(self, chunk: Chunk) -> Parsed:
        """The rows of a chunk. Blank records are passed over."""
        bad = [(index, _OPEN) for index in sorted(chunk.open)]
        bad += [(index, reason) for index, reason in _not_text(chunk)]
        kept = chunk.ends > chunk.starts
        kept[[index for index, _ in bad]] = False
        return self._at_once(chunk, np.flatnonzero(kept), bad) or self._one_by_one(chunk, np.flatnonzero(kept), bad)

    def _at_once(self, chunk: Chunk, kept: Numbers, bad: list[tuple[int, str]]) -> Parsed | None:
        """By Arrow's reader; None where it sees other records than we do."""
        data = chunk.data if len(kept) == len(chunk) else b"".join(chunk.record(i) + b"\n" for i in kept.tolist())
        if not data:
            return Parsed([pa.chunked_array([], pa.string())] * self.width, kept, bad)
        if b"\r\r" in data or (data is not chunk.data and b"\r\n" in data):
            return None  # a record that ends in a carriage return would lose it to Arrow's line end
        wrong: dict[int, pyarrow.csv.InvalidRow] = {}

        def skip(row: pyarrow.csv.InvalidRow) -> str:
            wrong[row.number - 1] = row
            return "skip"

        names = [str(i) for i in range(self.width)]
        try:
            table = pyarrow.csv.read_csv(
                pa.py_buffer(data),
                pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
                pyarrow.csv.ParseOptions(
                    delimiter=self.dialect.delimiter, quote_char=self.dialect.quote, newlines_in_values=True,
                    ignore_empty_lines=False, invalid_row_handler=skip,
                ),
                pyarrow.csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True,
                    quoted_strings_can_be_null=False, null_values=["", *self.nulls], check_utf8=False,
                ),
            )  # fmt: skip
        except pa.ArrowInvalid:
            return None
        if table.num_rows + len(wrong) != len(kept):
            return None
        good = np.ones(len(kept), bool)
        good[list(wrong)] = False
        if self.dialect.quote.encode() in data and not _as_cut(chunk, self.dialect, kept, good, table, wrong):
            return None
        said = [(int(kept[row]), self._width_fault(text.actual_columns)) for row, text in wrong.items()]
        return Parsed(table.columns, kept[good], sorted(bad + said))

    def _one_by_one(self, chunk: Chunk, kept: Numbers, bad: list[tuple[int, str]]) -> Parsed:
        rows: list[list[str | None]] = []
        records, said = [], list(bad)
        for index in kept.tolist():
            fields = fields_of(chunk.record(index), self.dialect)
            if fields is None:
                said.append((index, _OPEN))
            elif len(fields) != self.width:
                said.append((index, self._width_fault(len(fields))))
            else:
                rows.append([self._text(f) for f in fields])
                records.append(index)
        columns = [pa.chunked_array([pa.array([row[i] for row in rows], pa.string())]) for i in range(self.width)]
        return Parsed(columns, np.array(records, np.int64), sorted(said))

    def _text(self, field: Field) -> str | None:
        value = field.value.decode()
        return None if not field.quoted and (not value or value in self.nulls) else value

    def _width_fault(self, width: int) -> str:
        return f"{width} field{'s' if width != 1 else ''} where {self.width} {'are' if self.width != 1 else 'is'} expected"


def _as_cut(chunk: Chunk, dialect: Dialect, kept: Numbers, good: npt.NDArray[np.bool_], table: pa.Table,
            wrong: Mapping[int, pyarrow.csv.InvalidRow]) -> bool:  # fmt: skip
    """Whether exactly the records of several lines hold line ends: then no misplaced quote has swallowed a record."""
    if fields_of(chunk.record(int(kept[-1])), dialect) is None:
        return False  # Arrow takes a quote that is open at the end for closed
    ends = np.searchsorted(chunk.newlines, chunk.ends[kept]) > np.searchsorted(chunk.newlines, chunk.starts[kept])
    found = np.zeros(len(kept), bool)
    for column in table.columns:
        held = pyarrow.compute.match_substring(column, "\n").fill_null(False)
        found[good] |= held.combine_chunks().to_numpy(zero_copy_only=False)
    for row, text in wrong.items():
        found[row] = "\n" in text.text
    return bool((found == ends).all())


def _not_text(chunk: Chunk) -> list[tuple[int, str]]:
    try:
        pa.array([chunk.data], pa.binary()).cast(pa.string())
        return []
    except pa.ArrowInvalid:
        found = [(index, utf8_fault(chunk.record(index))) for index in range(len(chunk)) if index not in chunk.open]
        return [(index, reason) for index, reason in found if reason]


def utf8_fault(record: bytes) -> str:
    """Why a record is no UTF-8; empty if it is."""
    try:
        record.decode()
        return ""
    except UnicodeDecodeError as error:
        return f"no UTF-8 text at byte {error.start + 1} ({record[error.start : error.start + 1]!r}); is it --encoding latin-1?"
