"""Snapshots of tables for queries: handles are held, since opening a table anew costs more than a small query."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from boathouse.catalog.sql.time_travel import Moment
from boathouse.catalog.values import TableInfo
from boathouse.lake import DeltaFolder, parquet_sql

_HELD = 256


@dataclass(frozen=True)
class Snapshot:
    """One version of a table, and how its rows are read: by `files` (SQL), else through Delta at `location`."""

    version: int
    location: str
    files: str | None
    local: str | None
    options: Mapping[str, str] = field(default_factory=dict, repr=False)


class _Handle:
    def __init__(self, folder: DeltaFolder) -> None:
        self.folder = folder
        self.lock = threading.Lock()
        self.newest: Snapshot | None = None


class Snapshots:
    """Opens tables at a moment, for any thread."""

    def __init__(self) -> None:
        self._handles: OrderedDict[tuple[str, str], _Handle] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, info: TableInfo, folder: DeltaFolder, moment: Moment, condition: str = "") -> Snapshot:
        """The snapshot that a moment means, without files that hold no row for a condition.

        Raises NotFound for a version that is not there.
        """
        if moment != Moment():
            return _snapshot(folder, folder.table(moment.version, moment.timestamp), condition)
        handle = self._handle(info, folder)
        with handle.lock:  # another thread would move the handle on while this one reads it
            table = handle.folder.table()
            if condition:
                return _snapshot(handle.folder, table, condition)
            if handle.newest is None or handle.newest.version != table.version():
                handle.newest = _snapshot(handle.folder, table)
            return handle.newest

    def _handle(self, info: TableInfo, folder: DeltaFolder) -> _Handle:
        key = (info.location, str(info.created_at))  # a table made anew at an old place is another one
        with self._lock:
            handle = self._handles.pop(key, None)
            if handle is None or handle.folder.options != folder.options:
                handle = _Handle(folder)
            self._handles[key] = handle
            if len(self._handles) > _HELD:
                self._handles.popitem(last=False)
            return handle


def _snapshot(folder: DeltaFolder, table: object, condition: str = "") -> Snapshot:
    local = folder.local
    version: int = table.version()  # type: ignore[attr-defined]
    files = parquet_sql(table, condition or None)  # type: ignore[arg-type]
    return Snapshot(version, folder.location, files, str(local) if local else None, folder.options)
