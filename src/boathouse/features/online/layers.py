"""Layers of the embedded store's tables: LMDB files that are written once, and read without a lock by any number of processes.

A table is a stack of layers, the newest first. In all but the lowest one an empty value says that a key is gone.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import Annotated, Any
from uuid import uuid4
from weakref import WeakValueDictionary

import lmdb
import msgspec

from boathouse.features.online.codec import duplicate, sorted_chunks
from boathouse.features.online.store import Rows

Get = Callable[[bytes], bytes | None]
ENDING = ".mdb"
SINGLE = f"data{ENDING}"
"""The one file of a store that an earlier version published, a database in it for each table."""
_GONE = b""
_MAP_BYTES = 256 << 30  # address space, not disk: the file holds what was written
_MOST_TABLES = 1024  # of the one file
_TABLES = b"!tables"  # in it: name -> description
_CHUNK_ROWS = 500_000  # sorted at a time
_GROWTH = 8  # a layer takes in those below it that are less than so many times as large


class Layer(msgspec.Struct, frozen=True):
    """One file, or one database of a file, and how many keys are in it."""

    file: Annotated[str, msgspec.Meta(pattern=rf"^([0-9a-f]{{32}}|data)\{ENDING}$")]
    entries: int
    database: str | None = None


class Files:
    """The layers of one folder that this process has open. LMDB opens a file once in a process, however many stores there are."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.renewing = Lock()  # held by who finds out which files are needed
        self._opening = Lock()
        self._open: dict[str, Any] = {}
        self._databases: dict[str, Any] = {}

    def keep(self, named: set[str]) -> None:
        """Forget other files; who reads one goes on with it."""
        with self._opening:
            self._open = {name: environment for name, environment in self._open.items() if name in named}
            if SINGLE not in self._open:
                self._databases = {}

    def get(self, layer: Layer) -> Get:
        """How the calling thread looks keys up. Raises FileNotFoundError for a layer that was replaced."""
        found: Get = self._begin(layer).get
        return found

    def items(self, layer: Layer) -> Iterator[tuple[bytes, bytes]]:
        """All keys and values, sorted by key. Raises FileNotFoundError."""
        yield from self._begin(layer).cursor()

    def single(self) -> Mapping[str, tuple[bytes, Layer]]:
        """Of a store with one file: each table's description, and its only layer. Raises FileNotFoundError."""
        with self._begin(Layer(SINGLE, 0, _TABLES.decode())) as transaction:
            described = {bytes(name).decode(): bytes(description) for name, description in transaction.cursor()}
        found = {}
        for name, description in described.items():
            layer = Layer(SINGLE, 0, name)
            with self._begin(layer) as transaction:
                entries = transaction.stat(self._databases[name])["entries"]
            found[name] = description, Layer(SINGLE, entries, name)
        return found

    def _begin(self, layer: Layer) -> Any:
        """A transaction, which may stay open as long as anybody likes: no page of the file is ever used again."""
        with self._opening:
            environment = self._open.get(layer.file)
            if environment is None:
                environment = self._open[layer.file] = _opened(self.folder / layer.file)
            database = None
            if layer.database is not None:
                database = self._databases.get(layer.database)
                if database is None:
                    database = environment.open_db(layer.database.encode(), create=False)
                    self._databases[layer.database] = database
        return environment.begin(database)


_FOLDERS: WeakValueDictionary[Path, Files] = WeakValueDictionary()
_SHARING = Lock()


def files_of(folder: Path) -> Files:
    """The open files of a folder, which all of this process' stores share."""
    path = folder.resolve()
    with _SHARING:
        return _FOLDERS.setdefault(path, Files(path))


def stacked(gets: Sequence[Get]) -> Get:
    """How keys are looked up in a whole stack."""
    if len(gets) == 1:
        return gets[0]

    def get(key: bytes) -> bytes | None:
        for layer in gets:
            if (value := layer(key)) is not None:
                return value or None
        return None

    return get


def written(folder: Path, rows: Rows, table: str) -> Layer:
    """A table's only layer. Raises DuplicateKey."""
    with _writing(folder) as (name, transaction):
        cursor, count = transaction.cursor(), 0
        for chunk in sorted_chunks(rows, _CHUNK_ROWS, table):
            # only keys past the last one can be appended; LMDB takes those without looking for their place
            _, added = cursor.putmulti(chunk.pairs(), append=not count, overwrite=False)
            if added < len(chunk.keys):
                raise duplicate(
                    table, next(key for key, value in chunk.pairs() if cursor.set_key(key) and cursor.value() != value)
                )
            count += len(chunk.keys)
    return Layer(name, count)


def changed(
    files: Files, stack: Sequence[Layer], rows: Sequence[tuple[bytes, bytes]], gone: Sequence[bytes]
) -> tuple[Layer, ...]:
    """The stack with rows put and keys taken out: one new layer, and below it those that are much larger.

    So a stack of n rows has at most log8(n) + 1 layers, and a row is written anew at most 8 log8(n) times, whatever the size
    of the changes is.
    """
    if not rows and not gone:
        return tuple(stack)
    changes = sorted([*rows, *((key, _GONE) for key in gone)])
    taken, size = 0, len(changes)
    while taken < len(stack) and stack[taken].entries < _GROWTH * size:
        size += stack[taken].entries
        taken += 1
    with _writing(files.folder) as (name, transaction):
        cursor = transaction.cursor()
        for n, layer in enumerate(reversed(stack[:taken])):
            cursor.putmulti(files.items(layer), append=not n)
        cursor.putmulti(changes, append=not taken)
        if taken == len(stack):  # nothing lies below that a key would have to be taken out of
            for key, value in chain(changes, *map(files.items, stack[: taken - 1])):
                if value == _GONE and transaction.get(key) == _GONE:
                    transaction.delete(key)
        entries = transaction.stat()["entries"]
    return (Layer(name, entries), *stack[taken:])


@contextmanager
def _writing(folder: Path) -> Iterator[tuple[str, Any]]:
    """A new file's name and its one transaction. `manifest.swap` brings it to the disk; no file is left by a failure."""
    path = folder / f"{uuid4().hex}{ENDING}"
    try:
        environment = lmdb.open(str(path), subdir=False, lock=False, sync=False, map_size=_MAP_BYTES, mode=0o600)
        try:
            with environment.begin(write=True) as transaction:
                yield path.name, transaction
        finally:
            environment.close()
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _opened(path: Path) -> Any:
    facts = path.lstat()
    if not S_ISREG(facts.st_mode):
        raise lmdb.InvalidError(f"{path} is no file")
    most = _MOST_TABLES if path.name == SINGLE else 0
    try:
        environment = lmdb.open(str(path), subdir=False, readonly=True, lock=False, max_dbs=most, map_size=facts.st_size)
    except lmdb.Error:
        path.lstat()  # replaced meanwhile
        raise
    if facts.st_size < (environment.info()["last_pgno"] + 1) * environment.stat()["psize"]:
        raise lmdb.CorruptedError(f"{path} is cut off")  # who read beyond its end would be killed
    return environment
