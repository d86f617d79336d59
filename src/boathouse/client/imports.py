"""Files into a table, all or nothing: read, typed, bad rows set aside, written in one commit."""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from boathouse.catalog import Table, TableInfo
from boathouse.client.import_report import ImportedFile, ImportReport
from boathouse.errors import DuplicateKey, InvalidInput, NotFound, NotPermitted, SchemaMismatch
from boathouse.lake import Commit, InputFile, ReadOptions, Staging, Stream, Typing, column_types, type_named

if TYPE_CHECKING:
    from boathouse.client.lake import Lake

Mode = Literal["append", "overwrite", "merge"]
Progress = Callable[[str, int, int], None]
"""Told (step, done, of how many): bytes while `reading`, rows while `writing`."""

_REJECTED = {"file": "string", "line": "bigint", "reason": "string", "raw": "string", "import_id": "string",
             "rejected_at": "timestamp"}  # fmt: skip


@dataclass(frozen=True)
class ImportOptions:
    """How rows become the table's. `types` are column -> SQL type; `rejects` is a file for bad rows instead of a table."""

    types: Mapping[str, str] = field(default_factory=dict)
    primary_keys: tuple[str, ...] = ()
    event_time: str | None = None
    partition_by: tuple[str, ...] = ()
    description: str = ""
    mode: Mode = "append"
    evolve: bool = False
    rejects: Path | None = None
    max_bad_rows: int | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)

    @property
    def keys(self) -> tuple[str, ...]:
        """The primary keys with the event time, which is always one of them."""
        more = (self.event_time,) if self.event_time and self.event_time not in self.primary_keys else ()
        return (*self.primary_keys, *more)


class Importer:
    """One import into one table."""

    def __init__(self, lake: "Lake", name: str, options: ImportOptions, progress: Progress | None = None) -> None:
        if options.mode not in ("append", "overwrite", "merge"):
            raise InvalidInput(f"the mode {options.mode!r} is unknown; use append, overwrite or merge")
        self._lake = lake
        self._name = lake.complete(name)
        self._options = options
        self._progress = progress or (lambda step, done, total: None)
        self._id = uuid.uuid4().hex
        self._sources: tuple[str, ...] = ()  # files on this machine are no nodes of the lineage
        self._table = _opened(lake, self._name)
        self._keys = tuple(self._table.info.primary_keys) if self._table else options.keys
        if options.mode == "merge" and not self._keys:
            raise InvalidInput(f"{self._name} has no primary keys to merge on; name them with --key")

    def run(self, files: Sequence[InputFile]) -> ImportReport:
        """Import the files. Raises InvalidInput, SchemaMismatch, DuplicateKey, Conflict; then nothing was written."""
        began = time.monotonic()
        with Staging(files, self._options.reading, self._on_read(files)) as staging:
            typing = staging.typing(self._known(staging), self._keys)
            self._check_columns(typing)
            good = staging.judge(typing)
            staging.check_still()
            self._check_bad(staging, sum(good.values()))
            rejects = self._keep_rejects(staging)
            created = self._table is None
            try:
                version = self._write(staging, typing, sum(good.values()))
            except BaseException:
                self._forget_rejects(rejects)
                raise
            return ImportReport(
                table=self._name, version=version, mode=self._options.mode, created=created,
                files=tuple(ImportedFile(f.name, f.size, good.get(f.name, 0), staging.rejected.get(f.name, 0)) for f in files),
                columns=dict(column_types(typing.schema)), rejects=rejects, first_bad=_said(staging.first_reject),
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
        for name in (*self._options.types, *self._keys):
            if name.casefold() not in there:
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
            known.setdefault(by_case.get(name.casefold(), name), kind)
        return known

    def _check_columns(self, typing: Typing) -> None:
        if self._table is None or self._options.evolve:
            return
        known = {f.name.casefold() for f in self._table.schema()}
        if extra := [c.name for c in typing.columns if c.name.casefold() not in known]:
            raise SchemaMismatch(f"{self._name} has no column {extra[0]!r}; let new columns in with --evolve, or drop it")

    def _check_bad(self, staging: Staging, good: int) -> None:
        bad, limit = sum(staging.rejected.values()), self._options.max_bad_rows
        first = f"the first: {_said(staging.first_reject)}"
        if bad and not good:
            raise InvalidInput(f"none of the {bad} rows fits {self._name}; {first}; nothing was written")
        if limit is not None and bad > limit:
            raise InvalidInput(f"{bad} rows are bad, more than the {limit} allowed; {first}; nothing was written")
        if not good and self._table is None and not {c.name for c in staging.columns} <= set(self._options.types):
            raise InvalidInput("the files hold no row, so that no types are known; give each column's with --type")

    def _write(self, staging: Staging, typing: Typing, rows: int) -> int:
        options = self._options
        if options.mode == "merge" and (example := staging.repeated(typing, self._keys)):
            raise DuplicateKey(f"rows of the files share a key, for example {example}; nothing was written")
        made = None if self._table else self._create(typing)
        table = self._table or made
        assert table is not None
        try:
            return self._commit(table, self._counted(staging.rows(typing), rows), rows).version
        except BaseException:
            if made:
                self._lake.drop_table(made.name)
            raise

    def _commit(self, table: Table, rows: Stream, count: int) -> Commit:
        if self._options.mode == "overwrite":
            return table.overwrite(rows, evolve=self._options.evolve, sources=self._sources)
        if not count:
            return Commit(table.version, "UNCHANGED", 0)
        if self._options.mode == "merge":
            return table.merge(rows, evolve=self._options.evolve, sources=self._sources)
        return table.append(rows, evolve=self._options.evolve, sources=self._sources)

    def _create(self, typing: Typing) -> Table:
        return self._lake.create_table(
            self._name, typing.schema, primary_keys=self._keys, event_time=self._options.event_time,
            partition_by=self._options.partition_by, description=self._options.description,
        )  # fmt: skip

    def _counted(self, rows: Stream, total: int) -> Stream:
        def counted() -> Iterator[pa.RecordBatch]:
            done = 0
            for batch in rows.open():
                yield batch
                done += batch.num_rows
                self._progress("writing", done, total)

        return Stream(rows.schema, lambda: pa.RecordBatchReader.from_batches(rows.schema, counted()))

    def _keep_rejects(self, staging: Staging) -> str | None:
        """Keep the bad rows before the good ones: a crash in between loses none. Where they are now."""
        if not staging.rejected:
            return None
        if self._options.rejects:
            staging.write_rejects(self._options.rejects)
            return str(self._options.rejects)
        table = rejected_table(self._lake, self._name, self._table.info if self._table else None)
        table.append(staging.rejects({"import_id": f"'{self._id}'", "rejected_at": "now()"}), sources=self._sources)
        return table.name

    def _forget_rejects(self, rejects: str | None) -> None:
        if rejects and not self._options.rejects:
            with contextlib.suppress(Exception):
                self._lake.table(rejects).delete(f"import_id = '{self._id}'")


def rejected_table(lake: "Lake", name: str, info: TableInfo | None) -> Table:
    """The table beside a table that holds its bad rows. Where the table has masks or a filter, raw text is masked too."""
    table = lake.create_table(f"{name}_rejected", _REJECTED, exists_ok=True,
                              description=f"Rows of files that did not fit {name}")  # fmt: skip
    if info and (info.masks or info.row_filter) and not table.info.masks:
        lake.describe_table(table.name, masks={"raw": "NULL::VARCHAR", "reason": "NULL::VARCHAR"})
    return table


def _opened(lake: "Lake", name: str) -> Table | None:
    try:
        return lake.table(name)
    except (NotFound, NotPermitted):
        return None


def _said(first: tuple[str, int, str] | None) -> str | None:
    return f"{first[0]} line {first[1]}: {first[2]}" if first else None
