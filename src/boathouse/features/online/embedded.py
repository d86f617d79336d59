"""The embedded store: all tables of an environment in one LMDB file, published and read in single transactions."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Lock, RLock
from typing import Any
from weakref import WeakValueDictionary

import lmdb
import pyarrow as pa
from filelock import FileLock, Timeout

from boathouse.errors import Conflict, LimitExceeded, Unavailable
from boathouse.features.online.codec import check_sorted_unique, duplicate
from boathouse.features.online.store import (
    OnlineStore,
    Pairs,
    not_published,
    prepared,
    same_shape,
    touched_keys,
)
from boathouse.features.online.table import Found, Key, OnlineTable, Publication, described, layout_of

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
        self._of_source: dict[str, bytes] = {}

    def publish(self, publication: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        publication = replace(publication, table=self.name(publication.table))
        made, pairs = prepared(publication, batches)

        def write(transaction: Any, database: Any, _: OnlineTable | None) -> OnlineTable:
            transaction.drop(database, delete=False)
            return replace(made, rows=_fill(transaction.cursor(database), pairs, made.table))

        return self._written(made.table, write)

    def update(self, publication: Publication, since: int, touched: Iterable[pa.RecordBatch],
               batches: Iterable[pa.RecordBatch]) -> OnlineTable:  # fmt: skip
        publication = replace(publication, table=self.name(publication.table))
        made, pairs = prepared(publication, batches)
        rows = sorted(pairs)
        check_sorted_unique(rows, made.table)
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
        unopened: bytes | None = b""
        while unopened is not None:
            with _faithful(self._folder), file.environment.begin(buffers=False) as transaction:
                found, unopened = self._read(file, transaction, wanted)
            if unopened:
                file.database(unopened)
        return found

    def _read(self, file: _File, transaction: Any,
              wanted: Sequence[tuple[str, Sequence[Key]]]) -> tuple[list[Found], bytes | None]:  # fmt: skip
        """What is there, or the name of a database that this process has to open first."""
        found = []
        for name, keys in wanted:
            description = self._description(file, transaction, name)
            layout = layout_of(description)
            database = file.held(layout.table.table.encode())
            if database is None:
                return [], layout.table.table.encode()
            spell = layout.spell
            values = [spelled and transaction.get(spelled, db=database) for spelled in map(spell, keys)]
            found.append(layout.found(values))
        return found, None

    def _description(self, file: _File, transaction: Any, table: str) -> bytes:
        name = self.name(table)
        found: bytes | None = transaction.get(name.encode(), db=file.tables)
        if found is None and name in self._of_source:
            found = transaction.get(self._of_source[name], db=file.tables)
        if found is None or name not in (layout_of(found).table.table, layout_of(found).table.source):
            kept = [value for _, value in transaction.cursor(file.tables) if layout_of(value).table.source == name]
            if not kept:
                raise not_published(name)
            found = max(kept, key=lambda value: layout_of(value).table.published_at)
            self._of_source[name] = layout_of(found).table.table.encode()
        return found

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


def _fill(cursor: Any, rows: Pairs, table: str) -> int:
    """All rows in sorted chunks; gives their number. Raises DuplicateKey."""
    count = 0
    while chunk := sorted(islice(rows, _CHUNK_ROWS)):
        check_sorted_unique(chunk, table)
        _, added = cursor.putmulti(chunk, append=True, overwrite=False) if not count else cursor.putmulti(chunk, overwrite=False)
        if added < len(chunk):
            raise duplicate(table, next(key for key, value in chunk if cursor.set_key(key) and cursor.value() != value))
        count += len(chunk)
    return count


@contextmanager
def _faithful(folder: Path) -> Iterator[None]:
    """What LMDB cannot do, in our words."""
    try:
        yield
    except lmdb.DbsFullError as error:
        raise LimitExceeded(f"the online store in {folder} holds {_MOST_TABLES} tables and takes no more") from error
    except lmdb.Error as error:
        damaged = isinstance(error, lmdb.CorruptedError | lmdb.InvalidError | lmdb.PageNotFoundError | lmdb.VersionMismatchError)
        # a disk that fills up within a write is an input/output error to LMDB
        mend = "remove that folder and publish again" if damaged else "free some space and publish again"
        raise Unavailable(f"the online store in {folder} does not work ({error}): {mend}") from error
