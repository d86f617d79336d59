"""Files of a folder into a table, each exactly once, across restarts and crashes and beside other ingesters.

A file is in the table if the table's own log says so: the commit that adds a file's rows carries a mark of the file's
content. What `<table>_files` keeps of each file is made from that, for people, and to know a file again without
reading it; a crash may leave a gap in it, which the next look closes.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from boathouse import clock
from boathouse.catalog import Table
from boathouse.client.file_source import FileSource
from boathouse.client.import_report import ImportedFile
from boathouse.client.imports import Importer, ImportOptions, Progress, opened
from boathouse.client.ingest_report import IngestReport
from boathouse.client.marks import Mark, TakenMeanwhile, append_missing
from boathouse.errors import AlreadyExists, CommitConflict, Conflict, InvalidInput, NotFound
from boathouse.lake import InputFile, schema_of

if TYPE_CHECKING:
    from boathouse.client.lake import Lake

Changed = Literal["ignore", "fail", "append"]

_SCHEMA = schema_of({
    "source": "string", "file": "string", "bytes": "bigint", "mark": "string", "content": "string", "rows": "bigint",
    "bad_rows": "bigint", "version": "bigint", "table_made_at": "timestamp", "ingested_at": "timestamp",
})  # fmt: skip
_BATCH_FILES = 100
_BATCH_BYTES = 256 << 20


@dataclass(frozen=True)
class IngestOptions:
    """`changed` says what to do with a file that was taken in and is another now; `settle` for how many seconds a file
    must have stood still."""

    loading: ImportOptions = field(default_factory=ImportOptions)
    changed: Changed = "ignore"
    settle: float = 2.0

    def check(self) -> None:
        """Raises InvalidInput."""
        if self.changed not in ("ignore", "fail", "append"):
            raise InvalidInput(f"a changed file is ignored, appended or fails; {self.changed!r} is unknown")
        if self.loading.mode != "append" or self.loading.rejects:
            raise InvalidInput("files that arrive are appended, and their bad rows are kept in a table")


@dataclass
class _Look:
    """What one look has found so far."""

    files: list[ImportedFile] = field(default_factory=list)
    known: int = 0
    waiting: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    rejects: str | None = None
    version: int | None = None
    notes: list[str] = field(default_factory=list)


class Ingester:
    """Takes in what is new at a source, look by look."""

    def __init__(self, lake: "Lake", name: str, source: FileSource, options: IngestOptions | None = None,
                 progress: Progress | None = None) -> None:  # fmt: skip
        self._lake = lake
        self._name = lake.complete(name)
        self._source = source
        self._options = options or IngestOptions()
        self._options.check()
        self._progress = progress
        self._known: dict[str, tuple[str, str]] | None = None  # file -> (mark, content), as it was taken in
        self._refused: dict[str, str] = {}  # file -> the mark under which it failed or was ignored

    def run(self) -> IngestReport:
        """One look: take in the files that are new. Raises Conflict for a changed one, if that is the policy."""
        look = _Look()
        new = self._settled(self._new(look), look)
        for batch in _batches(new):
            self._take(batch, look)
        return IngestReport(
            table=self._name, source=self._source.name, version=look.version, files=tuple(look.files), known=look.known,
            waiting=tuple(look.waiting), changed=tuple(look.changed), failed=look.failed, rejects=look.rejects,
            notes=tuple(dict.fromkeys(look.notes)),
        )  # fmt: skip

    def watch(self, every: float = 2.0) -> Iterator[IngestReport]:
        """Look again and again, for ever. A report comes only of looks that saw something new."""
        while True:
            report = self.run()
            if report.files or report.changed or report.failed:
                yield report
            time.sleep(every)

    def _new(self, look: _Look) -> list[InputFile]:
        known = self._ledger()
        found = []
        for file in self._source.files():
            if self._refused.get(file.name) == file.mark:
                continue
            if not file.size:  # it is only being made
                look.waiting.append(file.name)
                continue
            before = known.get(file.name)
            if before is None:
                found.append(file)
            elif before[0] == file.mark or before[1] == file.digest():
                known[file.name] = (file.mark, before[1])
                look.known += 1
            elif self._may_take_changed(file, look):
                found.append(file)
        return found

    def _may_take_changed(self, file: InputFile, look: _Look) -> bool:
        if self._options.changed == "fail":
            raise Conflict(f"{file.name} was taken into {self._name} and is another now; take it in with --changed append, "
                           "leave it with --changed ignore, or give it a new name")  # fmt: skip
        look.changed.append(file.name)
        if self._options.changed == "ignore":
            self._refused[file.name] = file.mark
        return self._options.changed == "append"

    def _settled(self, files: Sequence[InputFile], look: _Look) -> list[InputFile]:
        """The files that nobody is writing any more, so far as standing still tells."""
        ages = [time.time() - f.written_at for f in files if f.written_at is not None]
        if young := [age for age in ages if age < self._options.settle]:
            time.sleep(max(min(self._options.settle - min(young), self._options.settle), 0))
        still = [f for f in files if f.current() == f.mark]
        look.waiting += sorted({f.name for f in files} - {f.name for f in still})
        return still

    def _take(self, batch: Sequence[InputFile], look: _Look) -> None:
        """Take in all files of a batch in one commit; each alone where one of them spoils it."""
        while left := self._not_in(batch, look):
            marks = {file.name: self._mark(file, content) for file, content in left}
            loader = Importer(self._lake, self._name, self._options.loading, self._progress, marks, [self._source.node])
            try:
                report = loader.run([file for file, _ in left])
            except (TakenMeanwhile, AlreadyExists):
                continue  # another ingester came first: see again what is left
            except (InvalidInput, NotFound, Conflict) as error:
                if isinstance(error, CommitConflict):
                    raise
                self._spoiled([file for file, _ in left], error, look)
                return
            look.version, look.rejects = report.version, report.rejects or look.rejects
            look.notes += report.notes
            look.files += report.files
            self._record(left, {f.name: f for f in report.files}, report.version)
            return

    def _spoiled(self, files: Sequence[InputFile], error: Exception, look: _Look) -> None:
        if len(files) > 1:
            for file in files:
                self._take([file], look)
        elif isinstance(error, InvalidInput):
            look.failed[files[0].name] = str(error)
            self._refused[files[0].name] = files[0].mark
        else:
            look.waiting.append(files[0].name)

    def _not_in(self, batch: Sequence[InputFile], look: _Look) -> list[tuple[InputFile, str]]:
        """The files of a batch that the table's log does not know, with their content's digest; the others are recorded."""
        table = opened(self._lake, self._name)
        left, gaps = [], []
        known = self._ledger()
        for file in batch:
            content = file.digest()
            mark = self._mark(file, content)
            stands = table.transaction_version(mark.application) if table else None
            if stands == mark.number:
                gaps.append((file, content))
            elif stands is None or file.name in known or self._may_take_changed(file, look):
                left.append((file, content))
        if gaps and table:  # a crash came between the rows and the record, or another ingester did
            self._record(gaps, {}, table.version)
            look.known += len(gaps)
        return left

    def _record(self, files: Sequence[tuple[InputFile, str]], taken: dict[str, ImportedFile], version: int) -> None:
        made_at = self._lake.table_info(self._name).created_at
        rows = {
            file.name: {"source": self._source.name, "file": file.name, "bytes": file.size, "mark": file.mark, "content": content,
             "rows": taken[file.name].rows if file.name in taken else None,
             "bad_rows": taken[file.name].bad_rows if file.name in taken else None,
             "version": version, "table_made_at": made_at, "ingested_at": clock.now()}
            for file, content in files
        }  # fmt: skip
        marks = {file.name: self._mark(file, content) for file, content in files}
        append_missing(self._ledger_table(), marks, lambda left: pa.Table.from_pylist([rows[name] for name in left], _SCHEMA))
        self._ledger().update({file.name: (file.mark, content) for file, content in files})

    def _ledger(self) -> dict[str, tuple[str, str]]:
        """The files that the table holds, as far as is recorded."""
        if self._known is None:
            self._known = {}
            table, ledger = opened(self._lake, self._name), opened(self._lake, f"{self._name}_files")
            if table and ledger:
                kept = ledger.read(columns=["source", "file", "mark", "content", "table_made_at", "ingested_at"])
                rows = sorted(kept.to_dicts(), key=lambda row: row["ingested_at"])
                mine = [r for r in rows if r["source"] == self._source.name and r["table_made_at"] == table.info.created_at]
                self._known = {row["file"]: (row["mark"], row["content"]) for row in mine}
        return self._known

    def _ledger_table(self) -> Table:
        return self._lake.create_table(f"{self._name}_files", _SCHEMA, exists_ok=True,
                                       description=f"Files that were taken into {self._name}")  # fmt: skip

    def _mark(self, file: InputFile, content: str) -> Mark:
        return Mark(f"boathouse.ingest {self._source.name} {file.name}", int(content[:15], 16))


def _batches(files: Sequence[InputFile]) -> Iterator[list[InputFile]]:
    batch: list[InputFile] = []
    for file in files:
        if batch and (len(batch) == _BATCH_FILES or sum(f.size for f in batch) + file.size > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(file)
    if batch:
        yield batch
