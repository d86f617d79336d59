"""The embedded store: all tables of an environment in one folder of files that are never written again."""

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import lmdb
import msgspec
import pyarrow as pa
from filelock import FileLock, Timeout

from boathouse.errors import BoathouseError, Conflict, Unavailable
from boathouse.features.online import manifest
from boathouse.features.online.codec import Row, sorted_chunks
from boathouse.features.online.layers import Files, Get, Layer, changed, files_of, stacked, written
from boathouse.features.online.manifest import Entry, Tables, newest, pointer_of
from boathouse.features.online.store import (
    OnlineStore,
    not_published,
    prepared,
    same_shape,
    touched_keys,
)
from boathouse.features.online.table import Found, Key, Layout, OnlineTable, Publication, Spelling, described

_PATIENCE = 300.0  # seconds for another publisher to finish
_ATTEMPTS = 50  # files may be replaced between two looks
_LOCK = "publisher.lock"
_DAMAGE = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError, msgspec.MsgspecError)
_FAULTS = (lmdb.Error, msgspec.MsgspecError, OSError)
_T = TypeVar("_T")


class _Served:
    """What one manifest serves. A lookup uses one of them, and so sees all tables at one moment."""

    def __init__(self, files: Files, name: str) -> None:
        """Raises FileNotFoundError when it was replaced meanwhile."""
        self.files, self.name = files, name
        self.tables: Tables = manifest.read(files, name)
        self.by_thread = threading.local()  # table, as asked -> how it is read

    def open(self, name: str) -> tuple[Layout, Get]:
        """How a table is read in the calling thread. Raises NotFound, FileNotFoundError."""
        entry = self.tables.get(name) or self._of_source(name)
        return entry.layout, stacked([self.files.get(layer) for layer in entry.layers])

    def _of_source(self, name: str) -> Entry:
        of_source = (entry for entry in self.tables.values() if entry.layout.table.source == name)
        found = max(of_source, key=lambda entry: entry.layout.table.published_at, default=None)
        if found is None:
            raise not_published(name)
        return found

    @property
    def layers(self) -> set[str]:
        """The files it needs."""
        return {layer.file for entry in self.tables.values() for layer in entry.layers}

    def size(self) -> int:
        """Their bytes. Raises FileNotFoundError."""
        return sum((self.files.folder / file).stat().st_size for file in self.layers)


class EmbeddedStore(OnlineStore):
    """An environment's tables in one folder of this machine. Readers need no right to write there, and take no lock."""

    def __init__(self, folder: Path, environment: str = "") -> None:
        super().__init__(environment)
        self._folder = Path(folder)
        self._pointer = pointer_of(self._folder)
        self._served: _Served | None = None

    def publish(self, publication: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        made, rows = prepared(replace(publication, table=self.name(publication.table)), batches)
        with self._sole_publisher(made.table) as served:
            with _faithful(self._folder, (lmdb.Error,)):  # what the rows raise is theirs
                layer = written(self._folder, rows, made.table)
            made = replace(made, rows=layer.entries)
            self._swap(served, served.tables | {made.table: _entry(made, (layer,))})
        return made

    def update(self, publication: Publication, since: int, touched: Iterable[pa.RecordBatch],
               batches: Iterable[pa.RecordBatch]) -> OnlineTable:  # fmt: skip
        made, encoded = prepared(replace(publication, table=self.name(publication.table)), batches)
        rows = [pair for chunk in sorted_chunks(encoded, sys.maxsize, made.table) for pair in chunk.pairs()]
        asked = touched_keys(made, touched).difference(key for key, _ in rows)
        with self._sole_publisher(made.table) as served:
            entry = served.tables.get(made.table)
            before = entry.layout.table if entry else None
            if entry is None or before is None or before.version != since or not same_shape(before, made):
                raise Conflict(f"{made.table} was published otherwise meanwhile: publish it again")
            with _faithful(self._folder):
                _, get = served.open(made.table)
                gone = [key for key in asked if get(key) is not None]
                fresh = sum(get(key) is None for key, _ in rows)
                layers = changed(served.files, entry.layers, rows, gone)
            made = replace(made, rows=before.rows + fresh - len(gone))
            self._swap(served, served.tables | {made.table: _entry(made, layers)})
        return made

    def withdraw(self, table: str) -> None:
        name = self.name(table)
        if self.find(name) is None:
            raise not_published(name)
        with self._sole_publisher(name) as served:
            self._swap(served, {table: entry for table, entry in served.tables.items() if table != name})

    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        try:
            return self._tried(lambda served: self._read(served, wanted))
        except _FAULTS as error:
            raise _in_words(self._folder, error) from error

    def _read(self, served: _Served, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        found, mine, spelling = [], served.by_thread.__dict__, Spelling()
        for name, keys in wanted:
            opened = mine.get(name)
            if opened is None:
                opened = mine[name] = served.open(self.name(name))
            layout, get = opened
            decode, rows = layout.decode, list[Row | None]()
            for key in spelling.of(layout, keys):
                value = None if key is None else get(key)
                rows.append(None if value is None else decode(value))
            found.append(layout.found(rows))
        return found

    def tables(self) -> list[OnlineTable]:
        with _faithful(self._folder):
            tables = self._tried(lambda served: served.tables)
        return [tables[name].layout.table for name in sorted(tables)]

    def check(self) -> str:
        with _faithful(self._folder):
            size, tables = self._tried(lambda served: (served.size(), len(served.tables)))
        return f"LMDB in {self._folder}: {tables} tables, {size / 1e6:,.1f} MB" if tables else "LMDB: nothing is published yet"

    def _tried(self, read: Callable[[_Served], _T]) -> _T:
        """What is read of what is served now; again where that was replaced while it was read."""
        for _ in range(_ATTEMPTS):
            name, served = newest(self._pointer), self._served
            try:
                if served is None or served.name != name or not served.tables:
                    served = self._renewed()
                return read(served)
            except (FileNotFoundError, lmdb.Error):
                if newest(self._pointer) == name:
                    raise
        raise Unavailable(f"the online store in {self._folder} is published again and again meanwhile: ask again")

    def _renewed(self) -> _Served:
        files = self._served.files if self._served else files_of(self._folder)
        with files.renewing:
            self._served = served = _Served(files, newest(self._pointer))
            files.keep(served.layers)
        return served

    def _swap(self, served: _Served, tables: Tables) -> None:
        with _faithful(self._folder):
            manifest.swap(self._folder, tables, served.tables)

    @contextmanager
    def _sole_publisher(self, table: str) -> Iterator[_Served]:
        """What is served now, and goes on being served until this publisher replaces it."""
        lock = FileLock(self._folder / _LOCK, timeout=_PATIENCE)
        with _faithful(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            try:
                lock.acquire()
            except Timeout as error:
                raise Conflict(f"another process is publishing, so {table} is not: try again when it is done") from error
        try:
            with _faithful(self._folder):
                served = self._renewed()
            yield served
        finally:
            lock.release()


def embedded_stores(root: Path) -> list[Path]:
    """The folders below one that hold an embedded store."""
    return sorted(Path(place) for place, _, _ in os.walk(root) if manifest.published(Path(place)))


def copy_embedded(folder: Path, target: Path) -> None:
    """A whole copy of a store's folder as of one moment, while publishers and readers work on it. Raises Unavailable."""
    for _ in range(_ATTEMPTS):
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True, mode=0o700)
        name = newest(pointer_of(folder))
        try:
            with _faithful(folder, (lmdb.Error, msgspec.MsgspecError)):
                served = _Served(files_of(folder), name)
            for file in served.layers:
                shutil.copy2(folder / file, target / file, follow_symlinks=False)
        except FileNotFoundError:  # replaced meanwhile
            continue
        manifest.swap(target, served.tables)
        return
    raise Unavailable(f"the online store in {folder} is published again and again meanwhile, or has lost files: ask again")


def _entry(table: OnlineTable, layers: tuple[Layer, ...]) -> Entry:
    return Entry(msgspec.Raw(described(table)), layers)


@contextmanager
def _faithful(folder: Path, kinds: tuple[type[Exception], ...] = _FAULTS) -> Iterator[None]:
    """What the files cannot do, in our words."""
    try:
        yield
    except kinds as error:
        raise _in_words(folder, error) from error


def _in_words(folder: Path, error: Exception) -> BoathouseError:
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.EACCES, errno.EPERM, errno.EROFS):
        mend = "here it may be read and not be published to"
    elif isinstance(error, _DAMAGE) or code in (errno.ENOENT, errno.EINVAL, errno.ELOOP):
        mend = "remove that folder and publish again"
    else:  # a disk that fills up within a write is an input/output error to LMDB
        mend = "free some space and publish again"
    return Unavailable(f"the online store in {folder} does not work ({error}): {mend}")
