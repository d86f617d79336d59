"""JSON files as found rows: one object a line, or arrays of objects."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet

from boathouse.errors import InvalidInput
from boathouse.lake.files import nested
from boathouse.lake.files.csv_file import utf8_fault
from boathouse.lake.files.decoded import OnRead, text_blocks
from boathouse.lake.files.headers import clean_names
from boathouse.lake.files.input_file import InputFile
from boathouse.lake.files.options import ReadOptions
from boathouse.lake.files.records import Chunk, cut
from boathouse.lake.files.rejects import RejectWriter, shown
from boathouse.lake.files.rows import FoundColumn, FoundRows, Kind, sql_list

_MOST_COLUMNS = 2_000
_LARGEST_OBJECT = 64 << 20
_SCHEMA = pa.schema([("_file", pa.string()), ("_line", pa.int64()), ("_json", pa.string())])
_NO_OBJECT = {"no JSON": "no JSON", "ARRAY": "an array, and no object", "VARCHAR": "a text, and no object",
              "BOOLEAN": "a boolean, and no object", "NULL": "null, and no object"}  # fmt: skip
_KINDS: dict[str, Kind] = {"VARCHAR": "string", "JSON": "string"}


def stage_json(files: Sequence[InputFile], options: ReadOptions, folder: Path, rejects: RejectWriter,
               connection: duckdb.DuckDBPyConnection, on_read: OnRead | None = None) -> FoundRows:  # fmt: skip
    """The rows of JSON files; what is no object goes to `rejects`.

    Raises InvalidInput for an array that is broken: where it goes on cannot be known.
    """
    target = folder / "objects.parquet"
    with pyarrow.parquet.ParquetWriter(target, _SCHEMA, compression="lz4", use_dictionary=["_file"]) as writer:
        objects = [_Objects(file, writer, rejects, connection).stage(options.encoding, folder, on_read) for file in files]
    notes = [f"{file.name} is empty" for file, found in zip(files, objects, strict=True) if not found]
    if len(notes) == len(files):
        raise InvalidInput(notes[0] if len(files) == 1 else f"all {len(files)} files are empty")
    kept = f"read_parquet({sql_list([target])})"
    [(found,)] = connection.sql(f"SELECT json_group_structure(_json::JSON)::VARCHAR FROM {kept}").fetchall()
    parsed = json.loads(found) if found else {}
    structure: dict[str, Any] = parsed if isinstance(parsed, dict) else {}  # objects without a key are no dict
    if len(structure) > _MOST_COLUMNS:
        raise InvalidInput(f"the objects have {len(structure)} different keys; more than {_MOST_COLUMNS} columns are not made")
    pointers = sql_list("/" + key.replace("~", "~0").replace("/", "~1") for key in structure)
    values = f"json_extract_string(_json, {pointers})" if structure else "[]::VARCHAR[]"
    view = f"(SELECT *, 0 AS _offset, 0 AS _length, {values} AS _values FROM {kept})"
    named = zip(clean_names(list(structure)), structure, strict=True)
    columns = tuple(_column(name, key, f"_values[{i}]", structure[key]) for i, (name, key) in enumerate(named, 1))
    return FoundRows(view, columns, raw="_json", notes=tuple(notes))


def _column(name: str, key: str, sql: str, structure: Any) -> FoundColumn:
    if isinstance(structure, str):
        return FoundColumn(name, key, sql, _KINDS.get(structure, "text"))
    kind = nested.arrow_type(structure)
    return FoundColumn(name, key, sql, "string" if pa.types.is_string(kind) else "nested", kind, structure)


@dataclass(frozen=True)
class _Objects:
    """The objects of one file, on their way into the staged ones."""

    file: InputFile
    writer: pyarrow.parquet.ParquetWriter
    rejects: RejectWriter
    connection: duckdb.DuckDBPyConnection

    def stage(self, encoding: str | None, folder: Path, on_read: OnRead | None) -> bool:
        """Write them; whether the file holds anything."""
        blocks = text_blocks(self.file, encoding, on_read)
        first = next(blocks, b"")
        text = first.lstrip()
        if not text:
            return False
        blocks = itertools.chain([first], blocks)
        if text.startswith(b"["):
            self._whole(blocks, folder, "array")
        elif _spans_lines(text):
            self._whole(blocks, folder, "unstructured")
        else:
            for chunk in cut(blocks):
                self._lines(chunk)
        return True

    def _lines(self, chunk: Chunk) -> None:
        lines: list[int] = []
        texts: list[str] = []
        for index, line in enumerate(chunk.lines.tolist()):
            record = chunk.record(index)
            if fault := utf8_fault(record):
                self.rejects.add(self.file.name, line, fault, shown(record))
            elif record.strip():
                lines.append(line)
                texts.append(record.decode())
        self._take(pa.table({"_line": pa.array(lines, pa.int64()), "_json": pa.array(texts, pa.string())}))

    def _whole(self, blocks: Iterator[bytes], folder: Path, form: str) -> None:
        copy = folder / "whole.json"
        with copy.open("wb") as target:
            target.writelines(blocks)
        query = f"SELECT row_number() OVER () AS _line, json::VARCHAR AS _json FROM read_json_objects({sql_list([copy])}, " \
                f"format='{form}', maximum_object_size={_LARGEST_OBJECT})"  # fmt: skip
        try:
            for batch in self.connection.cursor().sql(query).to_arrow_reader(50_000):
                self._take(pa.Table.from_batches([batch]))
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            said = str(error).splitlines()[0].replace(str(copy), self.file.name)
            raise InvalidInput(f"{self.file.name} is not read, since where it goes on cannot be known: {said}") from error
        finally:
            copy.unlink()

    def _take(self, objects: pa.Table) -> None:
        """Keep the objects, and set aside what is none."""
        kind = "CASE WHEN json_valid(_json) THEN json_type(_json) ELSE 'no JSON' END"
        judged = duckdb_table(self.connection, f"SELECT *, {kind} AS kind FROM objects", objects)
        good = pa.compute.equal(judged["kind"], "OBJECT")
        for row in judged.filter(pa.compute.invert(good)).to_pylist():
            self.rejects.add(self.file.name, row["_line"], _NO_OBJECT.get(row["kind"], "a number, and no object"), row["_json"])
        kept = judged.filter(good)
        names = pa.array([self.file.name] * kept.num_rows, pa.string())
        self.writer.write_table(pa.Table.from_arrays([names, kept["_line"], kept["_json"]], schema=_SCHEMA))


def duckdb_table(connection: duckdb.DuckDBPyConnection, query: str, objects: pa.Table) -> pa.Table:
    """A query over one Arrow table that it calls `objects`."""
    cursor = connection.cursor()
    cursor.register("objects", objects)
    return cursor.sql(query).to_arrow_table()


def _spans_lines(text: bytes) -> bool:
    """Whether the first object goes over several lines."""
    start = text.decode(errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(start)
    except ValueError:
        return False
    return "\n" in start[:end]
