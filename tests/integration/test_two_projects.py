"""Two repositories in one home: jobs of one name, tables by grant, and neither touches what is the other's."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import boathouse
from boathouse.cli.app import main
from boathouse.client import Lake
from boathouse.errors import Conflict, NotFound

BUNDLE = """
bundle: {{name: {name}}}
targets: {{dev: {{default: true, mode: development, environment: dev}}}}
resources:
  schemas: {{own: {{name: {name}}}}}
  jobs:
    training: {{tasks: [{{task_key: say, spark_python_task: {{python_file: say.py}}}}]}}
    nightly: {{tasks: [{{task_key: go, run_job_task: {{job_name: training}}}}]}}
"""
SAY = """
import boathouse
lake = boathouse.connect()
lake.create_table("{name}.results", {{"of": "string"}}, exists_ok=True).append({{"of": ["{name}"]}})
print("{name} read", lake.table("shop.results").read().count())
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two") / "home"


@pytest.fixture(scope="module")
def lake(home: Path) -> Iterator[Lake]:
    environ = dict(os.environ)
    with boathouse.connect(home=str(home)) as connected:
        for name in ("shop", "bank"):
            folder = home.parent / name
            folder.mkdir()
            (folder / "boathouse.yml").write_text(BUNDLE.format(name=name))
            (folder / "say.py").write_text(SAY.format(name=name))
            git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
            for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
                subprocess.run([*git, *words], check=True)
            deploy(connected, folder)
        yield connected
    os.environ.clear()
    os.environ.update(environ)


def deploy(lake: Lake, folder: Path) -> None:
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})


def rows(lake: Lake, name: str) -> int:
    return lake.table(f"{name}.results").read().count() if lake.table_exists(f"{name}.results") else 0


def test_each_project_runs_its_own_job_of_a_name(lake: Lake) -> None:
    listed = {(job["project"], job["name"]) for job in lake.jobs.deployed()}
    assert {("shop", "training"), ("bank", "bank.training"), ("shop", "nightly"), ("bank", "bank.nightly")} == listed
    with pytest.raises(Conflict, match=r"bank\.training, shop\.training"):
        lake.jobs.run("training")
    before = rows(lake, "shop")
    run = lake.jobs.run("shop.training")
    assert (run["project"], rows(lake, "shop") - before) == ("shop", 1)
    run = lake.jobs.run("bank.nightly")
    assert (run["project"], rows(lake, "shop") - before, rows(lake, "bank")) == ("bank", 1, 1)


def test_the_command_means_the_project_of_its_folder(
    lake: Lake, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BOATHOUSE_URL", lake.http.url)
    monkeypatch.setenv("BOATHOUSE_TOKEN", lake.http.token or "")
    for name in ("shop", "bank"):
        monkeypatch.chdir(home.parent / name)
        before = {each: rows(lake, each) for each in ("shop", "bank")}
        main(["--home", str(home.parent / "nobody's"), "run", "training"])
        assert {each: rows(lake, each) - before[each] for each in before} == {each: int(each == name) for each in before}
        assert f"say | {name} read" in capsys.readouterr().out


def test_deploying_and_destroying_one_leaves_the_other(lake: Lake, home: Path) -> None:
    deploy(lake, home.parent / "bank")
    lake.http.call("DELETE", "/api/v1/deployments/dev/shop")
    assert {job["name"] for job in lake.jobs.deployed()} == {"bank.training", "bank.nightly"}
    deploy(lake, home.parent / "bank")
    assert {job["name"] for job in lake.jobs.deployed()} == {"bank.training", "bank.nightly"}
    assert lake.jobs.run("training")["project"] == "bank"
    with pytest.raises(NotFound):
        lake.jobs.run("shop.training")
    assert rows(lake, "shop") > 0
    deploy(lake, home.parent / "shop")
    assert ("shop", "training") in {(job["project"], job["name"]) for job in lake.jobs.deployed()}
