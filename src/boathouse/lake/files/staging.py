"""Files of rows on their way into a table: read once, judged as a whole, handed on as typed rows."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pyarrow as pa

from boathouse.errors import Conflict, InvalidInput
from boathouse.lake import literals
from boathouse.lake.engine import Engine
from boathouse.lake.files.csv_rows import stage_csv
from boathouse.lake.files.decoded import OnRead
from boathouse.lake.files.input_file import InputFile
from boathouse.lake.files.json_rows import stage_json
from boathouse.lake.files.options import ReadOptions
from boathouse.lake.files.parquet_rows import stage_parquet
from boathouse.lake.files.rejects import SCHEMA, RejectWriter
from boathouse.lake.files.rows import FoundColumn, FoundRows, sql_list
from boathouse.lake.files.typing import Typing
from boathouse.lake.frames import Stream

_MEMORY = "1GB"
_BATCH = 65_536


Added = Mapping[str, tuple[str, pa.DataType]]
"""Column -> (SQL, type), beside those of the files."""


class Staging:
    """The rows of some files in a temporary folder. A context manager: the folder goes with it."""

    def __init__(self, files: Sequence[InputFile], options: ReadOptions | None = None, on_read: OnRead | None = None) -> None:
        self.files = tuple(files)
        self._options = options or ReadOptions()
        self._folder = Path(tempfile.mkdtemp(prefix="boathouse-import-"))
        self._engine = Engine(self._folder, _MEMORY)
        self._rejects = RejectWriter(self._folder / "rejects.parquet")
        self._open = True
        try:
            self.found = self._stage(on_read)
        except BaseException:
            self.close()
            raise

    @property
    def columns(self) -> tuple[FoundColumn, ...]:
        """The columns of the input."""
        return self.found.columns

    @property
    def format(self) -> str:
        """csv, json or parquet."""
        return self.files[0].format(self._options.format)

    @property
    def first_reject(self) -> tuple[str, int, str] | None:
        """File, line and reason of the first row that was set aside."""
        return self._rejects.first

    @property
    def rejected(self) -> Mapping[str, int]:
        """File -> how many of its rows were set aside."""
        return self._rejects.by_file

    def typing(self, known: Mapping[str, pa.DataType], required: Sequence[str] = ()) -> Typing:
        """Every column with its type: the one known by its name, else the narrowest that holds all of its values.

        `required` columns may not be null. Raises InvalidInput for dates whose day and month cannot be told apart.
        """
        return Typing.of(self._engine.connection, self.found, known, required, self._options.date_format)

    def judge(self, typing: Typing) -> Mapping[str, int]:
        """Set aside the rows whose values do not fit; file -> how many are left."""
        counts = self._engine.connection.sql(typing.counts()).fetchall()
        if any(bad for _, _, bad in counts):
            self._reject(typing)
        self._rejects.close()
        self._open = False
        return {file: good for file, good, _ in counts}

    def rows(self, typing: Typing, columns: Added | None = None) -> Stream:
        """The rows that fit, typed; `columns` adds some by SQL, in which `_file` and `_line` are known."""
        if not typing.columns:
            return Stream(pa.schema([]), lambda: pa.table({}).to_reader())
        added = columns or {}
        query = typing.select({name: sql for name, (sql, _) in added.items()})
        return self._stream(query, [*typing.schema, *_fields(added)])

    def rejects(self, columns: Added | None = None, files: Sequence[str] | None = None) -> Stream:
        """The rows that were set aside, of all files or some: file, line, reason, raw, and columns given by SQL."""
        added = "".join(f", {sql} AS {name}" for name, (sql, _) in (columns or {}).items())
        query = f"SELECT *{added} FROM read_parquet({sql_list([self._rejects.path])})"
        if files is not None:
            query += f" WHERE list_contains({sql_list(files)}, file)"
        return self._stream(query, [*SCHEMA, *_fields(columns or {})])

    def write_rejects(self, target: Path) -> None:
        """The rows that were set aside, as a CSV, JSON-lines or Parquet file. Raises InvalidInput for another ending."""
        forms = {".csv": "FORMAT csv, HEADER", ".json": "FORMAT json", ".jsonl": "FORMAT json", ".parquet": "FORMAT parquet"}
        if target.suffix.lower() not in forms:
            raise InvalidInput(f"{target}: rejected rows are written as .csv, .json, .jsonl or .parquet")
        source = f"SELECT * FROM read_parquet({sql_list([self._rejects.path])})"
        self._engine.connection.execute(f"COPY ({source}) TO {literals.text(str(target))} ({forms[target.suffix.lower()]})")

    def repeated(self, typing: Typing, keys: Sequence[str]) -> str | None:
        """An example of two rows that share a key, in words; None when there is none."""
        names = ", ".join(f'"{key}"' for key in keys)
        query = f"SELECT {names}, count(*) AS rows FROM ({typing.select({})}) GROUP BY {names} HAVING count(*) > 1 LIMIT 1"
        found = self._engine.connection.sql(query).to_arrow_table().to_pylist()
        return ", ".join(f"{k}={v}" for k, v in found[0].items() if k != "rows") if found else None

    def check_still(self) -> None:
        """Raises Conflict when a file is not the one that was read any more."""
        for file in self.files:
            if file.current() != file.mark:
                raise Conflict(f"{file.name} changed while it was read; nothing was taken, try again once it is written")

    def close(self) -> None:
        """Remove the folder."""
        if self._open:
            self._rejects.close()
            self._open = False
        self._engine.connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _stage(self, on_read: OnRead | None) -> FoundRows:
        formats = {file.format(self._options.format) for file in self.files}
        if len(formats) > 1:
            raise InvalidInput(f"the files are of several formats ({', '.join(sorted(formats))}): take one after the other")
        if formats == {"csv"}:
            return stage_csv(self.files, self._options, self._folder, self._rejects, on_read)
        if formats == {"json"}:
            return stage_json(self.files, self._options, self._folder, self._rejects, self._engine.connection, on_read)
        return stage_parquet(self.files, self._folder, on_read)

    def _stream(self, query: str, fields: Sequence[pa.Field]) -> Stream:
        cursor = self._engine.connection.cursor
        return Stream(pa.schema(fields), lambda: cursor().sql(query).to_arrow_reader(_BATCH))

    def _reject(self, typing: Typing) -> None:
        for file, line, reason, raw in self._bad_rows(typing):
            self._rejects.add(file, line, reason, raw)

    def _bad_rows(self, typing: Typing) -> Iterator[tuple[str, int, str, str]]:
        cursor = self._engine.connection.cursor()
        for batch in cursor.sql(typing.bad()).to_arrow_reader(_BATCH):
            rows = batch.to_pylist()
            places = [(row["_file"], row["_offset"], row["_length"]) for row in rows if row["_raw"] is None]
            raws = iter(self.found.raws(places)) if self.found.raws else iter(())
            for row in rows:
                raw = next(raws) if row["_raw"] is None and self.found.raws else row["_raw"] or ""
                yield row["_file"], row["_line"], row["_reason"], raw


def _fields(added: Added) -> list[pa.Field]:
    return [pa.field(name, kind) for name, (_, kind) in added.items()]
