"""One Delta table in one folder: every commit goes through delta-rs, retried from a fresh snapshot."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError, TableNotFoundError

from boathouse import clock
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from boathouse.lake.changed import changes_of
from boathouse.lake.clause import as_given, same
from boathouse.lake.commits import Commit, Marked, committed, retried, told
from boathouse.lake.compaction import compact_if_due
from boathouse.lake.confined import confine
from boathouse.lake.fitting import fitting, renewing, repeatable
from boathouse.lake.foreseen import carried
from boathouse.lake.frames import Fitting, Stream, batches, conform, normalised, refuse_unkept
from boathouse.lake.literals import quoted
from boathouse.lake.log import commits
from boathouse.lake.schemas import column_types
from boathouse.lake.storage import Storage, local_path, store_trouble
from boathouse.lake.stretches import near
from boathouse.lake.vacuum import Vacuumed, vacuum

Permit = Callable[[list[tuple[str, str]]], None]
"""Is shown columns (name, type) that will replace others, and raises to keep those."""

_COMMITS_CARRIED = 20
_LOG_CLEANUP = "delta.enableExpiredLogCleanup"
_CONFIGURATION = {
    "delta.checkpointInterval": "20", "delta.enableChangeDataFeed": "true",
    _LOG_CLEANUP: "false",  # a checkpoint would drop versions that are pinned; vacuum knows them
}  # fmt: skip


class DeltaFolder:
    """Reads and writes one table; holds its handle, since re-opening costs three times a commit."""

    def __init__(self, location: str, name: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.location = location
        self.name = name
        self.options = dict(storage_options or {})
        self._table: DeltaTable | None = None
        self._opened_at = 0

    def exists(self) -> bool:
        """Whether a Delta log stands here."""
        if self.local:
            return DeltaTable.is_deltatable(self.location)
        # delta-rs holds Python's lock while it asks a store, which would stop the whole server
        return Storage(self.location, self.options).holds_anything("_delta_log")

    def is_empty(self) -> bool:
        """Whether no file lies here."""
        return not Storage(self.location, self.options).holds_anything()

    def table(self, version: int | None = None, timestamp: datetime | None = None) -> DeltaTable:
        """The newest snapshot, or the one of a version or time. Raises NotFound."""
        try:
            if version is not None:
                return DeltaTable(self.location, version=version, storage_options=self.options)
            if timestamp is not None:
                past = DeltaTable(self.location, storage_options=self.options)
                past.load_as_version(self._newest_at(timestamp))
                return past
            if self._table is not None:
                self._table.update_incremental()
            # a handle carries every commit since it was opened, and each makes the next write slower
            if self._table is None or self._table.version() - self._opened_at >= _COMMITS_CARRIED:
                self._table = DeltaTable(self.location, storage_options=self.options)
                self._opened_at = self._table.version()
        except TableNotFoundError as error:
            raise NotFound(f"{self.name} has no data at {self.location}") from error
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be reached: {store_trouble(error)}") from error
        except (DeltaError, OverflowError) as error:
            wanted = version if version is not None else timestamp
            if wanted is None:  # a feature that delta-rs does not know, or a broken log
                raise InvalidInput(f"{self.name} cannot be opened here: {_first_line(error)}") from error
            raise NotFound(f"{self.name} has no version {wanted}{self._why_not(wanted)}") from error
        return self._table

    def _newest_at(self, moment: datetime) -> int | datetime:
        """The newest version that the history dates not after a moment; the moment where the log no longer tells.

        A log file is written a little after the time that its commit carries, and delta-rs goes by the file.
        Raises NotFound for a moment before the first version, or one that is still to come.
        """
        if moment > clock.now():
            newest = self.history(1)[0]
            since = f" of {datetime.fromtimestamp(newest['timestamp'] / 1000, UTC)}" if "timestamp" in newest else ""
            raise NotFound(f"{self.name} has no version of {moment}, which is still to come; the newest is "
                           f"{newest['version']}{since}, and is read without a time")  # fmt: skip
        history, milliseconds = self.history(), moment.timestamp() * 1000
        dated = (c["version"] for c in history if c.get("timestamp", float("inf")) <= milliseconds)
        found = next(dated, None)
        if found is None and history and history[-1]["version"] == 0 and "timestamp" in history[-1]:
            raise NotFound(f"{self.name} was not there yet at {moment}; `boathouse tables history` says since when it is")
        return moment if found is None else found

    def _why_not(self, wanted: int | datetime) -> str:
        newest = self.table().version()
        if isinstance(wanted, int) and 0 <= wanted <= newest:
            return ": its commit is no longer in the log"
        return f"; the newest is {newest}, and `boathouse tables history` lists them"

    def held(self) -> DeltaTable:
        """The snapshot that was read or written last, which others' commits may have passed."""
        return self._table or self.table()

    def snapshot(self, version: int | None = None, timestamp: datetime | None = None) -> DeltaTable:
        """`table`, to be read at once: what is held already serves its own version. Raises NotFound."""
        if version is not None and self._table is not None and self._table.version() == version:
            return self._table
        return self.table(version, timestamp)

    def version(self) -> int:
        """The newest version."""
        return self.table().version()

    def schema(self, version: int | None = None) -> pa.Schema:
        """Columns and Arrow types."""
        return pa.schema(self.table(version).schema().to_arrow())

    def create(self, schema: pa.Schema, partition_by: Sequence[str] = (), description: str | None = None,
               constraints: Mapping[str, str] | None = None, required: Sequence[str] = (),
               properties: Mapping[str, str] | None = None, comments: Mapping[str, str] | None = None) -> Commit:  # fmt: skip
        """Write version 0, without rows; `required` columns may never be null, `properties` are Delta's.

        `comments` on columns go into the Delta log, so that other engines show them too.

        Raises AlreadyExists, and InvalidInput for what Delta cannot keep; then nothing is left behind.
        """
        if self.exists():
            raise AlreadyExists(f"{self.name} has data at {self.location} already")
        refuse_unkept(schema, self.name)
        told = {name: {"comment": comment} for name, comment in (comments or {}).items() if comment}
        fields = [f.with_nullable(f.name not in required).with_metadata(told.get(f.name, {})) for f in normalised(schema)]
        self._ensure_folder()
        try:
            table = DeltaTable.create(
                self.location, schema=pa.schema(fields), partition_by=list(partition_by) or None,
                description=description, configuration={**_CONFIGURATION, **(properties or {})},
                storage_options=self.options,
            )  # fmt: skip
            if constraints:
                table.alter.add_constraint(dict(constraints))
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be made: {store_trouble(error)}") from error
        except Exception as error:  # delta-rs raises bare exceptions for types that it does not know
            self.remove()
            raise InvalidInput(f"{self.name} cannot be made: {str(error).splitlines()[0]}") from error
        self._table = table
        return Commit(table.version(), "CREATE TABLE", 0)

    def constrain(self, constraints: Mapping[str, str]) -> Commit:
        """Demand that SQL conditions hold of every row, now and later. Raises InvalidInput where one does not."""

        def write(table: DeltaTable, marked: Marked) -> None:
            for name, condition in constraints.items():
                table.alter.add_constraint({name: condition}, commit_properties=marked.properties())

        return self._retried(write, "ADD CONSTRAINT")

    def set_properties(self, properties: Mapping[str, str]) -> Commit:
        """Change Delta's table properties. Raises InvalidInput for one that Delta does not know, or that is kept for pins."""
        if _LOG_CLEANUP in properties:
            raise InvalidInput(f"{self.name}: {_LOG_CLEANUP} stays as it is, since pinned versions need the log; vacuum cuts it")
        return self._retried(
            lambda table, marked: table.alter.set_table_properties(dict(properties), commit_properties=marked.properties()),
            "SET TBLPROPERTIES",
        )  # fmt: skip

    def properties(self) -> dict[str, str]:
        """Delta's table properties."""
        return {k: v for k, v in self.table().metadata().configuration.items() if v is not None}

    def remove(self) -> None:
        """Delete the table's files."""
        self._table = None
        Storage(self.location, self.options).remove()

    def append(self, frame: Any, transaction: tuple[str, int] | None = None, evolve: bool = False,
               marks: Mapping[str, int] | None = None) -> Commit:  # fmt: skip
        """Add rows.

        With `transaction` (application id, number) a number that was already committed writes nothing:
        delta-rs itself would accept it twice. With `marks` (application id -> number) nothing is written when one
        of them stands at its number already, and else all stand there with the rows.
        """
        rows = fitting(frame, self.schema(), self.name, evolve)

        def write(table: DeltaTable, marked: Marked) -> bool:
            if committed(table, transaction) or _taken_in(table, marks or {}):
                return False
            done = [Transaction(*pair) for pair in ([transaction] if transaction else []) + list((marks or {}).items())]
            write_deltalake(
                table, rows.to_reader(), mode="append", schema_mode="merge" if evolve else None,
                commit_properties=marked.properties(
                    app_transactions=done or None, max_commit_retries=0 if transaction else 15
                ),
            )  # fmt: skip
            return True

        commit = self._retried(write, "WRITE", rows, fresh=True)
        compact_if_due(self.held())
        return commit

    def overwrite(self, frame: Any, where: str | None = None, evolve: bool = False,
                  marks: Mapping[str, int] | None = None,
                  permit: Permit | None = None) -> Commit:  # fmt: skip
        """Replace all rows, or those a predicate names; `evolve` replaces the columns too, or adds some.

        `marks` as for `merge`. `permit` is shown columns (name, type) that replace others, and raises to keep those.
        """
        renewed = evolve and not where
        rows = renewing(frame, self.schema(), self.name) if renewed else fitting(frame, self.schema(), self.name, evolve)
        if renewed and permit:
            permit(column_types(rows.schema))
        mode: Literal["overwrite", "merge"] | None = "overwrite" if renewed else "merge" if evolve else None

        def write(table: DeltaTable, marked: Marked) -> bool:
            if _passed(table, marks or {}):
                return False
            write_deltalake(
                table, rows.to_reader(), mode="overwrite", predicate=where, schema_mode=mode,
                commit_properties=marked.properties(**_marking(marks or {}, retries=0)),
            )  # fmt: skip
            return True

        return self._retried(write, "OVERWRITE", rows)

    def merge(self, frame: Any, on: Sequence[str], evolve: bool = False, update: bool = True,
              marks: Mapping[str, int] | None = None, dropping: str | None = None,
              known_time: str | None = None) -> Commit:  # fmt: skip
        """Update rows with equal keys, insert the others; `update=False` leaves existing rows alone.

        A column that the frame lacks keeps its values in rows that are there, and is null in those that are inserted; or,
        with `known_time`, one of the keys, as the newest row of the other keys had it that was known by then.
        `dropping` names a Boolean column of the frame, not of the table: where it is true, the row with its keys goes, and
        has to be there (delta-rs would write nulls for a row of the source that no clause takes).
        With `marks` (application id -> number) nothing is written when all stand at their numbers already, or beyond,
        and else they stand there with the rows.
        """
        whole = batches(frame).read_all() if dropping else None
        source, known = repeatable(frame) if whole is None else whole, self.schema()
        absent = [c for c in known.names if c not in source.schema.names]
        rows = fitting(source, known, self.name, evolve) if whole is None else whole
        predicate = same(on)
        if isinstance(rows, pa.Table) and (close := near(rows, on, "target")):
            predicate += f" AND {close}"

        def write(table: DeltaTable, marked: Marked) -> bool:
            if _passed(table, marks or {}):
                return False
            given = rows
            if known_time and absent and not dropping:
                given = carried(table, rows.to_reader().read_all().drop_columns(absent), on, known_time, self.name)
            merger = table.merge(
                given.to_reader(), predicate, source_alias="source", target_alias="target", merge_schema=evolve,
                commit_properties=marked.properties(**_marking(marks or {})),
            )  # fmt: skip
            taken = as_given(c for c in given.schema.names if c != dropping)
            if dropping:
                merger = merger.when_matched_delete(f"source.{quoted(dropping)}").when_matched_update(taken)
                merger = merger.when_not_matched_insert(taken, f"NOT source.{quoted(dropping)}")
            else:
                merger = merger.when_not_matched_insert(taken)
                given_alone = as_given(c for c in given.schema.names if c not in absent)
                merger = merger.when_matched_update(given_alone) if update else merger
            merger.execute()
            return True

        return self._retried(write, "MERGE", rows)

    def fill(self, frame: Any, on: Sequence[str], columns: Sequence[str]) -> Commit:
        """Set some columns of existing rows with equal keys; nothing is inserted."""
        rows = batches(frame).read_all()
        predicate, updates = same(on), as_given(columns)

        def write(table: DeltaTable, marked: Marked) -> None:
            table.merge(
                rows.to_reader(), predicate, source_alias="source", target_alias="target",
                commit_properties=marked.properties(),
            ).when_matched_update(updates).execute()  # fmt: skip

        return self._retried(write, "MERGE", rows)

    def delete(self, where: str | None = None) -> Commit:
        """Remove the rows that a predicate names; all without one."""
        return self._retried(
            lambda table, marked: table.delete(where, commit_properties=marked.properties()), "DELETE"
        )  # fmt: skip

    def update(self, values: Mapping[str, str], where: str | None = None) -> Commit:
        """Set columns to SQL expressions where a predicate holds."""
        return self._retried(
            lambda table, marked: table.update(
                updates=dict(values), predicate=where, commit_properties=marked.properties()
            ),
            "UPDATE",
        )  # fmt: skip

    def change(self, write: Callable[[DeltaTable, Marked], Any], operation: str) -> Commit:
        """Commit by a function of the newest snapshot, called anew whenever another writer came first.

        It returns False where nothing is to be changed.
        """
        return self._retried(write, operation)

    def restore(self, version: int, permit: Permit | None = None) -> Commit:
        """Make an old version the newest; `permit` as for `overwrite`.

        Raises InvalidInput where a vacuum has deleted its files, NotFound for a version that is not there.
        """
        if version == self.table().version():
            raise InvalidInput(f"version {version} is the newest of {self.name}: there is nothing to restore")
        if permit:
            permit(column_types(pa.schema(self.table(version).schema().to_arrow())))
        return self._retried(
            lambda table, marked: table.restore(version, commit_properties=marked.properties()), "RESTORE"
        )  # fmt: skip

    def optimize(self, z_order: Sequence[str] = ()) -> Commit:
        """Rewrite many small files as few; cluster them by columns."""

        def write(table: DeltaTable, marked: Marked) -> None:
            if z_order:
                table.optimize.z_order(list(z_order), commit_properties=marked.properties())
            else:
                table.optimize.compact(commit_properties=marked.properties())

        return self._retried(write, "OPTIMIZE")

    def checkpoint(self) -> int:
        """Write the newest version's state whole, so that opening reads no commit before it; the version."""
        table = self.table()
        table.create_checkpoint()
        return table.version()

    def vacuum(self, retention_hours: int = 168, dry_run: bool = False, pinned: Mapping[int, str] | None = None) -> Vacuumed:
        """Delete files that neither a version inside the retention nor a pinned one (version -> who needs it) needs."""
        return vacuum(self.table(), retention_hours, dry_run, pinned or {})

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, newest first."""
        return [told(commit) for commit in self._history(limit)]

    def _history(self, limit: int | None = None) -> list[dict[str, Any]]:
        if self.local:
            return self.table().history(limit)
        return commits(Storage(self.location, self.options), self.version(), limit)

    def changes(self, since: int, until: int | None = None) -> Stream:
        """Change rows of the versions after `since` up to `until`, with `_change_type` and `_commit_version`.

        They stream: nothing is held. Raises InvalidInput for a table that keeps no changes, or no longer these.
        """
        if since < -1:
            raise InvalidInput(f"{self.name} has no version {since}: changes are those after a version, -1 for all")
        newest = self.version()
        last = newest if until is None else min(until, newest)
        first = since + 1

        schema, rows = changes_of(self.table(), Storage(self.location, self.options), self.name, first, last)
        return Stream(schema, lambda: conform(rows(), schema, self.name))

    def transaction_version(self, application: str) -> int | None:
        """The newest number an application committed here."""
        return self.table().transaction_version(application)

    def _retried(self, write: Callable[[DeltaTable, Marked], Any], operation: str,
                 rows: pa.Table | Fitting | None = None, fresh: bool = False) -> Commit:  # fmt: skip
        """`fresh`: the snapshot has just been read, for the first try."""

        def open_table(again: bool) -> DeltaTable:
            if again:
                self._table = None
            table = self.table() if again or not fresh else self.held()
            if operation != "WRITE":  # all others read what is there
                confine(table)
            return table

        return retried(open_table, self._history, write, self.name, operation, rows)

    def _ensure_folder(self) -> None:
        if path := self.local:
            path.mkdir(parents=True, exist_ok=True)

    @property
    def local(self) -> Path | None:
        """The folder on this machine's disk; None for an object store."""
        return local_path(self.location)


def _taken_in(table: DeltaTable, marks: Mapping[str, int]) -> bool:
    return any(table.transaction_version(application) == number for application, number in marks.items())


def _passed(table: DeltaTable, marks: Mapping[str, int]) -> bool:
    return bool(marks) and all((table.transaction_version(a) or -1) >= number for a, number in marks.items())


def _marking(marks: Mapping[str, int], retries: int | None = None) -> dict[str, Any]:
    """Commit properties that keep marks; `retries` 0 leaves a try after another's commit to a fresh snapshot."""
    if not marks:
        return {}
    more = {} if retries is None else {"max_commit_retries": retries}
    return {"app_transactions": [Transaction(*mark) for mark in marks.items()], **more}


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
