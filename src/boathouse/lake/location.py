"""One spelling for one place, and whether two places overlap: what outside storage may be used is decided on these."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

from boathouse.errors import InvalidInput
from boathouse.lake.storage import local_path

_ALIASES = {"s3a": "s3", "s3n": "s3", "": "file"}
_SCHEMES = ("file", "s3", "abfss", "gs")
_HOSTS = {
    "s3": re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*"),
    "gs": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"),
    "abfss": re.compile(r"[a-z0-9][a-z0-9-]*@[a-z0-9]+(\.[a-z0-9-]+)*"),
}
_ODD = re.compile(r"[\\%?#*]")
_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr")


def canonical(location: str) -> str:
    """The one URL of a place: no `..`, no encodings, no trailing slash; on this machine, symbolic links followed.

    Raises InvalidInput for what has no such spelling, or is a folder of the operating system.
    """
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in location):  # urlparse would drop some of them
        raise InvalidInput(f"{location!r} holds control characters")
    parts = urlparse(location)
    scheme = _ALIASES.get(parts.scheme.lower(), parts.scheme.lower())
    if scheme not in _SCHEMES:
        raise InvalidInput(f"{location} is no place for tables: use a URL of {', '.join(_SCHEMES)}, or an absolute path")
    if scheme == "file":
        return _canonical_path(location)
    if not _HOSTS[scheme].fullmatch(parts.netloc) or parts.params or "?" in location or "#" in location:
        raise InvalidInput(f"{location} is no {scheme} URL: write {scheme}://bucket/prefix")
    levels = _levels(location, parts.path.strip("/"))
    return "/".join([f"{scheme}://{parts.netloc}", *levels])


def _canonical_path(location: str) -> str:
    parts = urlparse(location)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInput(f"{location} names another machine: write file:///folder")
    written = unquote(parts.path) if parts.scheme else location
    if not written.startswith("/"):
        raise InvalidInput(f"{location} must be an absolute path")
    _levels(location, written.strip("/"))
    path = Path(written).resolve()
    if path == Path("/") or any(path == Path(system) or Path(system) in path.parents for system in _SYSTEM):
        raise InvalidInput(f"{location} is a folder of the operating system ({path})")
    return path.as_uri()


def _levels(location: str, path: str) -> list[str]:
    levels = path.split("/") if path else []
    if _ODD.search(path) or any(level in ("", ".", "..") for level in levels):
        raise InvalidInput(f"{location} could mean several places: write it without encodings, wildcards, '//', '.' and '..'")
    return levels


def folded(url: str) -> str:
    """What two spellings of a place have in common where a store or disk does not tell upper from lower case."""
    path = local_path(url)
    return f"{f'file://{path}' if path else url}/".casefold()


def overlap(one: str, other: str) -> bool:
    """Whether one place lies within the other, or is it."""
    first, second = folded(one), folded(other)
    return first.startswith(second) or second.startswith(first)


def within(inner: str, outer: str) -> bool:
    """Whether a place lies within another, or is it."""
    return f"{inner}/".startswith(f"{outer}/")
