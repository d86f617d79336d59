"""A home from a backup, whole or not at all."""

import json
import os
import shutil
import uuid
from pathlib import Path

from boathouse import clock
from boathouse.errors import AlreadyExists, InvalidInput, NewerHome
from boathouse.home import FORMAT, Home
from boathouse.platform.keeping.backup import DATABASE, HOME, MANIFEST, Backup, Told
from boathouse.platform.keeping.dumps import bring_back
from boathouse.platform.keeping.links import Links
from boathouse.settings import Settings, load


def restore(
    given: Backup, home: Path, replace: bool = False, told: Told = lambda _done, _all: None, database_url: str | None = None
) -> Settings:
    """Make a home of a backup, and what its settings are.

    A home that is there is moved aside with `replace`. The files are checked against the backup's list first, and appear in
    the home's place all at once. Raises AlreadyExists, HomeInUse, InvalidInput, NewerHome, Unavailable.
    """
    source = Path(given.path)
    if given.format > FORMAT:
        raise NewerHome(f"{source} is of a newer Boathouse ({given.version}); upgrade with `pip install --upgrade boathouse`")
    files = _checked(source)
    if home.exists() and any(home.iterdir()):
        if not replace:
            raise AlreadyExists(f"{home} is there already; --replace moves it aside, or restore to another place with --home")
        _is_nobodys(home)
    fresh = home.with_name(f".{home.name}.{uuid.uuid4().hex[:8]}")
    try:
        _copy(source / HOME, fresh, sum(files.values()), told)
        bring_back(given.database, source / DATABASE, load(home=str(fresh), database_url=database_url).database_url)
        if home.exists():
            aside = home.with_name(f"{home.name}.before-{clock.now():%Y%m%dT%H%M%SZ}")
            home.rename(aside)
        fresh.rename(home)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return load(home=str(home), database_url=database_url)


def _checked(source: Path) -> dict[str, int]:
    """What a backup says it holds. Raises InvalidInput, naming the file, where one is missing or cut off."""
    files: dict[str, int] = json.loads((source / MANIFEST).read_text())["files"]
    for name, size in files.items():
        try:
            found = (source / name).stat().st_size
        except OSError as error:
            raise InvalidInput(f"the backup {source} is damaged: {name} is missing; take another one") from error
        if found != size:
            raise InvalidInput(f"the backup {source} is damaged: {name} has {found} bytes and had {size}; take another one")
    return files


def _is_nobodys(home: Path) -> None:
    """Raises HomeInUse while a process works on it."""
    lock = Home(load(home=str(home)))
    lock.acquire()
    lock.release()


def _copy(source: Path, target: Path, whole: int, told: Told) -> None:
    done, links = 0, Links()

    def one(path: str, place: str) -> str:
        nonlocal done
        facts = os.stat(path)
        links.copy(Path(path), Path(place), facts)
        done += facts.st_size
        told(done, max(whole, done))
        return place

    shutil.copytree(source, target, symlinks=True, copy_function=one)
    target.chmod(0o700)
