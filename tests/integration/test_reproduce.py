"""A model is made again from its record: the same, or different for a reason. Its data is kept while it is in use."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Lake

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("reproduce")]

BUNDLE = """
bundle: {name: again}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    training:
      parameters: [{name: noise, default: "0"}]
      tasks: [{task_key: fit, spark_python_task: {python_file: train.py, parameters: ["{{job.parameters.noise}}"]}}]
"""
TRAIN = """
import os, random, sys
import boathouse, mlflow, numpy as np
import mlflow.sklearn
from sklearn.linear_model import LinearRegression

lake = boathouse.connect()
rows = lake.sql("select x, y from raw.points order by x").to_pandas()
noise = np.random.rand() + random.random()  # seeded by the task, else it could not be made again
if sys.argv[1] == "1":
    noise += int.from_bytes(os.urandom(4), "big") / 2**32
with mlflow.start_run():
    model = LinearRegression().fit(rows[["x"]], rows["y"] * SLOPE + noise)
    mlflow.log_param("rows", len(rows))
    mlflow.log_metrics({"intercept": float(model.intercept_), "fit_seconds": float(np.random.rand())})
    mlflow.sklearn.log_model(model, name="model", registered_model_name="lab.line", pip_requirements=["scikit-learn"])
"""


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *words], cwd=folder, check=True)


@pytest.fixture(scope="module")
def project(lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 1 (by chance that is seeded) and 2 (by chance that is not), of code with uncommitted changes."""
    folder = tmp_path_factory.mktemp("again")
    (folder / "boathouse.yml").write_text(BUNDLE)
    (folder / "train.py").write_text("SLOPE = 3.0\n" + TRAIN)
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "-m", "Start")
    (folder / "train.py").write_text("SLOPE = 2.0\n" + TRAIN)
    lake.create_table("raw.points", {"x": [1.0, 2.0, 3.0], "y": [1.0, 2.1, 2.9]})
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})
    lake.jobs.run("training")
    lake.table("raw.points").append({"x": [9.0], "y": [-9.0]})
    lake.jobs.run("training", {"noise": "1"})
    (folder / "train.py").write_text("raise SystemExit('another code by now')\n")
    return folder


def tags(lake: Lake, version: int) -> dict[str, str]:
    run_id = lake.models.version("lab.line", str(version))["run_id"]
    found = lake.http.call("GET", "/api/2.0/mlflow/runs/get", params={"run_id": run_id})["run"]["data"]["tags"]
    return {t["key"]: t["value"] for t in found}


def test_every_run_of_a_job_has_its_record(lake: Lake, project: Path) -> None:
    found = tags(lake, 1)
    assert json.loads(found["boathouse.tables"]) == {"dev.raw.points": 1}
    assert json.loads(found["boathouse.hardware"])["cpus"] > 0
    assert found["boathouse.git_dirty"] == "true"
    assert found["boathouse.task"] == "fit"
    assert int(found["boathouse.seed"]) != int(tags(lake, 2)["boathouse.seed"])


def test_a_model_is_made_again_bit_by_bit_and_nothing_is_left(
    lake: Lake, project: Path, command: Callable[..., tuple[int, str]]
) -> None:
    code, said = command("models", "reproduce", "lab.line/1")
    assert code == 0, said
    assert "bit-equal" in said
    assert [t.name for t in lake.tables() if ".system." not in t.name] == ["dev.raw.points"]
    assert [m["name"] for m in lake.models.all()] == ["dev.lab.line"]
    assert len(lake.models.get("lab.line")["versions"]) == 2


def test_a_copy_is_made_again_where_it_was_trained(lake: Lake, project: Path, command: Callable[..., tuple[int, str]]) -> None:
    lake.models.copy("lab.line", "1", "staging")
    code, said = command("models", "reproduce", "staging.lab.line/1", "--json")
    report = json.loads(said)
    assert (code, report["verdict"]) == (0, "bit-equal"), said
    assert (report["model"], report["version"]) == ("dev.lab.line", 1)
    assert report["copy"] == {"model": "staging.lab.line", "version": 1}
    lake.models.delete("staging.lab.line")


def test_what_is_trained_by_chance_is_different_and_the_cause_is_shown(
    lake: Lake, project: Path, command: Callable[..., tuple[int, str]]
) -> None:
    code, said = command("models", "reproduce", "lab.line", "2", "--json")
    report = json.loads(said)
    assert (code, report["verdict"], report["trainings"]) == (1, "different", 2)
    assert "not deterministic: two reruns of the same code on the same data differ in intercept" in report["cause"]


def test_a_model_in_use_keeps_its_data_until_it_leaves(lake: Lake, project: Path) -> None:
    def needed() -> list[str | None]:
        lake.await_idle()
        commits = lake.call("GET", "/api/v1/tables/dev.raw.points/history")
        return [c["needed_by"] for c in sorted(commits, key=lambda c: c["version"])]

    move = {"name": "dev.lab.line", "version": "1", "archive_existing_versions": False}
    lake.call("POST", "/api/2.0/mlflow/model-versions/transition-stage", {**move, "stage": "Staging"})
    assert needed() == [None, "model dev.lab.line version 1", None]
    assert lake.call("POST", "/api/2.0/mlflow/model-versions/transition-stage", {**move, "stage": "Production"})
    assert needed()[1] == "model dev.lab.line version 1"
    lake.call("POST", "/api/2.0/mlflow/model-versions/transition-stage", {**move, "stage": "Archived"})
    assert needed() == [None, None, None]


def test_data_that_is_gone_is_the_cause(lake: Lake, project: Path) -> None:
    lake.drop_table("raw.points", force=True)
    report: dict[str, Any] = lake.models.reproduce("lab.line", "1")
    assert report["verdict"] == "different"
    assert report["cause"].startswith("data vacuumed: dev.raw.points version 1 cannot be read any more")
