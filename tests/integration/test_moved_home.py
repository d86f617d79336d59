"""A home that was moved works where it is now."""

import subprocess
from pathlib import Path

import pytest

import boathouse
from boathouse.environments import push

pytestmark = pytest.mark.usefixtures("restored_environment")

BUNDLE = """
bundle: {name: tiny}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    count: {tasks: [{task_key: say, spark_python_task: {python_file: where.py}}]}
"""


WHERE = """
import os
import boathouse
print(os.getcwd(), boathouse.connect().table("raw.events").read().count())
"""


def committed(folder: Path) -> Path:
    folder.mkdir()
    (folder / "boathouse.yml").write_text(BUNDLE)
    (folder / "where.py").write_text(WHERE)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    return folder


def test_tables_and_released_code_are_found_after_a_move(tmp_path: Path) -> None:
    with boathouse.connect(home=str(tmp_path / "one")) as lake:
        lake.create_table("raw.events", {"id": "bigint"}).append({"id": [1, 2]})
        repository = lake.call("PUT", "/api/v1/projects/tiny")["repository"]
        push(committed(tmp_path / "code"), Path(repository), "main")
        lake.call("POST", "/api/v1/deployments", {"target": "dev", "project": "tiny", "ref": "main"})
    (tmp_path / "one").rename(tmp_path / "two")
    with boathouse.connect(home=str(tmp_path / "two")) as lake:
        assert lake.table("raw.events").info.location == (tmp_path / "two/lake/dev/raw/events").as_uri()
        run = lake.jobs.run("count")
        where, rows = lake.jobs.log(run["id"], "say").split()
    assert (where.startswith(str(tmp_path / "two/checkouts/tiny")), rows) == (True, "2")
