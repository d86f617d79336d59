"""Files that rows are read from: found by name, folder or pattern, told apart by their endings."""

import glob
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Literal

from boathouse.errors import InvalidInput, NotFound

Format = Literal["csv", "json", "parquet"]

_ENDINGS: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".inprogress")


@dataclass(frozen=True)
class InputFile:
    """One file of rows. `mark` changes whenever its content may have: size and time, or an object's tag.

    `current` is the mark that it has now; `path` is where it lies, if that is on this machine, and `written_at`
    when it was last written there, in seconds.
    """

    name: str
    size: int
    mark: str
    open: Callable[[], BinaryIO] = field(repr=False, compare=False)
    current: Callable[[], str | None] = field(repr=False, compare=False)
    path: Path | None = None
    written_at: float | None = None

    @property
    def compressed(self) -> bool:
        """Whether its bytes are gzip's."""
        return self.name.lower().endswith(".gz")

    def format(self, given: str | None = None) -> Format:
        """csv, json or parquet, by the name's ending unless it is given. Raises InvalidInput."""
        if given is not None:
            if given not in _ENDINGS.values():
                raise InvalidInput(f"the format {given!r} is unknown; use csv, json or parquet")
            return given  # type: ignore[return-value]
        plain = self.name[:-3] if self.compressed else self.name
        if found := _ENDINGS.get(Path(plain).suffix.lower()):
            return found
        raise InvalidInput(f"{self.name}: its name does not say what it holds; say --format csv, json or parquet")

    def digest(self) -> str:
        """BLAKE2 of the bytes, in hexadecimal digits."""
        found = hashlib.blake2b(digest_size=16)
        with self.open() as stream:
            while block := stream.read(1 << 20):
                found.update(block)
        return found.hexdigest()


def local_file(path: Path, name: str | None = None) -> InputFile:
    """A file on this machine. Raises NotFound."""
    mark = _mark(path)
    if mark is None:
        raise NotFound(f"there is no file {path}")
    size, written = (int(part) for part in mark.split("-"))
    return InputFile(name or str(path), size, mark, lambda: path.open("rb"), lambda: _mark(path), path, written / 1e9)


def _mark(path: Path) -> str | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def find_files(paths: Sequence[str | Path], given: str | None = None) -> list[InputFile]:
    """The files that words name: files, folders with all below them, patterns as in a shell.

    Each file comes once, by name. In folders, hidden and unfinished files and other kinds of file are left out.
    Raises NotFound for a word that names nothing, InvalidInput for a folder without files of rows.
    """
    found: dict[Path, None] = {}
    for word in paths:
        found |= dict.fromkeys(_named(Path(word).expanduser(), given))
    return [local_file(path) for path in found]


def _named(path: Path, given: str | None) -> Iterable[Path]:
    if path.is_dir():
        if inside := sorted(p for p in path.rglob("*") if p.is_file() and is_input(str(p.relative_to(path)), given)):
            return inside
        raise InvalidInput(f"the folder {path} holds no CSV, JSON or Parquet file")
    if path.exists():
        return [path]
    if glob.has_magic(str(path)):
        if matching := [Path(p) for p in sorted(glob.glob(str(path), recursive=True)) if Path(p).is_file()]:
            return matching
        raise NotFound(f"no file matches {path}")
    raise NotFound(f"there is no file {path}")


def is_input(name: str, given: str | None = None) -> bool:
    """Whether a file below a folder is one of rows: finished, not hidden, and of a kind that is read."""
    parts = Path(name).parts
    if any(part.startswith((".", "_")) for part in parts) or name.lower().endswith(_UNFINISHED):
        return False
    plain = name[:-3] if name.lower().endswith(".gz") else name
    return given is not None or Path(plain).suffix.lower() in _ENDINGS
