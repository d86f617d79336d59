"""A volume in a user's hands: `lake.volume("raw.images")`."""

import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

from boathouse.catalog import VolumeAccess, VolumeInfo
from boathouse.client.http import Http
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.lake import FileFolder, FileInfo, FilePage, Storage, check_path

_PIECE = 1 << 20
_READ_AHEAD = 4 << 20
OnSent = Callable[[int], None]
"""Told how many more bytes went over."""


class VolumePort(Protocol):
    """What a volume needs of the connection."""

    http: Http

    def note_read(self, volume: str) -> None:
        """Files were read."""

    def note_written(self, volume: str) -> None:
        """Files were written."""


class Volume:
    """Files of any kind under one name, at paths like `2024/cat.png`."""

    def __init__(self, access: VolumeAccess, port: VolumePort) -> None:
        self.info: VolumeInfo = access.info
        self._port = port
        self._address = f"/api/v1/volumes/{access.info.name}/files"
        here = FileFolder(Storage(access.info.location), access.info.name) if access.through == "files" else None
        self._here = here if here and (place := here.local_path()) and place.parent.exists() else None

    @property
    def name(self) -> str:
        """The full name, `environment.schema.volume`."""
        return self.info.name

    @property
    def path(self) -> Path:
        """Where its files lie on this machine, for a task of the same environment on local disks.

        Raises NotPermitted where files come through the server: read them with `open`, or bring them here with `get`.
        """
        place = self._here.local_path() if self._here else None
        if place is None:
            raise NotPermitted(f"the files of {self.name} come through the server here: use open() or get(), and no path")
        place.mkdir(parents=True, exist_ok=True)
        self._note_read()
        return place

    def put(self, source: str | Path | bytes | IO[bytes], path: str = "", on_sent: OnSent | None = None) -> FileInfo:
        """Write one file, or replace it; it is there once all of it is. `path` defaults to the name of a local file.

        Raises NotFound, NotPermitted, InvalidInput.
        """
        if isinstance(source, str | Path):
            local = Path(source).expanduser()
            if not local.is_file():
                raise NotFound(f"there is no file {local}")
            with local.open("rb") as stream:
                return self._write(path or local.name, stream, on_sent)
        if not path:
            raise InvalidInput("say where the bytes go: put(data, 'folder/name')")
        return self._write(path, io.BytesIO(source) if isinstance(source, bytes) else source, on_sent)

    def get(self, path: str, target: str | Path = ".", on_sent: OnSent | None = None) -> Path:
        """Bring one file here, into a folder or under a name; where it is now. Goes on where an earlier try was cut off.

        Raises NotFound, NotPermitted, and InvalidInput when the file changes meanwhile.
        """
        info = self.stat(path)
        local = Path(target).expanduser()
        local = local / Path(path).name if local.is_dir() else local
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(f".{local.name}.{info.etag.replace('/', '')[:40]}.part")
        start = min(part.stat().st_size if part.exists() else 0, info.size)
        if on_sent and start:
            on_sent(start)
        with part.open("ab") as stream:
            for chunk in self._read(info, start, info.size):
                stream.write(chunk)
                if on_sent:
                    on_sent(len(chunk))
        if part.stat().st_size != info.size:
            part.unlink()
            raise InvalidInput(f"{path} of {self.name} changed while it was read; try again")
        os.utime(part, (info.modified_at.timestamp(), info.modified_at.timestamp()))
        return part.replace(local)

    def open(self, path: str, mode: str = "rb") -> io.BufferedReader:
        """A file for reading that can be read and sought, fetched piece by piece. Raises NotFound."""
        if mode != "rb":
            raise InvalidInput(f"files of a volume are opened with 'rb', not {mode!r}; put() writes them whole")
        return io.BufferedReader(_Remote(self.stat(path), self._read), _READ_AHEAD)

    def read_bytes(self, path: str) -> bytes:
        """All bytes of a file."""
        info = self.stat(path)
        return b"".join(self._read(info, 0, info.size))

    def read_text(self, path: str, encoding: str = "utf-8") -> str:
        """A file as text."""
        return self.read_bytes(path).decode(encoding)

    def stat(self, path: str) -> FileInfo:
        """Size, time and tag of a file. Raises NotFound."""
        if self._here:
            return self._here.stat(path)
        head = self._port.http.head(self._at(path))
        return FileInfo.from_dict({
            "path": path, "size": int(head["content-length"]), "etag": head["etag"].strip('"'),
            "modified_at": head["x-boathouse-modified-at"],
        })  # fmt: skip

    def exists(self, path: str) -> bool:
        """Whether a file is there."""
        try:
            self.stat(path)
        except NotFound:
            return False
        return True

    def list(self, prefix: str = "") -> Sequence[FileInfo]:
        """All files below a folder, by path."""
        return tuple(self.files(prefix))

    def files(self, prefix: str = "") -> Iterator[FileInfo]:
        """The same, read page by page as they are wanted."""
        after: str | None = None
        while True:
            page = self.page(prefix, after)
            yield from page.files
            if (after := page.after) is None:
                return

    def page(self, prefix: str = "", after: str | None = None, recursive: bool = True) -> FilePage:
        """A page of files; not recursively, a folder's own files and the folders in it."""
        if self._here:
            return self._here.page(prefix, after, recursive=recursive)
        asked = {"prefix": prefix or None, "after": after, "recursive": None if recursive else "false"}
        body = self._port.http.call("GET", self._address, params=asked)
        return FilePage(tuple(map(FileInfo.from_dict, body["files"])), tuple(body["folders"]), body["after"])

    def remove(self, path: str, recursive: bool = False) -> int:
        """Delete a file, or all below a folder; how many. Raises NotFound."""
        answer = self._port.http.call("DELETE", self._at(path), params={"recursive": "true" if recursive else None})
        return int(answer["files"])

    def __repr__(self) -> str:
        return f"Volume({self.name})"

    def _at(self, path: str) -> str:
        return f"{self._address}/{quote(check_path(path), safe='/')}"

    def _write(self, path: str, stream: IO[bytes], on_sent: OnSent | None) -> FileInfo:
        """Through the server always: every change is in the audit log."""
        made = FileInfo.from_dict(self._port.http.put(self._at(path), _pieces(stream, on_sent)))
        self._port.note_written(self.name)
        return made

    def _read(self, info: FileInfo, start: int, end: int) -> Iterator[bytes]:
        self._note_read()
        if start >= end:
            return iter(())
        if self._here:
            return self._here.read(info.path, start, end).chunks
        # with If-Range a file that has changed comes whole, which its size or a cut piece gives away
        headers = {"Range": f"bytes={start}-{end - 1}", "If-Range": f'"{info.etag}"'}
        return self._port.http.stream(self._at(info.path), headers)

    def _note_read(self) -> None:
        self._port.note_read(self.name)


class _Remote(io.RawIOBase):
    """The bytes of one file, each read a range of it."""

    def __init__(self, info: FileInfo, read: Callable[[FileInfo, int, int], Iterator[bytes]]) -> None:
        self._info = info
        self._read = read
        self._position = 0
        self.name = info.path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._info.size}[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        end = min(self._position + len(view), self._info.size)
        data = b"".join(self._read(self._info, self._position, end)) if end > self._position else b""
        if len(data) != max(end - self._position, 0):
            raise InvalidInput(f"{self.name} changed while it was read; open it again")
        view[: len(data)] = data
        self._position += len(data)
        return len(data)


def _pieces(stream: IO[bytes], on_sent: OnSent | None) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece
        if on_sent:
            on_sent(len(piece))
