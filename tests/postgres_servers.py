"""A real PostgreSQL server for tests, in a temporary folder; without its programs the tests are skipped."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse.server.serve import free_port


def _program(name: str) -> str:
    found = shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if not found:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


class PostgresServer:
    """A server on a port of its own. It refuses to run as root, which then runs it as another user."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"postgresql+psycopg://boathouse@127.0.0.1:{self.port}/"
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            try:
                self._user["user"] = pwd.getpwnam("postgres").pw_uid
            except KeyError:
                pytest.skip("there is no user `postgres`, and PostgreSQL refuses to run as root")
            os.chown(folder, self._user["user"], -1)
        self._run("initdb", "-A", "trust", "-U", "boathouse", "--no-sync")

    def start(self) -> None:
        """Answer."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self._run("pg_ctl", "-w", "-o", options, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Be gone at once, and every connection with it."""
        self._run("pg_ctl", "-m", "immediate", "stop")

    def new_database(self, name: str) -> str:
        """An empty database; its address."""
        admin = sa.create_engine(f"{self.url}postgres", isolation_level="AUTOCOMMIT")
        with admin.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name}")
        admin.dispose()
        return self.url + name

    def _run(self, program: str, *words: str) -> None:
        silent = subprocess.DEVNULL
        command = [_program(program), "-D", str(self.folder / "data"), *words]
        subprocess.run(command, cwd=self.folder, check=True, stdout=silent, stderr=silent, **self._user)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that answers, one for all tests of a process: whoever stops it starts it again."""
    # not among pytest's folders, which each of its starts closes to other users
    with tempfile.TemporaryDirectory(prefix="boathouse-postgres-", ignore_cleanup_errors=True) as folder:
        made = PostgresServer(Path(folder))
        made.start()
        yield made
        made.stop()


@pytest.fixture
def new_database(postgres: PostgresServer, tmp_path: Path) -> Callable[[], str]:
    """Makes empty databases; their addresses."""
    numbers = iter(range(1_000))
    return lambda: postgres.new_database(f"t{abs(hash(tmp_path))}_{next(numbers)}")
