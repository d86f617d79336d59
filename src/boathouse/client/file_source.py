"""Where files to take in come from: a folder on this machine, or a volume."""

from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Protocol

from boathouse.errors import NotFound
from boathouse.lake import InputFile, is_input, local_file


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
        return [local_file(path, name) for name, path in named if wanted(name, self._pattern, self._form)]


def wanted(name: str, pattern: str, form: str | None = None) -> bool:
    """Whether a path is one of a file of rows, and matches a pattern of its name or of its whole path."""
    matches = not pattern or fnmatch(name, pattern) or fnmatch(PurePosixPath(name).name, pattern)
    return matches and is_input(name, form)
