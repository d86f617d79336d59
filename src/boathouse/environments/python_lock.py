"""What a project says of the packages its code needs: a lock, else requirements that are resolved once."""

import hashlib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from boathouse.errors import InvalidInput

LOCKS = ("uv.lock", "pylock.toml", "requirements.lock", "requirements.txt")
"""Names of locks, in the order in which they are looked for in a project's folder."""
PYPROJECT = "pyproject.toml"
OURS = "boathouse"
"""Always the server's own: it speaks the server's protocol."""
_ADDRESS = re.compile(r"(-i|-f|--index-url|--extra-index-url|--find-links|--no-index)\b")
_OPTION = re.compile(r"\s+--hash[= ]\S+|\s+#.*$")


@dataclass(frozen=True)
class Lock:
    """A file's name and text. `pyproject` stands beside a uv.lock, which cannot be read without it."""

    name: str
    text: str
    pyproject: str = ""

    @property
    def hash(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def hashed(self) -> bool:
        """Whether each package's files are known by their hashes."""
        return "--hash" in self.text or self.name == "uv.lock" or self.name.startswith("pylock")

    @property
    def complete(self) -> bool:
        """Whether it names all that is to be installed. Versions alone do not say so: people pin what they import."""
        return self.name != PYPROJECT and self.hashed

    @property
    def addresses(self) -> str:
        """Its lines that say where packages are found."""
        lines = (line.strip() for line in self.text.splitlines())
        return "".join(f"{line}\n" for line in lines if _ADDRESS.match(line)) if self.name != PYPROJECT else ""


def find_lock(folder: Path, name: str | None = None) -> Lock | None:
    """The lock of a project: the file `name`, else the first of `LOCKS`, else what its pyproject.toml asks for.

    None where the project says nothing. Raises InvalidInput for a file that is missing or cannot be read, and where the
    project needs another Python than the server's.
    """
    if name and not (folder / name).is_file():
        raise InvalidInput(f"the lock {name!r} is not in the project ({folder})")
    project = _text(folder / PYPROJECT) if (folder / PYPROJECT).is_file() else ""
    asked = _asked(project, folder)
    for each in (name,) if name else LOCKS:
        if (folder / each).is_file():
            return Lock(each, _inlined(folder / each), project if each == "uv.lock" else "")
    return Lock(PYPROJECT, "".join(f"{line}\n" for line in sorted(asked))) if asked else None


def requirements(text: str) -> Iterator[str]:
    """The requirements of a requirements file, each on one line, without hashes, options and comments."""
    for line in text.replace("\\\n", " ").splitlines():
        plain = _OPTION.sub("", line.split(" #")[0]).strip()
        if plain and not plain.startswith(("#", "--")) and not _ADDRESS.match(plain):
            yield plain


def without_ours(text: str) -> str:
    """A requirements file that does not ask for this package."""
    blocks = re.split(r"(?<!\\)\n(?=\S)", text)
    return "\n".join(block for block in blocks if _name(block) != OURS)


@lru_cache(maxsize=256)
def holds(lock: Lock, extra: tuple[str, ...] = ()) -> bool:
    """Whether this process's own environment holds all that a lock and more requirements ask for, at their versions."""
    if lock.name == "uv.lock":  # it locks all platforms, extras and groups at once: only uv tells which count
        return False
    return all(_installed(line) for line in (*asked_for(lock), *extra))


def asked_for(lock: Lock) -> list[str]:
    """The requirements of a lock or of a list of requirements, each on one line; not of a uv.lock."""
    return _of_pylock(lock.text) if lock.name.startswith("pylock") else list(requirements(lock.text))


def installed_packages() -> dict[str, str]:
    """Name -> version of all that this process can import, those before others that it would take first."""
    found: dict[str, str] = {}
    for folder in sys.path:  # by the names of their folders: reading the metadata of 200 packages takes a second
        for each in Path(folder).glob("*.dist-info") if Path(folder).is_dir() else ():
            name, _, number = each.stem.partition("-")
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), number)
    return dict(sorted(found.items()))


def _asked(project: str, folder: Path) -> list[str]:
    """The dependencies of a pyproject.toml."""
    try:
        table: Mapping[str, Any] = tomllib.loads(project).get("project") or {}
        wanted = SpecifierSet(str(table.get("requires-python") or ""))
    except (tomllib.TOMLDecodeError, InvalidSpecifier) as error:
        raise InvalidInput(f"{folder / PYPROJECT} cannot be read: {error}") from error
    own = ".".join(map(str, sys.version_info[:3]))
    if not wanted.contains(own, prereleases=True):
        raise InvalidInput(f"{folder / PYPROJECT} needs Python {wanted}, and tasks run with the server's, {own}")
    return [str(line) for line in table.get("dependencies") or ()]


def _inlined(path: Path) -> str:
    """A file with the files that it includes (`-r other.txt`) in their place."""
    if path.suffix not in (".txt", ".lock") or path.name == "uv.lock":
        return _text(path)
    lines = []
    for line in _text(path).splitlines():
        found = re.match(r"(?:-r|--requirement)[ =]\s*(\S+)", line)
        lines.append(_inlined(path.parent / found[1]) if found else line)
    return "\n".join(lines) + "\n"


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error


def _of_pylock(text: str) -> list[str]:
    try:
        packages: Sequence[Mapping[str, Any]] = tomllib.loads(text).get("packages") or ()
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"pylock.toml cannot be read: {error}") from error
    return [f"{p['name']}=={p.get('version')}" for p in packages if _holds(p.get("marker"))]


def _holds(marker: str | None) -> bool:
    try:
        return not marker or Marker(marker).evaluate()
    except InvalidMarker:
        return True


def _installed(line: str) -> bool:
    try:
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate():
            return True
        return not wanted.url and wanted.specifier.contains(version(wanted.name), prereleases=True)
    except (InvalidRequirement, PackageNotFoundError):
        return False


def _name(line: str) -> str:
    found = re.match(r"[A-Za-z0-9][\w.-]*", line)
    return re.sub(r"[-_.]+", "-", found[0]).lower() if found else ""
