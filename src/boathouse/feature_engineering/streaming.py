"""Queries that follow a table: each batch of new rows is committed together with how far it came, exactly once.

The position stands in the target's own log, as the transaction of an application that the checkpoint names, so a process
that is killed anywhere leaves either the rows and the position, or neither.
"""

import json
import os
import re
import threading
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from boathouse.catalog import COMMITTED, Table, TableStream
from boathouse.context import Context
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.features import quote
from boathouse.lake import Relation

_UNITS = {"millisecond": 0.001, "second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0}
_INTERVAL = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(millisecond|second|minute|hour|day)s?\s*$")

Take = Callable[[Context, Relation, tuple[str, int]], None]
"""Commits a batch under (application, number), which must be one transaction with the rows."""


class Query(ABC):
    """A query that runs in a thread of this process; it may be stopped, killed and started again."""

    def __init__(self, context: Context, source: str, target: str, pause: float | None) -> None:
        self._context, self._source = context.beside(), context.complete(source)
        self._pause = pause
        self._stop = threading.Event()
        self._error: BaseException | None = None
        self._busy = False
        self.lastProgress: dict[str, Any] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{source} -> {target}", daemon=True)
        self._thread.start()

    @property
    def isActive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    @property
    def status(self) -> dict[str, Any]:
        """What it is doing."""
        message = "Stopped" if not self.isActive else "Processing new rows" if self._busy else "Waiting for new rows"
        return {"message": message, "isDataAvailable": self._busy, "isTriggerActive": self.isActive and self._busy}

    def exception(self) -> BaseException | None:
        """What ended it, if something went wrong."""
        return self._error

    def stop(self) -> None:
        """End after the batch that it is at."""
        self._stop.set()
        self._thread.join()

    def awaitTermination(self, timeout: float | None = None) -> bool:
        """Wait for its end, at most `timeout` seconds; whether it has ended. Raises what ended it."""
        self._thread.join(timeout)
        if self._error is not None:
            raise self._error
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._batch()
            while self._pause is not None and not self._stop.wait(self._pause):
                self._batch()
        except Exception as error:
            self._error = error
            with suppress(Exception):  # who cannot be asked says nothing of the table
                if not isinstance(error, NotPermitted) and not self._context.table_exists(self._source):
                    self._error = NotFound(f"{self._source} was dropped while it was followed")

    @abstractmethod
    def _batch(self) -> None:
        """All that came since the one before."""


class StreamingQuery(Query):
    """A query from a table's new rows into another table."""

    def __init__(self, context: Context, stream: TableStream, target: str, checkpoint: "_Checkpoint", pause: float | None,
                 take: Take) -> None:  # fmt: skip
        self.id = checkpoint.application
        self._checkpoint = checkpoint
        self._nothing_up_to: int | None = None
        self._stream, self._target, self._take = stream, context.complete(target), take
        super().__init__(context, stream.name, target, pause)

    def _batch(self) -> None:
        with self._checkpoint.alone():
            source = self._context.table(self._stream.name)
            self._checkpoint.check(source)
            until, position = source.version, self._position()
            after = self._nothing_up_to if position is None else max(position - 1, self._nothing_up_to or 0)
            if after is not None and after >= until:
                return
            self._busy = True
            rows = self._stream.rows(source, after, until)
            count = rows.count()
            if count:
                self._take(self._context, rows, (self.id, until + 1))
            else:
                self._nothing_up_to = until
            self.lastProgress = {"source_version": until, "numInputRows": count}
            self._busy = False

    def _position(self) -> int | None:
        try:
            return self._context.table(self._target).transaction_version(self.id)
        except NotFound:
            return None


def start(context: Context, stream: TableStream, target: str, checkpoint: str | None, trigger: Mapping[str, Any] | None,
          take: Take) -> StreamingQuery:  # fmt: skip
    """Start a query. Raises InvalidInput for a trigger or checkpoint that cannot be used, Conflict for another's checkpoint."""
    pause = pause_of(trigger or {"processingTime": "5 seconds"})
    source = context.table(stream.name)  # the caller hears of what may not be read
    found = _Checkpoint.at(checkpoint, source, context.complete(target))
    return StreamingQuery(context, stream, target, found, pause, take)


def upsert(table: Table, rows: Relation, transaction: tuple[str, int]) -> None:
    """Merge a batch by the table's keys; of rows with the same keys the last committed stays."""
    info = table.info
    keys = [*info.primary_keys, *([info.known_time] if info.known_time and info.known_time not in info.primary_keys else [])]
    if not keys:
        raise InvalidInput(f"{info.name} has no primary keys, so a stream cannot be merged into it")
    named = ", ".join(map(quote, keys))
    newest = f"rank() OVER (PARTITION BY {named} ORDER BY {COMMITTED} DESC) AS __rank"
    latest = rows.select("*", newest).filter("__rank = 1").select(f"* EXCLUDE (__rank, {COMMITTED})").to_arrow()
    known = {c.name for c in info.columns}
    table.merge(latest, evolve=not set(latest.column_names) <= known, marks=dict([transaction]))


def pause_of(trigger: Mapping[str, Any]) -> float | None:
    """Seconds between batches; None for one only."""
    if trigger.get("availableNow") or trigger.get("once"):
        return None
    found = _INTERVAL.match(str(trigger.get("processingTime", "")))
    if not found:
        raise InvalidInput(
            f"the trigger {dict(trigger)} is unknown; use {{'processingTime': '5 seconds'}}, {{'availableNow': True}} or "
            "{'once': True}"
        )
    return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class _Checkpoint:
    """A folder that names a query: under which application its position stands, and of which table its versions are."""

    folder: Path
    application: str
    source_id: str | None

    @classmethod
    def at(cls, given: str | None, source: Table, target: str) -> "_Checkpoint":
        """The one in a folder, made where there is none. Raises InvalidInput, Conflict for another stream's."""
        if not given:
            raise InvalidInput("a stream needs checkpoint_location=, a folder that names it when it starts again")
        if "://" in given and not given.startswith("file://"):
            raise InvalidInput(f"the checkpoint {given} is on no local disk; the position stands in the target table anyway")
        path = Path(given.removeprefix("file://")) / "stream.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = {"id": f"boathouse.stream.{uuid.uuid4().hex}", "source": source.name, "target": target,
                 "source_id": source.table_id}  # fmt: skip
        part = path.with_name(f"{uuid.uuid4().hex}.part")
        part.write_text(json.dumps(fresh))
        try:
            os.link(part, path)  # whoever comes first names it
        except FileExistsError:
            pass
        finally:
            part.unlink()
        known = json.loads(path.read_text())
        if (known["source"], known["target"]) != (source.name, target):
            raise Conflict(f"{given} belongs to the stream {known['source']} -> {known['target']}; give another folder")
        found = cls(path.parent, str(known["id"]), known.get("source_id"))
        found.check(source)
        return found

    def check(self, source: Table) -> None:
        """Raises Conflict where the source is another table of that name, whose versions begin anew."""
        if self.source_id is not None and self.source_id != source.table_id:
            raise Conflict(f"{source.name} is not the table that the stream of {self.folder} has followed, which was dropped: "
                           "give another folder, and the new table is followed from its beginning")  # fmt: skip

    def alone(self) -> FileLock:
        """While no other query of the folder, in whatever process, takes a batch; it ends with the process, too."""
        return FileLock(self.folder / "lock")
