"""The description of a published table, and the pointer file that keeps it."""

import os
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from boathouse.errors import InvalidInput

POINTER = "current.json"
_NAME = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
Stamp = tuple[int, int, int]


@dataclass(frozen=True)
class OnlineTable:
    """A published table: Delta `version`, key columns, value columns, their Arrow types, number of rows."""

    table: str
    version: int
    keys: tuple[str, ...]
    key_types: tuple[str, ...]
    columns: tuple[str, ...]
    types: tuple[str, ...]
    rows: int
    published_at: datetime
    snapshot: str


def folder_of(directory: Path, table: str) -> Path:
    """Where a table's snapshots are. Raises InvalidInput for a name that is no plain file name."""
    if not _NAME.match(table):
        raise InvalidInput(
            f"{table!r} cannot name an online table: use letters, digits, dots and underscores"
        )
    return Path(directory) / table


def stamp_of(pointer: str) -> Stamp:
    """What changes whenever the pointer file does. Raises FileNotFoundError."""
    return _stamp(os.stat(pointer))


def read_pointer(folder: Path) -> tuple[Stamp, OnlineTable]:
    """The table that is served now, and the stamp of the very file read. Raises FileNotFoundError."""
    with (folder / POINTER).open("rb") as file:
        return _stamp(os.fstat(file.fileno())), msgspec.json.decode(file.read(), type=OnlineTable)


def write_pointer(folder: Path, table: OnlineTable) -> None:
    """Serve another snapshot from now on: one atomic, durable step."""
    fresh = folder / f".{POINTER}"
    with fresh.open("wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(table)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / POINTER)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_mtime_ns, status.st_ino, status.st_size
