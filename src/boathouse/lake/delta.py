"""One Delta table in one folder: every commit goes through delta-rs, retried from a fresh snapshot."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from boathouse.errors import AlreadyExists, CommitConflict, InvalidInput, NotFound, Unavailable
from boathouse.lake.confined import confine
from boathouse.lake.frames import Fitting, Stream, batches, conform, fitted, normalised
from boathouse.lake.log import commits
from boathouse.lake.storage import Storage, local_path, store_trouble

_TRIES = 30
UNCHANGED = "UNCHANGED"
"""The operation of a write that was not needed: its transaction had been committed before."""

_CONFIGURATION = {"delta.checkpointInterval": "20", "delta.enableChangeDataFeed": "true"}


@dataclass(frozen=True)
class Commit:
    """What a write left behind."""

    version: int
    operation: str
    rows: int | None = None


class DeltaFolder:
    """Reads and writes one table; holds its handle, since re-opening costs three times a commit."""

    def __init__(self, location: str, name: str, storage_options: Mapping[str, str] | None = None) -> None:
        self.location = location
        self.name = name
        self.options = dict(storage_options or {})
        self._table: DeltaTable | None = None

    def exists(self) -> bool:
        """Whether a Delta log stands here."""
        if self.local:
            return DeltaTable.is_deltatable(self.location)
        # delta-rs holds Python's lock while it asks a store, which would stop the whole server
        return Storage(self.location, self.options).holds_anything("_delta_log")

    def table(self, version: int | None = None, timestamp: datetime | None = None) -> DeltaTable:
        """The newest snapshot, or the one of a version or time. Raises NotFound."""
        try:
            if version is not None:
                return DeltaTable(self.location, version=version, storage_options=self.options)
            if timestamp is not None:
                past = DeltaTable(self.location, storage_options=self.options)
                past.load_as_version(timestamp)
                return past
            if self._table is None:
                self._table = DeltaTable(self.location, storage_options=self.options)
            else:
                self._table.update_incremental()
        except TableNotFoundError as error:
            raise NotFound(f"{self.name} has no data at {self.location}") from error
        except OSError as error:
            raise Unavailable(f"{self.name} cannot be reached: {store_trouble(error)}") from error
        except (DeltaError, OverflowError) as error:
            wanted = version if version is not None else timestamp
            if wanted is None:  # a feature that delta-rs does not know, or a broken log
                raise InvalidInput(f"{self.name} cannot be opened here: {_first_line(error)}") from error
            raise NotFound(f"{self.name} has no version {wanted}: {_first_line(error)}") from error
        return self._table

    def version(self) -> int:
        """The newest version."""
        return self.table().version()

    def schema(self, version: int | None = None) -> pa.Schema:
        """Columns and Arrow types."""
        return pa.schema(self.table(version).schema().to_arrow())

    def create(self, schema: pa.Schema, partition_by: Sequence[str] = (), description: str | None = None,
               constraints: Mapping[str, str] | None = None, required: Sequence[str] = ()) -> Commit:  # fmt: skip
        """Write version 0, without rows; `required` columns may never be null.

        Raises AlreadyExists, and InvalidInput for what Delta cannot keep; then nothing is left behind.
        """
        if self.exists():
            raise AlreadyExists(f"{self.name} has data at {self.location} already")
        fields = [f.with_nullable(f.name not in required) for f in normalised(schema)]
        self._ensure_folder()
        try:
            table = DeltaTable.create(
                self.location, schema=pa.schema(fields), partition_by=list(partition_by) or None,
                description=description, configuration=dict(_CONFIGURATION), storage_options=self.options,
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

        def write(table: DeltaTable) -> None:
            for name, condition in constraints.items():
                table.alter.add_constraint({name: condition})

        return self._retried(write, "ADD CONSTRAINT", None)

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
        rows = self._repeatable(frame, evolve)

        def write(table: DeltaTable) -> bool:
            if (transaction and _committed(table, *transaction)) or _marked(table, marks or {}):
                return False
            done = [Transaction(*pair) for pair in ([transaction] if transaction else []) + list((marks or {}).items())]
            write_deltalake(
                table, rows.to_reader(), mode="append", schema_mode="merge" if evolve else None,
                commit_properties=CommitProperties(app_transactions=done or None, max_commit_retries=0 if transaction else 15),
            )  # fmt: skip
            return True

        return self._retried(write, "WRITE", rows)

    def overwrite(self, frame: Any, where: str | None = None, evolve: bool = False) -> Commit:
        """Replace all rows, or those a predicate names."""
        rows = self._repeatable(frame, evolve)
        return self._retried(
            lambda table: write_deltalake(
                table, rows.to_reader(), mode="overwrite", predicate=where,
                schema_mode="overwrite" if evolve and not where else None,
            ),
            "OVERWRITE", rows,
        )  # fmt: skip

    def merge(self, frame: Any, on: Sequence[str], evolve: bool = False, update: bool = True) -> Commit:
        """Update rows with equal keys, insert the others; `update=False` leaves existing rows alone."""
        rows = self._repeatable(frame, evolve)
        predicate = " AND ".join(f'target.`{key}` = source.`{key}`' for key in on)

        def write(table: DeltaTable) -> None:
            merger = table.merge(
                rows.to_reader(), predicate, source_alias="source", target_alias="target", merge_schema=evolve
            ).when_not_matched_insert_all()
            (merger.when_matched_update_all() if update else merger).execute()

        return self._retried(write, "MERGE", rows)

    def fill(self, frame: Any, on: Sequence[str], columns: Sequence[str]) -> Commit:
        """Set some columns of existing rows with equal keys; nothing is inserted."""
        rows = batches(frame).read_all()
        predicate = " AND ".join(f"target.`{key}` = source.`{key}`" for key in on)
        updates = {column: f"source.`{column}`" for column in columns}

        def write(table: DeltaTable) -> None:
            table.merge(
                rows.to_reader(), predicate, source_alias="source", target_alias="target"
            ).when_matched_update(updates).execute()

        return self._retried(write, "MERGE", rows)

    def delete(self, where: str | None = None) -> Commit:
        """Remove the rows that a predicate names; all without one."""
        return self._retried(lambda table: table.delete(where), "DELETE", None)

    def update(self, values: Mapping[str, str], where: str | None = None) -> Commit:
        """Set columns to SQL expressions where a predicate holds."""
        return self._retried(lambda table: table.update(updates=dict(values), predicate=where), "UPDATE", None)

    def restore(self, version: int) -> Commit:
        """Make an old version the newest."""
        return self._retried(lambda table: table.restore(version), "RESTORE", None)

    def optimize(self, z_order: Sequence[str] = ()) -> Commit:
        """Rewrite many small files as few; cluster them by columns."""
        def write(table: DeltaTable) -> None:
            table.optimize.z_order(list(z_order)) if z_order else table.optimize.compact()

        return self._retried(write, "OPTIMIZE", None)

    def vacuum(self, retention_hours: int = 168, dry_run: bool = False) -> list[str]:
        """Delete files that no version inside the retention needs; their names."""
        return self.table().vacuum(retention_hours, dry_run=dry_run, enforce_retention_duration=False)

    def history(self, limit: int | None = None) -> list[dict[str, Any]]:
        """Commits, newest first."""
        if self.local:
            return self.table().history(limit)
        return commits(Storage(self.location, self.options), self.version(), limit)

    def changes(self, since: int, until: int | None = None) -> pa.Table:
        """Change rows of the versions after `since`, with `_change_type` and `_commit_version`."""
        newest = self.version()
        if since >= newest:
            return fitted(self.table().load_cdf(newest, newest), self.name).slice(0, 0)
        return fitted(self.table().load_cdf(since + 1, until if until is not None else newest), self.name)

    def transaction_version(self, application: str) -> int | None:
        """The newest number an application committed here."""
        return self.table().transaction_version(application)

    def _repeatable(self, frame: Any, evolve: bool) -> pa.Table | Fitting:
        # a retry reads the rows again: what cannot be made anew must stand still first
        if isinstance(frame, Stream):
            return Fitting(frame, normalised(frame.schema if evolve else self.schema()), self.name)
        if evolve:
            return fitted(frame, self.name)
        return conform(frame, normalised(self.schema()), self.name).read_all()

    def _retried(self, write: Callable[[DeltaTable], Any], operation: str, rows: pa.Table | Fitting | None) -> Commit:
        for attempt in range(_TRIES):
            table = self.table()
            if operation != "WRITE":  # all others read what is there
                confine(table)
            try:
                if write(table) is False:
                    return Commit(table.version(), UNCHANGED, 0)
                return Commit(table.version(), operation, None if rows is None else rows.num_rows)
            except CommitFailedError as error:
                self._table = None
                if "nsupported" in str(error):
                    raise InvalidInput(f"{self.name} can be read but not written here: {_first_line(error)}") from error
                time.sleep(random.uniform(0.01, 0.05) * min(attempt + 1, 10))
            except OSError as error:  # whether it was written is not known
                self._table = None
                raise Unavailable(f"{self.name}: the {operation} was cut off: {store_trouble(error)}") from error
            except DeltaError as error:
                self._table = None
                raise InvalidInput(f"{self.name} refused the {operation}: {error}") from error
        raise CommitConflict(f"{self.name} kept changing during {_TRIES} tries of {operation}; try again")

    def _ensure_folder(self) -> None:
        if path := self.local:
            path.mkdir(parents=True, exist_ok=True)

    @property
    def local(self) -> Path | None:
        """The folder on this machine's disk; None for an object store."""
        return local_path(self.location)


def _committed(table: DeltaTable, application: str, number: int) -> bool:
    newest = table.transaction_version(application)
    return newest is not None and newest >= number


def _marked(table: DeltaTable, marks: Mapping[str, int]) -> bool:
    return any(table.transaction_version(application) == number for application, number in marks.items())


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
