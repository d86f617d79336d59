"""A home's metadata moves to PostgreSQL and back, and is backed up from there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
import pytest

import boathouse

pytestmark = pytest.mark.usefixtures("restored_environment")


@pytest.fixture
def empty(new_database: Callable[[], str]) -> list[str]:
    """Addresses of databases without a table."""
    return [new_database(), new_database()]


def made(home: Path, *words: str) -> Any:
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("BOATHOUSE_", "MLFLOW_"))}
    done = subprocess.run([str(Path(sys.executable).with_name("boathouse")), "--home", str(home), *words, "--json"], env=environ,
                          capture_output=True, text=True, timeout=180, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def work(home: Path, number: int) -> tuple[list[int], list[str], bool]:
    """Write, and say what is there: rows, notes of runs, and whether the audit log is whole."""
    with boathouse.connect(home=str(home)) as lake:
        lake.create_table("raw.events", {"n": "bigint"}, exists_ok=True).append({"n": [number]})
        with mlflow.start_run():
            mlflow.set_tag("note", str(number))
        notes = sorted(mlflow.search_runs(search_all_experiments=True)["tags.note"])
        rows = sorted(lake.table("raw.events").read().to_arrow().to_pydict()["n"])
        return rows, notes, lake.call("GET", "/api/v1/audit/verify")["whole"]


@pytest.mark.long
def test_metadata_moves_to_postgres_and_a_backup_of_it_comes_back(tmp_path: Path, empty: list[str]) -> None:
    home = tmp_path / "home"
    assert work(home, 1) == ([1], ["1"], True)
    moved = made(home, "migrate", "--database-url", empty[0])
    assert moved[-1]["rows"] > 50
    (home / "boathouse.db").rename(tmp_path / "old.db")
    assert work(home, 2) == ([1, 2], ["1", "2"], True)
    if not shutil.which("pg_dump"):
        pytest.skip("pg_dump is not installed: a PostgreSQL database cannot be backed up")
    made(home, "backup", str(tmp_path / "kept"))
    assert work(home, 3) == ([1, 2, 3], ["1", "2", "3"], True)
    made(tmp_path / "back", "restore", str(tmp_path / "kept"), "--database-url", empty[1])
    assert work(tmp_path / "back", 4) == ([1, 2, 4], ["1", "2", "4"], True)
    with pytest.raises(AssertionError, match="holds rows already"):
        made(tmp_path / "back", "migrate", "--database-url", empty[0])
