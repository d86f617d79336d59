"""Where files of rows come from: folders on this machine, and volumes."""

import glob
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Protocol

from boathouse.client.volume import Volume
from boathouse.client.volumes import Volumes
from boathouse.errors import InvalidInput, NotFound
from boathouse.lake import FileInfo, InputFile, is_input, local_file

_MARKS = ("volume:", "/Volumes/")


class FileSource(Protocol):
    """A place that files arrive at. `name` tells it from other places for good; `node` is its name in the lineage."""

    name: str
    node: str

    def files(self) -> Sequence[InputFile]:
        """The files there now, each by its path below the place, in order. Raises NotFound."""


class FolderSource:
    """A folder on this machine with all below it. Hidden and unfinished files, and other kinds, are passed over."""

    def __init__(self, folder: Path, pattern: str = "", form: str | None = None) -> None:
        self._folder = folder.expanduser().resolve()
        self._pattern = pattern
        self._form = form
        self.name = self._folder.as_uri()
        self.node = f"file:{self._folder.name}/"

    def files(self) -> Sequence[InputFile]:
        """The files there now. Raises NotFound."""
        if not self._folder.is_dir():
            raise NotFound(f"there is no folder {self._folder}")
        paths = (path for path in self._folder.rglob("*") if path.is_file())
        named = sorted((path.relative_to(self._folder).as_posix(), path) for path in paths)
        return [local_file(path, name) for name, path in named if _wanted(name, self._pattern, self._form)]


class VolumeSource:
    """A folder of a volume with all below it. Its files are whole whenever they show."""

    def __init__(self, volume: Volume, folder: str = "", pattern: str = "", form: str | None = None) -> None:
        self._volume = volume
        self._folder = folder.strip("/")
        self._pattern = pattern
        self._form = form
        self.node = f"volume:{volume.name}"
        self.name = f"{self.node}/{self._folder}".rstrip("/")

    def files(self) -> Sequence[InputFile]:
        """The files there now."""
        start = f"{self._folder}/" if self._folder else ""
        found = ((info.path.removeprefix(start), info) for info in self._volume.files(self._folder))
        return [volume_file(self._volume, info, name) for name, info in found if _wanted(name, self._pattern, self._form)]


def volume_file(volume: Volume, info: FileInfo, name: str) -> InputFile:
    """A file of a volume, as one to read rows from."""

    def current() -> str | None:
        try:
            return volume.stat(info.path).etag
        except NotFound:
            return None

    return InputFile(name, info.size, info.etag, lambda: volume.open(info.path), current)


def in_volume(word: str | Path) -> tuple[str, str] | None:
    """(volume, path) of a word that means files of a volume: `volume:raw.landing/2024`, `/Volumes/dev/raw/landing/2024`."""
    text = str(word)
    mark = next((m for m in _MARKS if text.startswith(m)), None)
    if mark is None:
        return None
    levels = text.removeprefix(mark).split("/")
    name, path = (levels[0], levels[1:]) if mark == "volume:" else (".".join(levels[:3]), levels[3:])
    if name.count(".") not in (1, 2):
        raise InvalidInput(f"{text} names no volume: write volume:SCHEMA.VOLUME/PATH, or /Volumes/CATALOG/SCHEMA/VOLUME/PATH")
    return name, "/".join(path)


def source_at(word: str | Path, volumes: Volumes, pattern: str = "", form: str | None = None) -> FileSource:
    """The folder or volume that a word means. Raises InvalidInput, NotFound, NotPermitted."""
    if place := in_volume(word):
        return VolumeSource(volumes.get(place[0]), place[1], pattern, form)
    return FolderSource(Path(word), pattern, form)


def volume_files(volume: Volume, path: str, form: str | None = None) -> list[InputFile]:
    """The files that a path in a volume means: one, all below a folder, or those that match a pattern. Raises NotFound."""
    label = f"volume:{volume.name}/"
    if path and not glob.has_magic(path) and volume.exists(path):
        return [volume_file(volume, volume.stat(path), label + path)]
    found = [info for info in volume.files("/".join(_plain(path))) if fnmatch(info.path, path) or not glob.has_magic(path)]
    if taken := [volume_file(volume, info, label + info.path) for info in found if is_input(info.path, form)]:
        return taken
    raise NotFound(f"{volume.name} has no file of rows at {path or 'all'}; `boathouse volumes ls` shows what there is")


def _plain(path: str) -> list[str]:
    """The folders of a path before the first pattern in it."""
    parts = [part for part in path.split("/") if part]
    return parts[: next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))]


def _wanted(name: str, pattern: str, form: str | None) -> bool:
    matches = not pattern or fnmatch(name, pattern) or fnmatch(PurePosixPath(name).name, pattern)
    return matches and is_input(name, form)
