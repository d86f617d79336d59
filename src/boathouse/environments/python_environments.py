"""Python environments of projects: one virtual environment per lock, built once, used by many, removed when unused."""

import hashlib
import json
import os
import platform
import shutil
import sys
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from packaging.utils import canonicalize_name

from boathouse import clock
from boathouse.environments import uv
from boathouse.environments.python_lock import OURS, Lock, find_lock, holds, without_ours
from boathouse.environments.runtimes import runtime
from boathouse.errors import InvalidInput

FACTS = "boathouse.json"
REQUIREMENTS = "requirements.txt"
"""In an environment's folder: all that was installed, pinned."""
_UNDONE = timedelta(days=1)


@dataclass(frozen=True)
class PythonEnvironment:
    """One environment; times are UTC, `size` is in bytes, of files that no other environment shares with it or not."""

    key: str
    lock: str
    lock_hash: str
    libraries: tuple[str, ...]
    python: str
    built_at: datetime
    used_at: datetime
    size: int


@dataclass(frozen=True)
class Wanted:
    """What a task asks for. `key` names the environment; None means that the server's own holds all of it."""

    lock: Lock | None
    libraries: tuple[str, ...] = ()

    @property
    def key(self) -> str | None:
        """The same lock, libraries, interpreter and server give the same key."""
        if self.lock is None and not self.libraries:
            return None
        if holds(self.lock or Lock(REQUIREMENTS, ""), self.libraries):
            return None
        parts = [asdict(self.lock) if self.lock else None, self.libraries, sys.version, platform.machine(), sys.prefix]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:20]


class PythonEnvironments:
    """The environments below a folder."""

    def __init__(self, folder: Path, wheels_only: bool = False) -> None:
        """With `wheels_only` no package is built from its source, so that building an environment runs nobody's code."""
        self._folder = folder
        self._only = ("--no-build",) if wheels_only else ()

    def wanted(self, project: Path, lock: str | None = None, libraries: Sequence[str] = (), own: bool = True,
               version: str = "") -> Wanted:  # fmt: skip
        """What a project's tasks need: its lock (or the file `lock`), and libraries on top; without `own` these alone.

        Where there is no lock, a runtime of that `version`, if one is named. Raises InvalidInput for a lock that is missing,
        NotFound for a runtime.
        """
        found = find_lock(project, lock) if own or lock else None
        if found is None and version:
            found = Lock(f"runtime {version}", runtime(version).text)
        return Wanted(found, tuple(sorted(libraries)))

    def python(self, wanted: Wanted) -> str:
        """The interpreter of what is wanted, whether it was built or not."""
        return str(self._place(wanted.key) / "bin" / "python") if wanted.key else sys.executable

    def ready(self, wanted: Wanted) -> bool:
        """Whether it can be used at once; marks it as used."""
        if wanted.key is None:
            return True
        with suppress(FileNotFoundError):
            os.utime(self._place(wanted.key) / FACTS)
            return True
        return False

    def lock_file(self, wanted: Wanted) -> Path | None:
        """Where the pinned packages of a built environment are listed."""
        return self._place(wanted.key) / REQUIREMENTS if wanted.key else None

    def request(self, wanted: Wanted, walls: Mapping[str, Any] | None = None) -> Path:
        """Note what is to be built, for a process that builds it, and the `walls` around packages' own code; the note."""
        assert wanted.key
        note = self._folder / "wanted" / f"{wanted.key}.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        fresh = note.with_suffix(f".{os.getpid()}.{id(wanted)}")
        fresh.write_text(json.dumps({**asdict(wanted), "walls": walls}))
        os.replace(fresh, note)
        return note

    def build(self, wanted: Wanted) -> Path:
        """Make what is wanted, unless it is there; one process makes it and others wait. Its folder.

        Raises InvalidInput with the resolver's words, Unavailable without uv.
        """
        assert wanted.key
        place = self._place(wanted.key)
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{place}.lock"):
            if not (place / FACTS).exists():
                fresh = place.with_name(f".{place.name}")
                shutil.rmtree(fresh, ignore_errors=True)
                shutil.rmtree(place, ignore_errors=True)
                try:
                    self._fill(fresh, wanted)
                    os.rename(fresh, place)
                finally:
                    shutil.rmtree(fresh, ignore_errors=True)
        return place

    def admit(self, wanted: Wanted, apart: Path) -> None:
        """Take in what was built in a folder of its own, and how its lock was resolved; nothing there is followed or run."""
        assert wanted.key
        place, built = self._place(wanted.key), apart / wanted.key
        if built.is_symlink() or (built / FACTS).is_symlink() or not (built / FACTS).is_file():
            raise InvalidInput("building it left no environment")
        with FileLock(f"{place}.lock"):
            if not (place / FACTS).exists():
                shutil.rmtree(place, ignore_errors=True)
                os.rename(built, place)
        if wanted.lock and not wanted.lock.complete:
            kept = self._resolution(without_ours(wanted.lock.text), "")
            told = apart / "resolved" / kept.name
            if not kept.exists() and told.is_file() and not told.is_symlink() and not told.parent.is_symlink():
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(told, kept, follow_symlinks=False)

    def all(self) -> list[PythonEnvironment]:
        """Those that are built, the last used first."""
        found = [_read(facts.parent) for facts in self._folder.glob(f"[!.]*/{FACTS}")]
        return sorted((e for e in found if e), key=lambda e: e.used_at, reverse=True)

    def prune(self, unused: timedelta, needed: Collection[str] = ()) -> list[PythonEnvironment]:
        """Remove those that were not used for so long, but for the keys that are `needed`; what was removed."""
        before, removed = clock.now() - unused, []
        for each in self.all():
            if each.used_at <= before and each.key not in needed and self._remove(each.key):
                removed.append(each)
        for left in self._folder.glob(".[0-9a-f]*"):  # of builds that were killed
            if left.is_dir() and _age(left) > _UNDONE:
                shutil.rmtree(left, ignore_errors=True)
        return removed

    def _remove(self, key: str) -> bool:
        place = self._place(key)
        try:
            with FileLock(f"{place}.lock", timeout=0):
                gone = place.with_name(f".{key}")
                shutil.rmtree(gone, ignore_errors=True)
                os.rename(place, gone)  # whole or not at all, for whoever starts in it now
        except (Timeout, OSError):
            return False
        shutil.rmtree(gone, ignore_errors=True)
        return True

    def _fill(self, place: Path, wanted: Wanted) -> None:
        uv.run("venv", "--quiet", "--relocatable", "--no-project", "--python", sys.executable, str(place))
        lists = self._lists(place, wanted)
        hashed = ["--require-hashes"] if all(part.hashed for part in lists) else []
        files = []
        for part in lists:
            files.append(place / part.name)
            files[-1].write_text(part.text)
        uv.run("pip", "sync", "--quiet", "--python", str(place / "bin" / "python"), *hashed,
               *self._only, "--allow-empty-requirements", *map(str, files))  # fmt: skip
        [packages] = place.glob("lib/python*/site-packages")
        (place / REQUIREMENTS).write_text(_frozen(packages))
        _layer(packages)
        lock = wanted.lock or Lock("libraries", "\n".join(wanted.libraries))
        facts = {"lock": lock.name, "lock_hash": lock.hash, "libraries": wanted.libraries, "built_at": clock.now().isoformat(),
                 "size": sum(f.lstat().st_size for f in place.rglob("*") if f.is_file())}  # fmt: skip
        (place / FACTS).write_text(json.dumps(facts))

    def _lists(self, place: Path, wanted: Wanted) -> list[Lock]:
        """Lists of pinned packages, all of which are to be installed."""
        found = []
        if lock := wanted.lock:
            if lock.name.startswith("pylock"):
                found.append(lock)
            elif lock.name == "uv.lock":
                found.append(Lock("lock.txt", without_ours(_exported(place, lock))))
            elif lock.complete:
                found.append(Lock("lock.txt", without_ours(lock.text)))
            else:
                found.append(Lock("lock.txt", lock.addresses + self._resolved(without_ours(lock.text))))
        if wanted.libraries:
            beside = [part.text for part in found if not part.name.startswith("pylock")]
            found.append(Lock("libraries.txt", self._resolved("\n".join(wanted.libraries), "".join(beside))))
        return found

    def _resolved(self, asked: str, beside: str = "") -> str:
        """Requirements with their versions and hashes: as they were resolved the first time.

        Versions that the server has are preferred, since what the project does not name comes from there.
        """
        kept = self._resolution(asked, beside)
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            given, limits, fresh = (kept.with_suffix(f".{os.getpid()}.{word}") for word in ("in", "constraints", "new"))
            try:
                given.write_text(asked)
                limits.write_text(beside)
                fresh.write_text(uv.run("pip", "freeze", "--exclude-editable", "--python", sys.executable))
                uv.run("pip", "compile", "--quiet", "--python", sys.executable, "--generate-hashes", "--no-header",
                       "--no-annotate", "--no-emit-index-url", "--constraints", str(limits), "--output-file", str(fresh),
                       *self._only, str(given))  # fmt: skip
                os.replace(fresh, kept)
            finally:
                for file in (given, limits, fresh):
                    file.unlink(missing_ok=True)
        return kept.read_text()

    def _resolution(self, asked: str, beside: str) -> Path:
        key = hashlib.sha256("\0".join((asked, beside, sys.version)).encode()).hexdigest()[:20]
        return self._folder / "resolved" / f"{key}.txt"

    def _place(self, key: str) -> Path:
        return self._folder / key


def _exported(place: Path, lock: Lock) -> str:
    """A uv.lock as a list with hashes and without addresses."""
    project = place / "project"
    project.mkdir()
    (project / "uv.lock").write_text(lock.text)
    (project / "pyproject.toml").write_text(lock.pyproject)
    return uv.run("export", "--quiet", "--frozen", "--no-dev", "--no-emit-project", "--no-emit-package", OURS,
                  "--no-header", "--no-annotate", "--format", "requirements.txt", cwd=project)  # fmt: skip


def _frozen(packages: Path) -> str:
    """What is installed in a folder, pinned, by its metadata: asking its Python would run what packages have start with it."""
    lines = set()
    for each in distributions(path=[str(packages)]):
        direct = json.loads(each.read_text("direct_url.json") or "{}")
        if vcs := direct.get("vcs_info"):
            lines.add(f"{each.name} @ {vcs['vcs']}+{direct['url']}@{vcs['commit_id']}\n")
        else:
            lines.add(f"{each.name} @ {direct['url']}\n" if direct else f"{canonicalize_name(each.name)}=={each.version}\n")
    return "".join(sorted(lines))


def _layer(packages: Path) -> None:
    """Let the environment see, after its own packages, those of the server: boathouse, and what it needs."""
    below = [p for p in sys.path if Path(p).name in ("site-packages", "dist-packages") and Path(p).is_dir()]
    lines = [f"import site; site.addsitedir({folder!r})" for folder in below]
    if not any(Path(__file__).is_relative_to(folder) for folder in below):  # an editable installation
        lines.append(str(Path(__file__).parents[2]))
    (packages / "zz-boathouse.pth").write_text("\n".join(lines) + "\n")


def _read(place: Path) -> PythonEnvironment | None:
    try:
        facts = json.loads((place / FACTS).read_text())
        used = datetime.fromtimestamp((place / FACTS).stat().st_mtime, UTC)
    except (OSError, ValueError):
        return None
    return PythonEnvironment(
        place.name, facts["lock"], facts["lock_hash"], tuple(facts["libraries"]), str(place / "bin" / "python"),
        clock.parse_instant(facts["built_at"]), used, facts["size"],
    )  # fmt: skip


def _age(path: Path) -> timedelta:
    with suppress(OSError):
        return clock.now() - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return timedelta()
