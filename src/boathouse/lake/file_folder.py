"""Files below one place, on this machine's disk or in an object store: put whole, read by ranges, listed by pages."""

import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import obstore
from obstore.exceptions import BaseError

from boathouse.errors import InvalidInput, NotFound, Unavailable
from boathouse.lake.storage import Storage

CHUNK = 1 << 20
PART = 8 << 20
"""Bytes that go to an object store at once; a smaller file goes in one piece."""
_PARTS_AT_ONCE = 2
_LONGEST, _LONGEST_PART = 1024, 240
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_UNFINISHED = re.compile(r"#\d+$")
"""How the store on a disk ends the names of files that are being written."""


@dataclass(frozen=True)
class FileInfo:
    """One file: its path below the folder, its size in bytes, when it was written, and a tag that changes with it."""

    path: str
    size: int
    modified_at: datetime
    etag: str

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"path": self.path, "size": self.size, "modified_at": self.modified_at.isoformat(), "etag": self.etag}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "FileInfo":
        """From `to_dict`."""
        return cls(body["path"], body["size"], datetime.fromisoformat(body["modified_at"]), body["etag"])


@dataclass(frozen=True)
class FilePage:
    """Files by path, the folders beside them, and where the next page begins."""

    files: tuple[FileInfo, ...]
    folders: tuple[str, ...] = ()
    after: str | None = None


@dataclass(frozen=True)
class FileContent:
    """A file, and the bytes of it from `start` to before `end`."""

    info: FileInfo
    start: int
    end: int
    chunks: Iterator[bytes]


def check_path(path: str) -> str:
    """A file's path below a folder. Raises InvalidInput for one that could lead elsewhere, or that no store can keep."""
    parts = path.split("/")
    octets = path.encode(errors="surrogatepass")
    fault = f"{path[:200]!r} is no path of a file in a volume"
    if any(part in ("", ".", "..") for part in parts):
        raise InvalidInput(f"{fault}: write it as in 2024/cat.png, without . and ..")
    if _CONTROL.search(path) or "\\" in path or octets.decode(errors="replace") != path:
        raise InvalidInput(f"{fault}: no control characters and no backslashes")
    if len(octets) > _LONGEST or any(len(part.encode()) > _LONGEST_PART for part in parts):
        raise InvalidInput(f"{fault}: at most {_LONGEST} bytes, and {_LONGEST_PART} between slashes")
    if any(_UNFINISHED.search(part) for part in parts):
        raise InvalidInput(f"{path!r} ends in # and a number, which marks unfinished files; choose another name")
    return path


class FileFolder:
    """The files below one place. A file that is being put is not there until all of it is."""

    def __init__(self, storage: Storage, name: str) -> None:
        self.storage = storage
        self.name = name

    def put(self, path: str, chunks: Iterable[bytes]) -> FileInfo:
        """Write a file, or replace it, piece by piece; if `chunks` raises, what was there stays."""
        place = self._inside(check_path(path))
        if place and place.is_dir():
            raise InvalidInput(f"{path} is a folder of {self.name}, and cannot be a file as well")
        pieces = _regular(chunks)
        try:
            start = _first_part(pieces)
            whole = start if len(start) < PART else itertools.chain([start], pieces)
            obstore.put(self.storage.store(), path, whole, chunk_size=PART, max_concurrency=_PARTS_AT_ONCE,
                        use_multipart=whole is not start)  # fmt: skip
        except (BaseError, OSError) as error:
            raise _failed(error, f"{path} cannot be written to {self.name}") from error
        return self.stat(path)

    def stat(self, path: str) -> FileInfo:
        """What is known of a file. Raises NotFound."""
        if place := self._inside(check_path(path)):
            if not place.is_file():
                raise self._absent(path)
            return _local_info(path, place)
        try:
            return _info(obstore.head(self.storage.store(), path))
        except FileNotFoundError as error:
            raise self._absent(path) from error
        except BaseError as error:
            raise _failed(error, f"{path} of {self.name} cannot be looked at") from error

    def read(self, path: str, start: int = 0, end: int | None = None) -> FileContent:
        """The bytes of a file from `start` to before `end`. Raises NotFound, InvalidInput for a range outside it."""
        info = self.stat(path)
        stop = info.size if end is None else min(end, info.size)
        if not 0 <= start <= stop:
            raise InvalidInput(f"{path} has {info.size} bytes; {start} to {end} is no part of it")
        return FileContent(info, start, stop, self._chunks(info, start, stop) if stop > start else iter(()))

    def page(self, folder: str = "", after: str | None = None, limit: int = 1000, recursive: bool = True) -> FilePage:
        """Files below a folder, those after `after`; not recursively, its own files and the folders in it.

        They come in the order of their paths, or what an object store takes for that.
        """
        folder = check_path(folder.rstrip("/")) if folder.strip("/") else ""
        entries = self._local_entries(folder, after, recursive) if self.storage.local else self._entries(folder, after, recursive)
        found = list(itertools.islice(entries, limit + 1))
        shown = found[:limit]
        files = tuple(entry for entry in shown if isinstance(entry, FileInfo))
        folders = tuple(entry for entry in shown if isinstance(entry, str))
        last = shown[-1] if len(found) > limit else None
        return FilePage(files, folders, last.path if isinstance(last, FileInfo) else last)

    def files(self, folder: str = "") -> Iterator[FileInfo]:
        """All files below a folder, by path."""
        after: str | None = None
        while True:
            page = self.page(folder, after)
            yield from page.files
            if (after := page.after) is None:
                return

    def remove(self, path: str) -> None:
        """Delete a file. Raises NotFound."""
        self.stat(path)
        place = self._inside(path)
        try:
            obstore.delete(self.storage.store(), path)
        except (BaseError, OSError) as error:
            raise _failed(error, f"{path} of {self.name} cannot be removed") from error
        if place and self.storage.local:
            _remove_empty(place.parent, self.storage.local)

    def local_path(self, path: str = "") -> Path | None:
        """Where a file, or the folder, lies on this machine; None in an object store."""
        return self._inside(check_path(path)) if path else self.storage.local

    def _inside(self, path: str) -> Path | None:
        """The place on disk, which no symbolic link may lead out of the folder. Raises NotFound."""
        root = self.storage.local
        if root is None:
            return None
        place = root / path
        if not place.resolve().is_relative_to(root.resolve()):
            raise self._absent(path)
        return place

    def _absent(self, path: str) -> NotFound:
        return NotFound(f"{self.name} has no file {path}; `boathouse volumes ls` shows those there are")

    def _chunks(self, info: FileInfo, start: int, stop: int) -> Iterator[bytes]:
        try:
            got = obstore.get(self.storage.store(), info.path, options={"range": (start, stop)})
            for chunk in got.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)
        except (BaseError, OSError) as error:
            raise _failed(error, f"{info.path} of {self.name} cannot be read") from error

    def _entries(self, folder: str, after: str | None, recursive: bool) -> Iterator[FileInfo | str]:
        store = self.storage.store()
        try:
            if recursive:
                pages = obstore.list(store, prefix=folder or None, offset=after)
                yield from (_info(meta) for page in pages for meta in page)
                return
            found: Any = obstore.list_with_delimiter(store, prefix=folder or None)
            inside: list[FileInfo | str] = [_info(meta) for meta in found["objects"]]
            inside += [prefix.rstrip("/") + "/" for prefix in found["common_prefixes"]]
            yield from (e for e in sorted(inside, key=_key) if after is None or _key(e) > after)
        except BaseError as error:
            raise _failed(error, f"{self.name} cannot be listed") from error

    def _local_entries(self, folder: str, after: str | None, recursive: bool) -> Iterator[FileInfo | str]:
        root = self.storage.local
        assert root is not None
        place = self._inside(folder) if folder else root
        if place and place.is_dir():
            yield from _walk(root.resolve(), place, folder, after, recursive)


def _walk(root: Path, place: Path, folder: str, after: str | None, recursive: bool) -> Iterator[FileInfo | str]:
    """Entries in the order of their whole paths, a folder's as if it ended in a slash; what lies before `after` is not opened."""
    prefix = f"{folder}/" if folder else ""
    found: list[tuple[str, os.DirEntry[str]]] = []
    with os.scandir(place) as entries:
        for entry in entries:
            is_folder = entry.is_dir(follow_symlinks=False)
            path = prefix + entry.name + ("/" if is_folder else "")
            if _UNFINISHED.search(entry.name) or (after and path <= after and not after.startswith(path)):
                continue
            found.append((path, entry))
    heapq.heapify(found)
    while found:
        path, entry = heapq.heappop(found)
        if entry.is_dir(follow_symlinks=False):
            below = _walk(root, Path(entry.path), path[:-1], after, recursive=True)
            if recursive:
                yield from below
            elif (after is None or path > after) and next(below, None):
                yield path  # an empty folder is none, as in an object store
        elif entry.is_file() and (after is None or path > after) and Path(entry.path).resolve().is_relative_to(root):
            yield _local_info(path, Path(entry.path))


def _key(entry: FileInfo | str) -> str:
    return entry.path if isinstance(entry, FileInfo) else entry


def _local_info(path: str, place: Path) -> FileInfo:
    facts = place.stat()
    modified = datetime.fromtimestamp(facts.st_mtime_ns // 1000 / 1e6, UTC)
    return FileInfo(path, facts.st_size, modified, f"{facts.st_ino:x}-{facts.st_mtime_ns:x}-{facts.st_size:x}")


def _info(meta: Any) -> FileInfo:
    return FileInfo(meta["path"], meta["size"], meta["last_modified"], (meta["e_tag"] or "").strip('"'))


def _regular(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of an even size: small ones joined, so that a part is not made of thousands."""
    waiting: list[bytes] = []
    size = 0
    for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= CHUNK:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _first_part(pieces: Iterator[bytes]) -> bytes:
    """As much as makes a part, or all there is."""
    taken: list[bytes] = []
    size = 0
    while size < PART and (piece := next(pieces, None)) is not None:
        taken.append(piece)
        size += len(piece)
    return b"".join(taken)


def _remove_empty(place: Path, root: Path) -> None:
    while place != root and place.is_relative_to(root):
        try:
            place.rmdir()
        except OSError:
            return
        place = place.parent


def _failed(error: Exception, what: str) -> Exception:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if isinstance(error, NotADirectoryError | IsADirectoryError | FileExistsError) or "directory" in said:
        return InvalidInput(f"{what}: a file cannot be a folder as well ({said})")
    return Unavailable(f"{what}: {said}")
