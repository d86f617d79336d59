"""CSV files as found rows: their text goes into staged Parquet files, column by column."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from boathouse.errors import InvalidInput
from boathouse.lake.files.csv_file import CsvParser, utf8_fault
from boathouse.lake.files.decoded import OnRead, text_blocks
from boathouse.lake.files.dialect import Dialect, fields_of, sniff
from boathouse.lake.files.headers import clean_names
from boathouse.lake.files.input_file import InputFile
from boathouse.lake.files.options import ReadOptions
from boathouse.lake.files.records import Chunk, cut
from boathouse.lake.files.rejects import RejectWriter, raw_texts, shown
from boathouse.lake.files.rows import FoundColumn, FoundRows, Place, sql_list

_SNIFFED = 256 << 10
_PLACE = [("_file", pa.dictionary(pa.int32(), pa.string())), ("_line", pa.int64()), ("_offset", pa.int64()),
          ("_length", pa.int64())]  # fmt: skip


@dataclass
class _Columns:
    """Staged columns of all files, told apart by their clean names without regard to case."""

    known: dict[str, FoundColumn] = field(default_factory=dict)

    def take(self, headers: Sequence[str]) -> list[str]:
        """The staged names of a file's columns."""
        for name, header in zip(clean_names(headers), headers, strict=True):
            self.known.setdefault(name.casefold(), FoundColumn(name, header, f"c{len(self.known)}"))
        return [self.known[name.casefold()].sql for name in clean_names(headers)]


def stage_csv(files: Sequence[InputFile], options: ReadOptions, folder: Path, rejects: RejectWriter,
              on_read: OnRead | None = None) -> FoundRows:  # fmt: skip
    """The rows of CSV files; records that are none go to `rejects`. Raises InvalidInput where there is no column."""
    columns = _Columns()
    notes: list[str] = []
    staged = []
    for number, file in enumerate(files):
        target = folder / f"rows-{number}.parquet"
        said = _stage(file, options, target, columns, rejects, on_read)
        notes += [f"{file.name} {word}" for word in said]
        staged += [target] if target.exists() else []
    if not staged:
        raise InvalidInput(f"{files[0].name} is empty" if len(files) == 1 else f"all {len(files)} files are empty")
    named = {file.name: file for file in files}

    def raws(places: Iterable[Place]) -> Iterator[str]:
        for name, group in itertools.groupby(places, key=lambda place: place[0]):
            yield from raw_texts(named[name], options.encoding, ((offset, length) for _, offset, length in group))

    view = f"read_parquet({sql_list(staged)}, union_by_name=true)"
    return FoundRows(view, tuple(columns.known.values()), raws=raws, notes=tuple(notes))


def _stage(file: InputFile, options: ReadOptions, target: Path, columns: _Columns, rejects: RejectWriter,
           on_read: OnRead | None) -> list[str]:  # fmt: skip
    blocks = text_blocks(file, options.encoding, on_read)
    first = next(blocks, b"")
    if not first.strip():
        return ["is empty"]
    dialect = sniff(first[:_SNIFFED], options.delimiter, options.quote, options.header)
    chunks = cut(itertools.chain([first], blocks), dialect)
    chunk = next(chunks)
    index = _first_record(chunk)
    headers = _headers(file, chunk.record(index), dialect)
    parser = CsvParser(dialect, len(headers), options.nulls)
    names = columns.take(headers)
    schema = pa.schema([*((name, pa.string()) for name in names), *_PLACE])
    with pyarrow.parquet.ParquetWriter(target, schema, compression="lz4", write_statistics=False) as writer:
        rest = _without(chunk, index) if dialect.header else chunk
        for part in itertools.chain([rest] if len(rest) else [], chunks):
            _write(part, parser, file, schema, writer, rejects)
    return [] if dialect.header else ["has no header"]


def _first_record(chunk: Chunk) -> int:
    filled = np.flatnonzero(chunk.ends > chunk.starts)
    return int(filled[0]) if len(filled) else 0


def _headers(file: InputFile, record: bytes, dialect: Dialect) -> list[str]:
    fields = fields_of(record, dialect)
    if fields is None:
        raise InvalidInput(f"{file.name}: the first line has a quote that is never closed; say --delimiter or --quote")
    if not dialect.header:
        return [f"column_{number}" for number in range(1, len(fields) + 1)]
    if fault := utf8_fault(record):
        raise InvalidInput(f"{file.name}: the header is {fault}")
    return [f.value.decode() for f in fields]


def _without(chunk: Chunk, index: int) -> Chunk:
    after = index + 1
    spoiled = frozenset(i - after for i in chunk.open if i >= after)
    return Chunk(chunk.data, chunk.starts[after:], chunk.ends[after:], chunk.lines[after:], chunk.offset, spoiled)


def _write(chunk: Chunk, parser: CsvParser, file: InputFile, schema: pa.Schema, writer: pyarrow.parquet.ParquetWriter,
           rejects: RejectWriter) -> None:  # fmt: skip
    parsed = parser.parse(chunk)
    for index, reason in parsed.bad:
        rejects.add(file.name, int(chunk.lines[index]), reason, shown(chunk.record(index)))
    if not (count := len(parsed.records)):
        return
    starts = chunk.starts[parsed.records]
    places = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([file.name])),
        pa.array(chunk.lines[parsed.records]), pa.array(chunk.offset + starts), pa.array(chunk.ends[parsed.records] - starts),
    ]  # fmt: skip
    writer.write_table(pa.Table.from_arrays([*parsed.columns, *places], schema=schema))
