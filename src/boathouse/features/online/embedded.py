"""The embedded store: all tables of an environment in one LMDB file, published and read in single transactions."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

import lmdb
import pyarrow as pa
from filelock import FileLock, Timeout

from boathouse.errors import BoathouseError, Conflict, LimitExceeded, Unavailable
from boathouse.features.online.codec import Row, duplicate, sorted_chunks
from boathouse.features.online.store import (
    OnlineStore,
    Rows,
    not_published,
    prepared,
    same_shape,
    touched_keys,
)
from boathouse.features.online.table import Found, Key, Layout, OnlineTable, Publication, described, layout_of

_MAP_BYTES = 256 << 30  # address space, not disk: the file holds what was written
_MOST_TABLES = 1024
_MOST_READERS = 2048
_CHUNK_ROWS = 500_000  # sorted at a time
_PATIENCE = 300.0  # seconds for another publisher to finish
_TABLES = b"!tables"  # name -> description; each table's rows lie in a database of its name


class _File:
    """One open LMDB file. LMDB allows one in a process, however many stores there are."""

    def __init__(self, folder: Path) -> None:
        self.environment = lmdb.open(
            str(folder), map_size=_MAP_BYTES, max_dbs=_MOST_TABLES, max_readers=_MOST_READERS, max_spare_txns=16
        )
        self.environment.reader_check()  # places of readers that were killed
        self.pid = os.getpid()
        self._opening = RLock()
        self._databases: dict[bytes, Any] = {}
        self.tables = self.database(_TABLES)

    def database(self, name: bytes) -> Any:
        """The database of a name, which is made where it is not there. Never called inside a transaction."""
        with self._opening:
            if name not in self._databases:
                self._databases[name] = self.environment.open_db(name)
            return self._databases[name]

    def held(self, name: bytes) -> Any:
        """The database of a name if this process has opened it."""
        return self._databases.get(name)


_OPEN: WeakValueDictionary[Path, _File] = WeakValueDictionary()
_OPENING = Lock()


class EmbeddedStore(OnlineStore):
    """An environment's tables in one folder of this machine."""

    def __init__(self, folder: Path, environment: str = "") -> None:
        super().__init__(environment)
        self._folder = Path(folder)
        self._held: _File | None = None
        self._known: tuple[int, dict[str, Layout]] = -1, {}  # as asked, at one state of the file

    def publish(self, publication: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        publication = replace(publication, table=self.name(publication.table))
        made, rows = prepared(publication, batches)

        def write(transaction: Any, database: Any, _: OnlineTable | None) -> OnlineTable:
            transaction.drop(database, delete=False)
            return replace(made, rows=_fill(transaction.cursor(database), rows, made.table))

        return self._written(made.table, write)

    def update(self, publication: Publication, since: int, touched: Iterable[pa.RecordBatch],
               batches: Iterable[pa.RecordBatch]) -> OnlineTable:  # fmt: skip
        publication = replace(publication, table=self.name(publication.table))
        made, encoded = prepared(publication, batches)
        rows = [pair for chunk in sorted_chunks(encoded, sys.maxsize, made.table) for pair in chunk.pairs()]
        gone = touched_keys(made, touched).difference(key for key, _ in rows)

        def write(transaction: Any, database: Any, before: OnlineTable | None) -> OnlineTable:
            if before is None or before.version != since or not same_shape(before, made):
                raise Conflict(f"{made.table} was published otherwise meanwhile: publish it again")
            for key in gone:
                transaction.delete(key, db=database)
            transaction.cursor(database).putmulti(rows)
            return replace(made, rows=transaction.stat(database)["entries"])

        return self._written(made.table, write)

    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        file = self._file(create=False)
        if file is None:
            raise not_published(self.name(wanted[0][0]))
        while True:
            try:
                with file.environment.begin() as transaction:
                    return self._read(file, transaction, wanted)
            except _Unopened as unopened:
                with _faithful(self._folder):
                    file.database(unopened.args[0])
            except lmdb.Error as error:
                raise _in_words(self._folder, error) from error

    def _read(self, file: _File, transaction: Any, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        found, get = [], transaction.get
        at, layouts = self._known
        if at != (now := transaction.id()):  # published since
            layouts = {}
            self._known = now, layouts
        for name, keys in wanted:
            layout = layouts.get(name)
            if layout is None:
                layout = layouts[name] = self._layout(file, transaction, self.name(name))
            database = file.held(layout.name)
            if database is None:
                raise _Unopened(layout.name)
            spell, decode = layout.spell, layout.decode
            rows: list[Row | None] = []
            for key in keys:
                value = None if (spelled := spell(key)) is None else get(spelled, None, database)
                rows.append(None if value is None else decode(value))
            found.append(layout.found(rows))
        return found

    def _layout(self, file: _File, transaction: Any, name: str) -> Layout:
        """What is published under a name, or last under its source's. Raises NotFound."""
        own: bytes | None = transaction.get(name.encode(), db=file.tables)
        if own is not None:
            return layout_of(own)
        all_of_them = (layout_of(value) for _, value in transaction.cursor(file.tables))
        newest = max((of for of in all_of_them if of.table.source == name), key=lambda of: of.table.published_at, default=None)
        if newest is None:
            raise not_published(name)
        return newest

    def tables(self) -> list[OnlineTable]:
        file = self._file(create=False)
        if file is None:
            return []
        with _faithful(self._folder), file.environment.begin() as transaction:
            return [layout_of(value).table for _, value in transaction.cursor(file.tables)]

    def withdraw(self, table: str) -> None:
        file, name = self._file(create=False), self.name(table)
        if file is None or self.find(name) is None:
            raise not_published(name)
        database = file.database(name.encode())
        with self._sole_publisher(name), _faithful(self._folder), file.environment.begin(write=True) as transaction:
            transaction.delete(name.encode(), db=file.tables)
            transaction.drop(database, delete=False)

    def check(self) -> str:
        file = self._file(create=False)
        if file is None:
            return "LMDB: nothing is published yet"
        size = file.environment.stat()["psize"] * (file.environment.info()["last_pgno"] + 1)
        return f"LMDB in {self._folder}: {len(self.tables())} tables, {size / 1e6:,.1f} MB"

    def _written(self, table: str, write: Callable[[Any, Any, OnlineTable | None], OnlineTable]) -> OnlineTable:
        """One durable transaction: the rows and their description, or nothing."""
        file = self._file(create=True)
        assert file is not None
        with self._sole_publisher(table), _faithful(self._folder):
            file.environment.reader_check()
            database = file.database(table.encode())
            with file.environment.begin(write=True) as transaction:
                before = transaction.get(table.encode(), db=file.tables)
                made = write(transaction, database, layout_of(before).table if before else None)
                transaction.put(table.encode(), described(made), db=file.tables)
        return made

    def _file(self, create: bool) -> _File | None:
        held = self._held
        if held is not None and held.pid == os.getpid():
            return held
        if not create and not (self._folder / "data.mdb").exists():
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder.resolve()
        with _OPENING, _faithful(self._folder):
            held = _OPEN.get(path)
            if held is None or held.pid != os.getpid():
                _OPEN[path] = held = _File(path)
        self._held = held
        return held

    @contextmanager
    def _sole_publisher(self, table: str) -> Iterator[None]:
        try:
            with FileLock(self._folder / "publisher.lock", timeout=_PATIENCE):
                yield
        except Timeout as error:
            raise Conflict(f"another process is publishing, so {table} is not: try again when it is done") from error


def _fill(cursor: Any, rows: Rows, table: str) -> int:
    """All rows in sorted chunks; gives their number. Raises DuplicateKey."""
    count = 0
    for chunk in sorted_chunks(rows, _CHUNK_ROWS, table):
        # only keys past the last one can be appended; LMDB takes those without looking for their place
        _, added = cursor.putmulti(chunk.pairs(), append=not count, overwrite=False)
        if added < len(chunk.keys):
            raise duplicate(table, next(key for key, value in chunk.pairs() if cursor.set_key(key) and cursor.value() != value))
        count += len(chunk.keys)
    return count


class _Unopened(Exception):
    """This process has not opened a table's database yet, which cannot be done inside a transaction."""


@contextmanager
def _faithful(folder: Path) -> Iterator[None]:
    """What LMDB cannot do, in our words."""
    try:
        yield
    except lmdb.Error as error:
        raise _in_words(folder, error) from error


def _in_words(folder: Path, error: lmdb.Error) -> BoathouseError:
    if isinstance(error, lmdb.DbsFullError):
        return LimitExceeded(f"the online store in {folder} holds {_MOST_TABLES} tables and takes no more")
    damaged = isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError | lmdb.VersionMismatchError)
    # a disk that fills up within a write is an input/output error to LMDB
    mend = "remove that folder and publish again" if damaged else "free some space and publish again"
    return Unavailable(f"the online store in {folder} does not work ({error}): {mend}")


def copy_embedded(folder: Path, target: Path) -> None:
    """A whole copy of a store's folder as of one moment, while publishers and readers work on it."""
    target.mkdir(parents=True, exist_ok=True, mode=0o700)
    with lmdb.open(str(folder), readonly=True, max_dbs=_MOST_TABLES) as environment:
        environment.copy(str(target), compact=True)
