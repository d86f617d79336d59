"""Commits that hold: tried again from a fresh snapshot until they land, and never landing twice."""

import random
import re
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError

from boathouse.errors import CommitConflict, InvalidInput, Unavailable
from boathouse.lake.rowwise import broken_by
from boathouse.lake.storage import store_trouble

UNCHANGED = "UNCHANGED"
"""The operation of a write that was not needed: its transaction had been committed before."""

_MARK = "boathouse.write"
_CONSTRAINT = "delta.constraints."
_PATIENCE = 300.0
"""Seconds during which a write is tried again."""

_LONGEST_PAUSE = 1.0


class Rows(Protocol):
    """Rows that can be read again."""

    @property
    def num_rows(self) -> int:
        """How many there are."""

    def to_reader(self) -> pa.RecordBatchReader:
        """All of them."""


@dataclass(frozen=True)
class Commit:
    """What a write left behind."""

    version: int
    operation: str
    rows: int | None = None


@dataclass(frozen=True)
class Marked:
    """The commit properties of one write's tries: they all carry one mark, by which the commit is known again."""

    mark: str

    @classmethod
    def new(cls) -> "Marked":
        """Of a write that starts."""
        return cls(uuid.uuid4().hex)

    def properties(self, **more: Any) -> CommitProperties:
        """Commit properties with the mark."""
        return CommitProperties(custom_metadata={_MARK: self.mark}, **more)

    def among(self, history: Sequence[Mapping[str, Any]]) -> int | None:
        """The version that carries the mark."""
        return next((int(entry["version"]) for entry in history if entry.get(_MARK) == self.mark), None)


def retried(open_table: Callable[[bool], DeltaTable], history: Callable[[int], list[dict[str, Any]]],
            write: Callable[[DeltaTable, Marked], Any], name: str, operation: str,
            rows: Rows | None = None) -> Commit:  # fmt: skip
    """Write once, whoever else writes; `rows` are what is written, where they are known.

    `open_table(fresh)` gives the newest snapshot, by a new handle where `fresh`; `history(n)` the newest n commits.
    A `write` that returns False found that there is nothing to do. A store may keep a commit and lose the answer:
    before a try is repeated, the log is searched for the one before.
    Raises CommitConflict when others won for five minutes, InvalidInput for what Delta refuses, Unavailable for a
    store that does not answer.
    """
    marked, start, attempt = Marked.new(), time.monotonic(), 0
    while True:
        table = open_table(attempt > 0)
        base = table.version()
        try:
            done = write(table, marked)
            if done is False:
                return Commit(table.version(), UNCHANGED, 0)
            return Commit(table.version(), operation, None if rows is None else rows.num_rows)
        except (CommitFailedError, OSError) as error:
            if "nsupported" in str(error):
                raise InvalidInput(f"{name} can be read but not written here: {_first_line(error)}") from error
            since = open_table(True).version() - base
            if (version := marked.among(history(since) if since > 0 else [])) is not None:
                return Commit(version, operation, None if rows is None else rows.num_rows)
            if isinstance(error, OSError):
                raise Unavailable(f"{name}: the {operation} was cut off: {store_trouble(error)}") from error
            if time.monotonic() - start > _PATIENCE:
                raise CommitConflict(f"{name} kept changing during {attempt + 1} tries of {operation}; try again") from error
        except DeltaError as error:
            raise InvalidInput(f"{name} refused the {operation}: {_plain(error, table, rows)}") from error
        time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2 ** min(attempt, 10))))
        attempt += 1


def committed(table: DeltaTable, transaction: tuple[str, int] | None) -> bool:
    """Whether an application's number was committed before."""
    if transaction is None:
        return False
    newest = table.transaction_version(transaction[0])
    return newest is not None and newest >= transaction[1]


def told(commit: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of the history without what is of no interest to people."""
    return {key: value for key, value in commit.items() if key != _MARK}


def _plain(error: BaseException, table: DeltaTable, rows: Rows | None) -> str:
    """What Delta has against a write, without the layers it came through; it does not say which rule was broken."""
    said = re.sub(r"^([\w ]+ error: )+", "", _first_line(error))
    if "missing file" in said and "restore" in said:
        return "a vacuum has deleted files of that version; `boathouse tables history` tells when"
    broken = re.search(r"(\d+) rows failed validation check", said)
    if not broken:
        return said
    rules = {
        f"{name.removeprefix(_CONSTRAINT)}: {rule}": rule for name, rule in table.metadata().configuration.items()
        if name.startswith(_CONSTRAINT) and rule
    }  # fmt: skip
    rules |= {f"{f.name} is not null": f'"{f.name}" IS NOT NULL' for f in table.schema().fields if not f.nullable}
    counts = {} if rows is None else broken_by(rows.to_reader(), rules)
    named = [f"{rule} ({count})" for rule, count in sorted(counts.items(), key=lambda c: -c[1])] or list(rules)
    shown = [[cell.strip() for cell in line.strip()[1:-1].split("|")] for line in str(error).splitlines() if line[:1] == "|"]
    example = ", ".join(f"{column}={value or 'null'}" for column, value in zip(*shown[:2], strict=False)) if shown[1:] else ""
    return f"{broken[1]} rows do not meet {', '.join(named)}" + (f"; for example {example}" if example else "")


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0]
