"""The metadata database as a file, and back: SQLite by its own backup, PostgreSQL by its own programs."""

import shutil
import sqlite3
import subprocess
from pathlib import Path

from sqlalchemy.engine import make_url

from boathouse.errors import InvalidInput, Unavailable

SQLITE, POSTGRESQL = "sqlite", "postgresql"


def dump(url: str, target: Path) -> str:
    """Write all of a database into a file while others work on it; its kind. Raises InvalidInput, Unavailable."""
    if make_url(url).get_backend_name() == SQLITE:
        with sqlite3.connect(f"file:{_file(url)}?mode=ro", uri=True) as source, sqlite3.connect(target) as copy:
            source.backup(copy)
        source.close()
        copy.close()
        return SQLITE
    _run("pg_dump", "--format=custom", "--no-owner", f"--file={target}", _address(url))
    return POSTGRESQL


def bring_back(kind: str, source: Path, url: str) -> None:
    """Make a database from such a file; it must be empty. Raises InvalidInput, Unavailable."""
    if make_url(url).get_backend_name() != kind:
        raise InvalidInput(f"the backup's database is {kind}: give BOATHOUSE_DATABASE_URL of that kind, and "
                           "`boathouse migrate` moves it elsewhere afterwards")  # fmt: skip
    if kind == SQLITE:
        place = _file(url)
        if place.exists():
            raise InvalidInput(f"{place} is there already; move it away first")
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copyfile(source, place)
        return
    _run("pg_restore", "--no-owner", "--exit-on-error", "--single-transaction", f"--dbname={_address(url)}", str(source))


def _file(url: str) -> Path:
    return Path(str(make_url(url).database))


def _address(url: str) -> str:
    return make_url(url).set(drivername=POSTGRESQL).render_as_string(hide_password=False)


def _run(program: str, *words: str) -> None:
    if not shutil.which(program):
        raise InvalidInput(f"{program} is not installed: a PostgreSQL database is copied by PostgreSQL's client programs "
                           "(Debian: postgresql-client)")  # fmt: skip
    done = subprocess.run([program, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable(f"{program} failed: {' '.join(done.stderr.split())[-500:]}")
