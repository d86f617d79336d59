"""A copy of a home, taken while a server works on it.

The order makes it whole: the database first, then requests that wait to be logged, then each table's log before its files.
What comes later may know more than what came first, never less, and what was written twice is recognised when it is taken up.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from boathouse import clock
from boathouse.errors import InvalidInput, NotFound
from boathouse.features.online import copy_embedded, embedded_stores
from boathouse.home import FORMAT
from boathouse.lake import local_path
from boathouse.platform.keeping.dumps import dump
from boathouse.platform.keeping.links import Links
from boathouse.settings import Settings

MANIFEST = "backup.json"
HOME, DATABASE = "home", "database"
_PASSING = {"lock", "owner", "server.json", "tmp", "sql", "clones", "python", "online", "boathouse.db", "boathouse.db-wal",
            "boathouse.db-shm", "boathouse.db-journal"}  # fmt: skip
"""What a home makes anew, or what is copied by its own means."""
_FIRST = ("spool",)
_ENDS_UNCHANGED = (".parquet", ".pack", ".idx", ".pkl", ".bin", ".lgb")

Told = Callable[[int, int], None]
"""Hears how many of how many bytes are copied."""


@dataclass(frozen=True)
class Backup:
    """One copy: `bytes` is what it holds, `copied` what was new since the copy before; `outside` is what it does not hold."""

    path: str
    made_at: str
    version: str
    format: int
    database: str
    files: int
    bytes: int
    copied: int
    outside: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Backup":
        """Of a folder. Raises NotFound where none is whole."""
        try:
            body = json.loads((folder / MANIFEST).read_text())["backup"]
        except (OSError, ValueError, KeyError) as error:
            raise NotFound(f"{folder} is no whole backup: it has no readable {MANIFEST}") from error
        return cls(**{**body, "path": str(folder), "outside": tuple(body["outside"])})


def backups_in(folder: Path) -> list[Backup]:
    """The whole backups in a folder, oldest first."""
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    return [Backup.read(path) for path in found if not path.name.endswith(".partial")]


def latest(folder: Path) -> Backup:
    """A backup, or the newest one in a folder of them. Raises NotFound."""
    if (folder / MANIFEST).exists():
        return Backup.read(folder)
    if found := backups_in(folder):
        return found[-1]
    raise NotFound(f"{folder} is no backup and holds none; `boathouse backup {folder}` makes one")


def prune(folder: Path, keep: int) -> list[str]:
    """Delete all but the newest `keep` backups in a folder; which. What others link to stays with them."""
    gone = [b.path for b in backups_in(folder)[:-keep]] if keep > 0 else []
    for path in gone:
        (Path(path) / MANIFEST).unlink()  # from now on it is none
        shutil.rmtree(path)
    return gone


def backup(settings: Settings, folder: Path, told: Told = lambda _done, _all: None) -> Backup:
    """A new backup in a folder. Files that the one before has already are linked to it. Raises InvalidInput, Unavailable."""
    home = settings.home
    if not (home / "home.json").exists():
        raise InvalidInput(f"{home} is no home of Boathouse; set BOATHOUSE_HOME or --home")
    if home.resolve() in (folder.resolve(), *folder.resolve().parents):
        raise InvalidInput(f"{folder} lies in the home {home}; a backup belongs elsewhere, best on another disk")
    before = next((Path(b.path) for b in reversed(backups_in(folder))), None)
    now = clock.now()
    made = folder / now.strftime("%Y%m%dT%H%M%S.%fZ")
    partial = made.with_name(made.name + ".partial")
    partial.mkdir(parents=True, mode=0o700)
    try:
        kind = dump(settings.database_url, partial / DATABASE)
        copy = _Copy(home, partial / HOME, before / HOME if before else None, told)
        copy.run()
        for store in embedded_stores(home / "online"):
            copy_embedded(store, partial / HOME / store.relative_to(home))
        sizes = _sizes(partial)
        done = Backup(str(made), now.isoformat(), version("boathouse"), FORMAT, kind, len(sizes), sum(sizes.values()),
                      copy.copied, _outside(settings))  # fmt: skip
        text = json.dumps({"backup": asdict(done), "files": sizes}, indent=1)
        (partial / MANIFEST).write_text(text)
        partial.rename(made)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return done


class _Copy:
    """Copies a home file by file; hard links inside it stay links, unchanged files become links to the backup before."""

    def __init__(self, source: Path, target: Path, before: Path | None, told: Told) -> None:
        self._source, self._target, self._before, self._told = source, target, before, told
        self._links = Links()
        self.copied = 0

    def run(self) -> None:
        files = list(_ordered(self._source))
        whole, done = sum(size for _, size in files), 0
        for path, size in files:
            self._one(path)
            done += size
            self._told(done, whole)

    def _one(self, path: Path) -> None:
        relative = path.relative_to(self._source)
        target = self._target / relative
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if path.is_symlink():
            target.symlink_to(os.readlink(path))
            return
        try:
            facts = path.stat()
            old = self._before / relative if self._before and path.suffix in _ENDS_UNCHANGED else None
            self.copied += self._links.copy(path, target, facts, old if old and _same(old, facts) else None)
        except FileNotFoundError:
            return  # vacuumed, flushed or pruned since it was listed: what came before it knows how to do without


def _same(old: Path, facts: os.stat_result) -> bool:
    try:
        there = old.stat()
    except OSError:
        return False
    return (there.st_size, there.st_mtime_ns) == (facts.st_size, facts.st_mtime_ns)


def _ordered(home: Path) -> Iterator[tuple[Path, int]]:
    """Every file with its size: what waits to be logged, then tables' logs (the pointer before what it points to), then all."""
    first: list[Path] = []
    logs: list[Path] = []
    rest: list[Path] = []
    for top in sorted(home.iterdir()):
        if top.name in _PASSING:
            continue
        for path in [top] if top.is_symlink() or not top.is_dir() else _below(top):
            kind = first if top.name in _FIRST else logs if "_delta_log" in path.parts else rest
            kind.append(path)
    logs.sort(key=lambda path: (path.name != "_last_checkpoint", str(path)))
    for path in (*first, *logs, *rest):
        try:
            yield path, path.lstat().st_size
        except FileNotFoundError:
            continue


def _below(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        links = [name for name in folders if Path(place, name).is_symlink()]
        yield from (Path(place, name) for name in sorted((*names, *links)))


def _sizes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*"))
            if path.is_file() and not path.is_symlink()}  # fmt: skip


def _outside(settings: Settings) -> tuple[str, ...]:
    """Places of tables and models that lie beyond the home: whoever keeps them keeps them by their own means."""
    places = (settings.storage, *settings.storages.values(), settings.artifact_root)
    found = ((place, local_path(place)) for place in places)
    return tuple(dict.fromkeys(place for place, path in found if path is None or settings.home not in path.parents))
