"""Files into a table, all or nothing: read, typed, bad rows set aside, written in one commit."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from boathouse.catalog import Table, TableInfo
from boathouse.client.import_report import ImportedFile, ImportReport
from boathouse.client.marks import Mark, TakenMeanwhile, append_missing, numbers
from boathouse.errors import DuplicateKey, InvalidInput, NotFound, NotPermitted, SchemaMismatch
from boathouse.lake import (
    UNCHANGED,
    Commit,
    InputFile,
    ReadOptions,
    Staging,
    Stream,
    Typing,
    column_types,
    sql_type,
    type_named,
)

if TYPE_CHECKING:
    from boathouse.client.lake import Lake

Mode = Literal["append", "overwrite", "merge"]
Progress = Callable[[str, int, int], None]
"""Told (step, done, of how many): bytes while `reading`, rows while `writing`; how far `typing` is cannot be told."""

FILE, TIME = "_file", "_ingested_at"
"""The columns that name each row's file, and when it was taken in."""

_REJECTED = {"file": "string", "line": "bigint", "reason": "string", "raw": "string", "import_id": "string",
             "rejected_at": "timestamp"}  # fmt: skip
_MOST_SOURCES = 20


@dataclass(frozen=True)
class ImportOptions:
    """How rows become the table's. `types` are column -> SQL type; `rejects` is a file for bad rows instead of a table.

    `file_column` and `time_column` add the columns `_file` and `_ingested_at`.
    """

    types: Mapping[str, str] = field(default_factory=dict)
    primary_keys: tuple[str, ...] = ()
    event_time: str | None = None
    partition_by: tuple[str, ...] = ()
    description: str = ""
    mode: Mode = "append"
    evolve: bool = False
    rejects: Path | None = None
    max_bad_rows: int | None = None
    file_column: bool = False
    time_column: bool = False
    reading: ReadOptions = field(default_factory=ReadOptions)

    @property
    def keys(self) -> tuple[str, ...]:
        """The primary keys with the event time, which is always one of them."""
        more = (self.event_time,) if self.event_time and self.event_time not in self.primary_keys else ()
        return (*self.primary_keys, *more)

    @property
    def added(self) -> dict[str, tuple[str, pa.DataType]]:
        """Columns beside those of the files: name -> (SQL, type)."""
        found = {}
        if self.file_column:
            found[FILE] = ("_file::VARCHAR", pa.string())
        if self.time_column:
            found[TIME] = ("now()", type_named("timestamp"))
        return found


def loading_options(**given: Any) -> ImportOptions:
    """Import options out of plain arguments, those of reading among them. Raises InvalidInput for an unknown one."""
    reading = {name: given.pop(name) for name in ReadOptions.__dataclass_fields__ if name in given}
    if unknown := sorted(set(given) - set(ImportOptions.__dataclass_fields__)):
        raise InvalidInput(f"an import takes no {unknown[0]!r}")
    for name in ("primary_keys", "partition_by"):
        given[name] = tuple(given.get(name) or ())
    return ImportOptions(**{**given, "types": dict(given.get("types") or {}), "reading": ReadOptions(**reading)})


class Importer:
    """One import into one table. With `marks` (file -> mark) no file is ever taken in twice."""

    def __init__(self, lake: "Lake", name: str, options: ImportOptions, progress: Progress | None = None,
                 marks: Mapping[str, Mark] | None = None, sources: Sequence[str] | None = None) -> None:  # fmt: skip
        if options.mode not in ("append", "overwrite", "merge"):
            raise InvalidInput(f"the mode {options.mode!r} is unknown; use append, overwrite or merge")
        self._lake = lake
        self._name = lake.complete(name)
        self._options = options
        self._progress = progress or (lambda step, done, total: None)
        self._marks = marks
        self._sources = sources
        self._id = uuid.uuid4().hex
        self._table = opened(lake, self._name)
        self._keys = tuple(self._table.info.primary_keys) if self._table else options.keys
        if self._table and options.keys and set(options.keys) != set(self._keys):
            raise InvalidInput(f"the keys of {self._name} are ({', '.join(self._keys)}), and an import cannot change that")
        if options.mode == "merge" and not self._keys:
            raise InvalidInput(f"{self._name} has no primary keys to merge on; name them with --key")

    def run(self, files: Sequence[InputFile]) -> ImportReport:
        """Import the files. Raises InvalidInput, SchemaMismatch, DuplicateKey, Conflict; then nothing was written."""
        began = time.monotonic()
        if self._sources is None:
            self._sources = [f"file:{Path(f.name).name}" for f in files] if len(files) <= _MOST_SOURCES else []
        with Staging(files, self._options.reading, self._on_read(files)) as staging:
            self._progress("typing", 0, 0)
            typing = staging.typing(self._known(staging), self._keys)
            self._check_columns(typing)
            good = staging.judge(typing)
            self._progress("typing", 1, 1)
            staging.check_still()
            self._check_bad(staging, sum(good.values()))
            created = self._table is None
            if created and self._marks is not None:
                # bad rows depend on the table's types: these must stand before any is kept
                self._table = self._create(self._schema(typing))
            rejects = self._keep_rejects(staging)
            try:
                version = self._write(staging, typing, sum(good.values()))
            except BaseException:
                self._forget_rejects(rejects)
                raise
            return ImportReport(
                table=self._name, version=version, mode=self._options.mode, created=created,
                files=tuple(ImportedFile(f.name, f.size, good.get(f.name, 0), staging.rejected.get(f.name, 0)) for f in files),
                columns=dict(column_types(self._schema(typing))), rejects=rejects, first_bad=_said(staging.first_reject),
                renamed={c.found.header: c.name for c in typing.columns if c.found.header != c.name},
                notes=(*staging.found.notes, *typing.notes), import_id=self._id, seconds=time.monotonic() - began,
            )  # fmt: skip

    def _on_read(self, files: Sequence[InputFile]) -> Callable[[int], None]:
        done, total = 0, sum(f.size for f in files)

        def on_read(more: int) -> None:
            nonlocal done
            done += more
            self._progress("reading", done, total)

        return on_read

    def _known(self, staging: Staging) -> dict[str, pa.DataType]:
        """The types that are not inferred: the table's, those the caller gives, and the event time's."""
        there = {c.name.casefold(): c.name for c in staging.columns}
        if not there and self._table is None:
            raise InvalidInput(f"{staging.files[0].name} holds no row with a value")
        for name in (*self._options.types, *self._keys):
            if there and name.casefold() not in there:
                raise InvalidInput(f"the files have no column {name!r} (they have {', '.join(there.values())})")
        given = {name: type_named(kind) for name, kind in self._options.types.items()}
        if self._table is None:
            if self._options.event_time:
                given.setdefault(self._options.event_time, type_named("timestamp"))
            return given
        if self._options.mode == "overwrite" and self._options.evolve:
            return given
        known = {f.name: f.type for f in self._table.schema()}
        by_case = {name.casefold(): name for name in known}
        for name, kind in given.items():
            there_as = by_case.get(name.casefold())
            if there_as and known[there_as] != kind:
                raise InvalidInput(f"{there_as} is {sql_type(known[there_as])} in {self._name}, and an import cannot change that")
            known[there_as or name] = kind
        return known

    def _schema(self, typing: Typing) -> pa.Schema:
        return pa.schema([*typing.schema, *((name, kind) for name, (_, kind) in self._options.added.items())])

    def _check_columns(self, typing: Typing) -> None:
        names = [name.casefold() for name in self._schema(typing).names]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise InvalidInput(f"the files have a column {twice!r} of their own; leave that of the import out")
        if self._table is None or self._options.evolve:
            return
        known = {f.name.casefold() for f in self._table.schema()}
        if extra := [name for name in self._schema(typing).names if name.casefold() not in known]:
            raise SchemaMismatch(f"{self._name} has no column {extra[0]!r}; let new columns in with --evolve, or drop it")

    def _check_bad(self, staging: Staging, good: int) -> None:
        bad, limit = sum(staging.rejected.values()), self._options.max_bad_rows
        first = f"the first: {_said(staging.first_reject)}"
        if bad and not good and (self._marks is None or self._table is None):
            raise InvalidInput(f"none of the {bad} rows fits {self._name}; {first}; nothing was written")
        if limit is not None and bad > limit:
            raise InvalidInput(f"{bad} rows are bad, more than the {limit} allowed; {first}; nothing was written")
        if not good and self._table is None and not {c.name for c in staging.columns} <= set(self._options.types):
            raise InvalidInput("the files hold no row, so that no types are known; give each column's with --type")

    def _write(self, staging: Staging, typing: Typing, rows: int) -> int:
        options = self._options
        if options.mode == "merge" and (example := staging.repeated(typing, self._keys)):
            raise DuplicateKey(f"rows of the files share a key, for example {example}; nothing was written")
        made = None if self._table else self._create(self._schema(typing))
        table = self._table or made
        assert table is not None
        try:
            return self._commit(table, self._counted(staging.rows(typing, options.added), rows), rows).version
        except BaseException:
            if made:
                self._lake.drop_table(made.name)
            raise

    def _commit(self, table: Table, rows: Stream, count: int) -> Commit:
        evolve, sources = self._options.evolve, self._sources or ()
        if self._options.mode == "overwrite":
            return table.overwrite(rows, evolve=evolve, sources=sources)
        if self._marks is not None:
            commit = table.append(rows, evolve=evolve, sources=sources, marks=numbers(self._marks))
            if commit.operation == UNCHANGED:
                raise TakenMeanwhile
            return commit
        if not count:
            return Commit(table.version, UNCHANGED, 0)
        if self._options.mode == "merge":
            return table.merge(rows, evolve=evolve, sources=sources)
        return table.append(rows, evolve=evolve, sources=sources)

    def _create(self, schema: pa.Schema) -> Table:
        return self._lake.create_table(
            self._name, schema, primary_keys=self._keys, event_time=self._options.event_time,
            partition_by=self._options.partition_by, description=self._options.description,
        )  # fmt: skip

    def _counted(self, rows: Stream, total: int) -> Stream:
        def counted(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
            done = 0
            for batch in reader:
                yield batch
                done += batch.num_rows
                self._progress("writing", done, total)

        def opened() -> pa.RecordBatchReader:
            reader = rows.open()
            return pa.RecordBatchReader.from_batches(reader.schema, counted(reader))

        return Stream(rows.schema, opened)

    def _keep_rejects(self, staging: Staging) -> str | None:
        """Keep the bad rows before the good ones: a crash in between loses none. Where they are now."""
        if not staging.rejected:
            return None
        if self._options.rejects:
            staging.write_rejects(self._options.rejects)
            return str(self._options.rejects)
        table = rejected_table(self._lake, self._name, self._table.info if self._table else None)
        columns = {"import_id": (f"'{self._id}'", pa.string()), "rejected_at": ("now()", type_named("timestamp"))}
        if self._marks is None:
            table.append(staging.rejects(columns), sources=self._sources)
        else:
            marks = {file: self._marks[file] for file in staging.rejected}
            append_missing(table, marks, lambda left: staging.rejects(columns, left))
        return table.name

    def _forget_rejects(self, rejects: str | None) -> None:
        """Of a write that failed. Rows with marks stay: whoever takes the file in next does not add them again."""
        if rejects and not self._options.rejects and self._marks is None:
            with contextlib.suppress(Exception):
                self._lake.table(rejects).delete(f"import_id = '{self._id}'")


def rejected_table(lake: "Lake", name: str, info: TableInfo | None) -> Table:
    """The table beside a table that holds its bad rows. Where the table has masks or a filter, raw text is masked too."""
    table = lake.create_table(f"{name}_rejected", _REJECTED, exists_ok=True,
                              description=f"Rows of files that did not fit {name}")  # fmt: skip
    if info and (info.masks or info.row_filter) and not table.info.masks:
        lake.describe_table(table.name, masks={"raw": "NULL::VARCHAR", "reason": "NULL::VARCHAR"})
    return table


def opened(lake: "Lake", name: str) -> Table | None:
    """A table, if it is there and the caller may open it."""
    try:
        return lake.table(name)
    except (NotFound, NotPermitted):
        return None


def _said(first: tuple[str, int, str] | None) -> str | None:
    return f"{first[0]} line {first[1]}: {first[2]}" if first else None
