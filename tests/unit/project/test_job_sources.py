"""What a job is made of, and that a release which changes it, and no other, is noticed."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.jobs import Startable
from boathouse.platform import Platform
from boathouse.platform.starting import Surroundings
from boathouse.project import changed, made_of, parse_resource

TRAIN = {"tasks": [
    {"task_key": "train", "spark_python_task": {"python_file": "./jobs/train.py"}},
    {"task_key": "check", "depends_on": [{"task_key": "train"}], "notebook_task": {"notebook_path": "notebooks/check.ipynb"}},
    {"task_key": "count", "sql_task": {"file": {"path": "sql/count.sql"}}},
]}  # fmt: skip
NOTEBOOK = {"cells": [{"cell_type": "code", "source": ["%matplotlib inline\n", "from src_only import tool\n"]},
                      {"cell_type": "markdown", "source": ["import nothing"]}]}  # fmt: skip
FILES = {
    "boathouse.yml": "bundle: {name: p}",
    "jobs/train.py": "import sys\nfrom shop.model import fit\nimport helper\n",
    "jobs/helper.py": "",
    "jobs/score.py": "from shop import scoring\n",
    "shop/__init__.py": "",
    "shop/model.py": "def fit():\n    from . import lookups\n    from .deep.inner import x\n",
    "shop/lookups.py": "",
    "shop/deep/inner.py": "x = 1\n",
    "shop/scoring.py": "",
    "src/src_only.py": "tool = 1\n",
    "notebooks/check.ipynb": json.dumps(NOTEBOOK),
    "sql/count.sql": "select 1",
    "uv.lock": "version = 1\n",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_a_job_is_made_of_its_files_what_they_import_and_its_lock(tmp_path: Path) -> None:
    assert {*made_of(write(tmp_path, FILES), TRAIN)} == {
        "jobs/train.py", "jobs/helper.py", "shop/__init__.py", "shop/model.py", "shop/lookups.py", "shop/deep/inner.py",
        "notebooks/check.ipynb", "src/src_only.py", "sql/count.sql", "the lock", "libraries",
    }  # fmt: skip


@pytest.mark.parametrize(("file", "told"), [
    ("shop/deep/inner.py", ["shop/deep/inner.py"]), ("uv.lock", ["the lock"]), ("jobs/score.py", []), ("boathouse.yml", []),
])  # fmt: skip
def test_what_changed_is_named(tmp_path: Path, file: str, told: list[str]) -> None:
    before = made_of(write(tmp_path, FILES), TRAIN)
    (tmp_path / file).write_text("y = 2\n")
    assert changed(before, made_of(tmp_path, TRAIN)) == told


def test_paths_choose_files_instead(tmp_path: Path) -> None:
    assert {*made_of(write(tmp_path, FILES), TRAIN, ["shop/**/*.py", "*.lock"])} == {
        "shop/__init__.py", "shop/model.py", "shop/lookups.py", "shop/deep/inner.py", "shop/scoring.py", "uv.lock",
    }  # fmt: skip
    job = {"tasks": [{"task_key": "t", "sql_task": {"query": "select 1"}}], "trigger": {"release": {"paths": ["../*"]}}}
    with pytest.raises(InvalidInput, match="leads out of the project"):
        parse_resource("job", job)


@pytest.fixture
def committed(tmp_path: Path) -> Callable[[dict[str, str]], str]:
    folder = tmp_path / "p"

    def commit(files: dict[str, str]) -> str:
        write(folder, files)
        for words in ("init -q --initial-branch=main", "add --all", "-c user.name=A -c user.email=a@b commit -qm More"):
            subprocess.run(["git", *words.split()], cwd=folder, check=True)
        return subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    return commit


def test_a_release_is_compared_with_what_the_job_ran_last(
    platform: Platform, tmp_path: Path, committed: Callable[[dict[str, str]], str]
) -> None:
    first, other, mine = committed(FILES), committed({"jobs/score.py": "1"}), committed({"shop/model.py": "2"})
    platform.projects.ensure(Identity("ann"), "p")
    platform.projects.repository("p").create().fetch(str(tmp_path / "p"))
    at = platform
    around = Surroundings(at.deployments, at.projects, at.volumes, at.identities, at.code, at.runs)
    job = {**TRAIN, "trigger": {"release": True}}

    def asked(commit: str) -> bool:
        return around.changed(Startable("prod", "p", "train", job, commit))

    assert asked(first)
    platform.runs.add({"id": "r1", "environment": "prod", "project": "p", "job": "train", "source": "", "definition": job,
                       "parameters": {}, "trigger": "release 1.0", "principal": "prod-jobs", "submitted_by": "prod-jobs",
                       "commit_id": first}, ["train"])  # fmt: skip
    assert [asked(commit) for commit in (first, other, mine)] == [False, False, True]
