"""Repositories of two homes on one database are alike, whichever of them was changed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boathouse.database import Database
from boathouse.environments import SharedCode
from boathouse.environments.git import Repository


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[SharedCode]:
    database = Database(f"sqlite:///{tmp_path / 'test.db'}")
    database.create_tables()
    yield SharedCode(database)
    database.close()


@pytest.fixture
def homes(tmp_path: Path) -> tuple[Repository, Repository]:
    return Repository(tmp_path / "a" / "shop.git"), Repository(tmp_path / "b" / "shop.git")


def run(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main")
    return folder


def push(work: Path, to: Repository, branch: str, text: str) -> str:
    (work / "file").write_text(text)
    run(work, "checkout", "-q", "-B", branch)
    run(work, "add", ".")
    run(work, "commit", "-q", "-m", text)
    run(work, "push", "-q", "-f", str(to.path), branch)
    return run(work, "rev-parse", "HEAD")


def test_what_was_pushed_to_one_is_in_the_other(
    shared: SharedCode, homes: tuple[Repository, Repository], work: Path, tmp_path: Path
) -> None:
    here, there = homes
    here.create()
    first = push(work, here, "main", "one")
    shared.settle(here)
    shared.settle(there)
    assert there.branches() == {"main": first}
    assert (there.export(first, tmp_path / "checkout") / "file").read_text() == "one"

    second = push(work, there, "main", "two")
    there.create_branch("release/1", first)
    shared.settle(there)
    shared.settle(here)
    assert here.branches() == {"main": second, "release/1": first}

    run(here.path, "branch", "-D", "release/1")
    shared.settle(here)
    shared.settle(there)
    assert there.branches() == {"main": second}


def test_a_branch_that_was_moved_in_both_stands_where_the_first_to_tell_had_it(
    shared: SharedCode, homes: tuple[Repository, Repository], work: Path
) -> None:
    here, there = homes
    here.create()
    push(work, here, "main", "one")
    shared.settle(here)
    shared.settle(there)
    told, other = push(work, here, "main", "two"), push(work, there, "main", "three")
    mine = push(work, there, "mine", "four")
    shared.settle(here)
    shared.settle(there)
    shared.settle(here)
    assert here.branches() == there.branches() == {"main": told, "mine": mine}
    assert other == run(there.path, "rev-parse", f"{mine}^")


def test_a_change_that_came_to_nothing_is_told_again(
    shared: SharedCode, homes: tuple[Repository, Repository], work: Path
) -> None:
    here, there = homes
    here.create()
    first = push(work, here, "main", "one")
    with shared._database.writing() as connection:
        shared.settle(here)
        connection.rollback()
    shared.settle(there)
    assert not there.path.exists()
    shared.settle(here)
    shared.settle(there)
    assert there.branches() == {"main": first}
