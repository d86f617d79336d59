"""Folders into a volume and out of it: several files at once, and only those that are not the same on the other side."""

import hashlib
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from boathouse.client.volume import OnSent, Volume
from boathouse.errors import NotFound
from boathouse.lake import PART, FileInfo

_AT_ONCE = 4
_MD5 = re.compile(r"[0-9a-f]{32}(-\d+)?")
"""How object stores tag a file that was put in one piece, or in parts."""
T = TypeVar("T")
OnPlan = Callable[[int, int], None]
"""Told (files, bytes) that are to go over, before they do."""


@dataclass(frozen=True)
class Transfer:
    """How many files went over, how many were the same already, and the bytes of those that went."""

    sent: int
    same: int
    bytes: int


def send_folder(volume: Volume, folder: Path, prefix: str = "", *, force: bool = False, on_plan: OnPlan | None = None,
                on_sent: OnSent | None = None) -> Transfer:  # fmt: skip
    """Put all files below a folder. A cut off transfer goes on when it is called again; `force` sends all of them."""
    there = {} if force else {info.path: info for info in volume.files(prefix)}
    start = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    found = [(path, start + path.relative_to(folder).as_posix()) for path in sorted(folder.rglob("*")) if path.is_file()]
    if not found:
        raise NotFound(f"the folder {folder} holds no file")
    wanted = [(path, name) for path, name in found if name not in there or not _sent_before(path, there[name])]
    size = sum(path.stat().st_size for path, _ in wanted)
    if on_plan:
        on_plan(len(wanted), size)
    _all_of(lambda pair: volume.put(*pair, on_sent), wanted)
    return Transfer(len(wanted), len(found) - len(wanted), size)


def fetch_folder(volume: Volume, prefix: str, folder: Path, *, force: bool = False, on_plan: OnPlan | None = None,
                 on_sent: OnSent | None = None) -> Transfer:  # fmt: skip
    """Bring all files below a folder of a volume here. Raises NotFound when there is none."""
    start = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    found = [(info, folder / info.path.removeprefix(start)) for info in volume.files(prefix)]
    if not found:
        raise NotFound(f"{volume.name} has no files below {prefix or 'it'}")
    wanted = [(info, local) for info, local in found if force or not _fetched_before(local, info)]
    size = sum(info.size for info, _ in wanted)
    if on_plan:
        on_plan(len(wanted), size)
    _all_of(lambda pair: volume.get(pair[0].path, pair[1], on_sent), wanted)
    return Transfer(len(wanted), len(found) - len(wanted), size)


def _all_of(act: Callable[[T], object], things: Iterable[T]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tries = [pool.submit(act, thing) for thing in things]
        try:
            for one in tries:
                one.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _sent_before(local: Path, there: FileInfo) -> bool:
    facts = local.stat()
    if facts.st_size != there.size:
        return False
    if tagged := _MD5.fullmatch(there.etag):
        return _md5(local, in_parts=tagged.group(1) is not None) == there.etag
    return there.modified_at.timestamp() >= facts.st_mtime


def _md5(local: Path, in_parts: bool) -> str:
    def digest(data: bytes) -> "hashlib._Hash":
        return hashlib.md5(data, usedforsecurity=False)

    with local.open("rb") as stream:
        parts = [digest(part) for part in iter(lambda: stream.read(PART), b"")] or [digest(b"")]
    if in_parts:
        return f"{digest(b''.join(part.digest() for part in parts)).hexdigest()}-{len(parts)}"
    return parts[0].hexdigest() if len(parts) == 1 else ""


def _fetched_before(local: Path, there: FileInfo) -> bool:
    if not local.exists():
        return False
    facts = local.stat()
    return facts.st_size == there.size and abs(facts.st_mtime - there.modified_at.timestamp()) < 0.001
