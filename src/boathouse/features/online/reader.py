"""Rows by key, while other processes publish."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import NamedTuple
from weakref import WeakValueDictionary

import lmdb

from boathouse.errors import NotFound, Unavailable
from boathouse.features.online.codec import KeyCodec, Row, row_decoder
from boathouse.features.online.table import POINTER, OnlineTable, Stamp, folder_of, read_pointer, stamp_of

Key = Sequence[object]

_ATTEMPTS = 50  # a snapshot may vanish between the reading of its pointer and its opening
_PAUSE = 0.01


class OnlineSnapshot:
    """One snapshot, open for reading. It stays readable, even when replaced, while someone holds it."""

    def __init__(self, path: Path, table: OnlineTable) -> None:
        self.table = table
        self._environment = lmdb.open(str(path), readonly=True, create=False, lock=False, max_spare_txns=16)
        self._keys = KeyCodec(table.keys, table.key_types)
        self._decode = row_decoder(table.types)

    def lookup(self, keys: Sequence[Key]) -> list[Row | None]:
        """The values of `table.columns` for every key, None where there is no row. Raises InvalidInput."""
        decode = self._decode
        with self._environment.begin() as transaction:
            found = [spelled and transaction.get(spelled) for spelled in map(self._keys.encode, keys)]
            return [None if value is None else decode(value) for value in found]


class OnlineReader:
    """The published tables of one directory. Safe to share between threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = Path(directory)
        self._held: dict[str, _Held] = {}

    def tables(self) -> list[str]:
        """Names of the published tables."""
        return sorted(pointer.parent.name for pointer in self._directory.glob(f"*/{POINTER}"))

    def describe(self, table: str) -> OnlineTable:
        """What is served now. Raises NotFound."""
        return self.snapshot(table).table

    def lookup(self, table: str, keys: Sequence[Key]) -> list[Row | None]:
        """The values of every key, in the order of `describe(table).columns`, None where there is no row.

        All come from one snapshot; a null in a key matches nothing. Raises NotFound, InvalidInput.
        """
        return self.snapshot(table).lookup(keys)

    def lookup_many(self, wanted: Mapping[str, Sequence[Key]]) -> dict[str, list[Row | None]]:
        """`lookup` in several tables."""
        return {table: self.lookup(table, keys) for table, keys in wanted.items()}

    def snapshot(self, table: str) -> OnlineSnapshot:
        """The current snapshot: rows, and the version they are of, held together.

        Raises NotFound, and Unavailable where the files are damaged.
        """
        held = self._held.get(table)
        try:
            if held is None or held.stamp != stamp_of(held.pointer):
                self._held[table] = held = _open_current(folder_of(self._directory, table))
        except FileNotFoundError as error:
            self._held.pop(table, None)
            raise NotFound(f"{table} is not published in the online store: publish it first") from error
        return held.snapshot


class _Held(NamedTuple):
    pointer: str
    stamp: Stamp
    snapshot: OnlineSnapshot


# LMDB allows one open environment of a file in a process, however many readers there are.
_OPEN: WeakValueDictionary[Path, OnlineSnapshot] = WeakValueDictionary()
_OPENING = Lock()


def _open_current(folder: Path) -> _Held:
    failure: lmdb.Error | None = None
    for _ in range(_ATTEMPTS):
        seen, table = read_pointer(folder)
        path = (folder / table.snapshot).resolve()
        try:
            with _OPENING:
                snapshot = _OPEN.get(path)
                if snapshot is None:
                    _OPEN[path] = snapshot = OnlineSnapshot(path, table)
            return _Held(str(folder / POINTER), seen, snapshot)
        except lmdb.Error as error:
            failure = error
            time.sleep(_PAUSE)
    raise Unavailable(f"the online table in {folder} cannot be opened ({failure}): publish it again")
