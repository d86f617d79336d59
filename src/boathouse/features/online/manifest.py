"""What an embedded store's folder serves: a manifest that is never written again, and a link to the newest one."""

import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Thread
from uuid import uuid4

import msgspec

from boathouse.features.online.layers import ENDING, SINGLE, Files, Layer
from boathouse.features.online.table import Layout, layout_of

_POINTER = "current"
_ENDING = ".json"
_NAME = re.compile(rf"[0-9a-f]{{32}}\{_ENDING}")


class Entry(msgspec.Struct, frozen=True):
    """A published table: its description as it is kept, and its layers, the newest first."""

    table: msgspec.Raw
    layers: tuple[Layer, ...]

    @property
    def layout(self) -> Layout:
        """How its keys and rows are spelled."""
        return layout_of(bytes(self.table))


Tables = dict[str, Entry]
_DECODER = msgspec.json.Decoder(Tables)


def pointer_of(folder: Path) -> str:
    """Where a folder's link is."""
    return str(folder / _POINTER)


def newest(pointer: str) -> str:
    """The name of the manifest that counts now; empty where there is none. It changes with every publication."""
    try:
        return os.readlink(pointer)
    except FileNotFoundError:
        return ""


def published(folder: Path) -> bool:
    """Whether anything was published in a folder."""
    return (folder / _POINTER).is_symlink() or (folder / SINGLE).is_file()


def read(files: Files, name: str) -> Tables:
    """A manifest, or without a name what the one file of an earlier version holds.

    Raises FileNotFoundError when it was replaced meanwhile, MsgspecError, OSError or lmdb.Error for one that is damaged.
    """
    if not name:
        try:
            return {table: Entry(msgspec.Raw(words), (layer,)) for table, (words, layer) in files.single().items()}
        except FileNotFoundError:
            if newest(pointer_of(files.folder)):  # published meanwhile
                raise
            return {}
    if not _NAME.fullmatch(name):  # a task may write here, and whoever reads it may see more than the task
        raise msgspec.DecodeError(f"{_POINTER} leads elsewhere")
    with open(os.open(files.folder / name, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        tables: Tables = _DECODER.decode(file.read())
    return tables


def swap(folder: Path, tables: Tables, before: Tables | None = None) -> None:
    """Serve these from now on, and remove the files that are not needed any more. For the only publisher.

    The link is replaced once all new files are on the disk, those of `before` being there already, so that any moment
    leaves one whole publication. Syncing a new file brings its name to the disk, too, on ext4, XFS and Btrfs, and all of
    them keep the order in which names of one folder change, so the folder is synced once, for the link.
    """
    name = f"{uuid4().hex}{_ENDING}"
    with open(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(msgspec.json.encode(tables))
    fresh = _layers(tables) - _layers(before or {})
    with ThreadPoolExecutor(1 + len(fresh)) as pool:  # what waits together shares one commit of the disk's journal
        list(pool.map(_sync, [folder / part for part in (name, *fresh)]))
    link = folder / f"{_POINTER}.new"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    link.replace(folder / _POINTER)
    _sync(folder)
    sweep(folder, tables, name)


def sweep(folder: Path, tables: Tables, name: str) -> None:
    """Remove what no table needs, also what a killed publisher left. A file that is open somewhere stays readable there.

    Publishers do not wait for that: no name is used twice, so it needs no lock. The process does before it ends.
    """
    needed = _layers(tables) | {name}
    ours = [path for path in map(Path, os.scandir(folder)) if path.suffix in (ENDING, _ENDING) and path.name not in needed]
    old = [path for path in ours if path.name != "lock.mdb" or SINGLE not in needed]
    if old:
        Thread(target=_remove, args=(old,), name="boathouse-online-sweep").start()


def _remove(paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(OSError):  # the next publisher tries again
            path.unlink()


def _layers(tables: Tables) -> set[str]:
    return {layer.file for entry in tables.values() for layer in entry.layers}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
