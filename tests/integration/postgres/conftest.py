"""A PostgreSQL server of its own, in a temporary folder; without its programs the tests are skipped."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.server.serve import free_port


def _program(name: str) -> str:
    found = shutil.which(name) or next(iter(sorted(glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if not found:
        pytest.skip(f"PostgreSQL's {name} is not installed")
    return found


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server. It refuses to run as root, which then runs it as another user."""
    folder, port = tmp_path_factory.mktemp("postgres"), free_port()
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        try:
            user["user"] = pwd.getpwnam("postgres").pw_uid
        except KeyError:
            pytest.skip("there is no user `postgres`, and PostgreSQL refuses to run as root")
        os.chown(folder, user["user"], -1)
        for parent in folder.parents:  # pytest keeps them to itself
            if not os.stat(parent).st_mode & 0o001:
                os.chmod(parent, os.stat(parent).st_mode | 0o011)

    def run(program: str, *words: str) -> None:
        silent = subprocess.DEVNULL
        command = [_program(program), "-D", str(folder / "data"), *words]
        subprocess.run(command, cwd=folder, check=True, stdout=silent, stderr=silent, **user)

    run("initdb", "-A", "trust", "-U", "boathouse", "--no-sync")
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    run("pg_ctl", "-w", "-o", options, "-l", str(folder / "log"), "start")
    yield f"postgresql+psycopg://boathouse@127.0.0.1:{port}/"
    run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def database(postgres: str, tmp_path: Path) -> Iterator[Database]:
    """An empty metadata database with every room's tables."""
    name = f"t{abs(hash(tmp_path))}"
    admin = sa.create_engine(f"{postgres}postgres", isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    made = Database(postgres + name)
    made.create_tables()
    yield made
    made.close()
    admin.dispose()
