"""Lists of common packages that were resolved once: what tasks run with where a project names no packages of its own."""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from packaging.markers import Marker

from boathouse.errors import NotFound

_LISTED = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)(?: ; (.*?))?(?: \\)?$", re.MULTILINE)
_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*", re.MULTILINE)


@dataclass(frozen=True)
class Runtime:
    """A version, its lock with hashes, and the names of what was asked for: the rest is what these need."""

    version: str
    text: str
    named: tuple[str, ...]

    def packages(self, all_of_them: bool = False) -> list[tuple[str, str]]:
        """(package, version) of those asked for, or of all, as they are for this Python on this machine."""
        found = [(m[1], m[2]) for m in _LISTED.finditer(self.text) if not m[3] or Marker(m[3]).evaluate()]
        return [(name, version) for name, version in found if all_of_them or name in self.named]


@cache
def runtimes() -> tuple[Runtime, ...]:
    """All there are, the newest first."""
    folder = files(__name__)
    versions = sorted((f.name.removesuffix(".in") for f in folder.iterdir() if f.name.endswith(".in")), reverse=True)
    return tuple(
        Runtime(v, (folder / f"{v}.txt").read_text(), tuple(_NAME.findall((folder / f"{v}.in").read_text()))) for v in versions
    )


def runtime(version: str) -> Runtime:
    """One of them. Raises NotFound naming those there are."""
    for each in runtimes():
        if each.version == version:
            return each
    raise NotFound(f"there is no Python runtime {version!r}; there are {', '.join(r.version for r in runtimes())}")
