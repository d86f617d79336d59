"""Tasks on a Ray cluster: the same code, identity, log and outcome as here."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_clusters import Ray, ray_cluster  # noqa: F401

from boathouse.client import Lake
from boathouse.client.http import Http
from boathouse.jobs.attempt import marked

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("ray")]
BUNDLE = """
bundle: {name: remote}
targets: {dev: {default: true, environment: dev}}
resources:
  compute:
    ray: {cpus: 1, ray: {address: "ADDRESS", token: "{{secrets/ray/token}}"}}
  jobs:
    work:
      parameters: [{name: word, default: plain}]
      tasks:
        - task_key: first
          compute: ray
          environment_vars: {HIDDEN: "{{secrets/ray/word}}"}
          spark_python_task: {python_file: jobs/work.py, parameters: ["{{job.parameters.word}}"]}
        - task_key: second
          depends_on: [{task_key: first}]
          spark_python_task: {python_file: jobs/read.py, parameters: ["{{tasks.first.values.rows}}"]}
    broken:
      tasks: [{task_key: fail, compute: ray, max_retries: 1, spark_python_task: {python_file: jobs/broken.py}}]
    long:
      tasks: [{task_key: wait, compute: ray, spark_python_task: {python_file: jobs/wait.py}}]
    late:
      tasks: [{task_key: wait, compute: ray, timeout_seconds: 25, spark_python_task: {python_file: jobs/wait.py}}]
    killed:
      tasks: [{task_key: die, compute: ray, spark_python_task: {python_file: jobs/die.py}}]
"""
UP = "import sys; from boathouse.cli.app import main; main(sys.argv[1:])"
FILES = {
    "jobs/work.py": """
import os, sys
import pandas as pd
import ray
import words
import boathouse
lake = boathouse.connect()
print("said", sys.argv[1], words.OWN, os.environ["HIDDEN"], lake.run.task, lake.environment)
ray.init()
print("workers say", ray.get([ray.remote(lambda n: n * n).remote(n) for n in range(3)]))
lake.create_table("remote.rows", pd.DataFrame({"x": [1, 2, 3]}))
dbutils.jobs.taskValues.set("rows", lake.sql("select count(*) n from remote.rows").to_arrow()["n"][0].as_py())
""",
    "words.py": "OWN = 'imported'\n",
    "jobs/read.py": "import sys\nprint('rows', sys.argv[1])\n",
    "jobs/broken.py": "import sys\nprint('no', flush=True)\nsys.exit(7)\n",
    "jobs/wait.py": "import time\nfor n in range(600):\n    print('tick', n, flush=True)\n    time.sleep(0.5)\n",
    "jobs/die.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
}


@pytest.fixture(scope="module")
def dev(lake: Lake, ray_cluster: Ray, tmp_path_factory: pytest.TempPathFactory) -> Lake:  # noqa: F811
    deploy(lake, ray_cluster, tmp_path_factory.mktemp("remote"))
    return lake


def deploy(lake: Lake, cluster: Ray, folder: Path) -> None:
    for name, text in {**FILES, "boathouse.yml": BUNDLE.replace("ADDRESS", cluster.address)}.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text(text)
    lake.secrets.put("ray/token", cluster.token)
    lake.secrets.put("ray/word", "abracadabra")
    grant = {"principal": "dev-jobs", "privilege": "READ SECRET", "kind": "secret_scope", "securable": "dev.ray"}
    lake.call("POST", "/api/v1/grants", grant)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(folder)})


@contextlib.contextmanager
def server(home: Path) -> Iterator[tuple[Lake, subprocess.Popen[str]]]:
    words = [sys.executable, "-c", UP, "--home", str(home), "up", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as up:
        assert up.stdout is not None
        url = next(line for line in up.stdout if "Boathouse is at" in line).split()[3]
        lake = Lake(Http(url, (home / "secrets" / "operator.token").read_text().strip()), "dev")
        yield lake, up
        up.terminate()
        lake.close()


def until(true: Callable[[], Any], seconds: float = 120) -> Any:
    limit = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < limit
        time.sleep(0.2)
    return found


def ticks(lake: Lake, run: str) -> list[str]:
    return [line for line in lake.jobs.log(run, "wait").splitlines() if line.startswith("tick")]


def test_a_task_works_there_as_it_does_here_and_the_dashboard_shows_no_token(dev: Lake, ray_cluster: Ray) -> None:  # noqa: F811
    run = dev.jobs.run("work", {"word": "given"})
    log = dev.jobs.log(run["id"], "first")
    assert "said given imported [REDACTED] first dev\n" in log
    assert "workers say [0, 1, 4]" in log
    assert "rows 3" in dev.jobs.log(run["id"], "second")
    [(name, job)] = ray_cluster.jobs(run["id"]).items()
    assert name == f"{run['id']}-first-1"
    assert job["metadata"] == {"environment": "dev", "project": "remote", "job": "work", "run": run["id"], "task": "first"}
    assert "abracadabra" not in json.dumps(job)
    assert set(job["runtime_env"]) == {"working_dir", "py_modules"}


def test_how_it_ended_there_is_how_it_ended_and_it_is_tried_again(dev: Lake, ray_cluster: Ray) -> None:  # noqa: F811
    run = dev.jobs.wait(dev.jobs.submit("broken"))
    assert (run["state"], run["tasks"][0]["exit_code"], run["tasks"][0]["reason"]) == ("FAILED", 7, "exit code 7")
    assert sorted(ray_cluster.jobs(run["id"])) == [f"{run['id']}-fail-1", f"{run['id']}-fail-2"]
    run = dev.jobs.wait(dev.jobs.submit("killed"))
    assert run["tasks"][0]["reason"] == "killed by SIGKILL"


def test_its_words_come_while_it_runs_and_cancel_stops_it_there(dev: Lake, ray_cluster: Ray) -> None:  # noqa: F811
    run = dev.jobs.submit("long")
    until(lambda: len(ticks(dev, run)) > 3)
    assert dev.jobs.get(run)["state"] == "RUNNING"
    dev.call("POST", f"/api/v1/runs/{run}/cancel")
    assert dev.jobs.wait(run, 60)["state"] == "CANCELED"
    assert [job["status"] for job in ray_cluster.jobs(run).values()] == ["STOPPED"]


def test_its_time_is_limited(dev: Lake, ray_cluster: Ray) -> None:  # noqa: F811
    run = dev.jobs.wait(dev.jobs.submit("late"))
    assert run["tasks"][0]["reason"] == "timed out after 25 s"
    assert [job["status"] for job in ray_cluster.jobs(run["id"]).values()] == ["STOPPED"]


def test_whoever_followed_it_is_killed_and_it_goes_on_once(dev: Lake, ray_cluster: Ray) -> None:  # noqa: F811
    run = dev.jobs.submit("long")
    until(lambda: len(ticks(dev, run)) > 3)
    for pid in [pid for pid, folder in marked("/") if f"/{run}/" in folder]:
        os.kill(pid, signal.SIGKILL)
    seen = len(ticks(dev, run))
    until(lambda: len(ticks(dev, run)) > seen + 4)
    assert ticks(dev, run) == [f"tick {n}" for n in range(len(ticks(dev, run)))]
    assert list(ray_cluster.jobs(run)) == [f"{run}-wait-1"]
    dev.call("POST", f"/api/v1/runs/{run}/cancel")
    assert dev.jobs.wait(run, 60)["state"] == "CANCELED"
    assert [job["status"] for job in ray_cluster.jobs(run).values()] == ["STOPPED"]



def test_a_server_that_was_killed_takes_it_up_again(ray_cluster: Ray, tmp_path: Path) -> None:  # noqa: F811
    with server(tmp_path / "home") as (lake, up):
        deploy(lake, ray_cluster, tmp_path / "code")
        run = lake.jobs.submit("long")
        until(lambda: len(ticks(lake, run)) > 3)
        up.kill()
    for pid in [pid for pid, folder in marked("/") if f"/{run}/" in folder]:
        os.kill(pid, signal.SIGKILL)
    with server(tmp_path / "home") as (lake, _):
        seen = len(ticks(lake, run))
        until(lambda: len(ticks(lake, run)) > seen + 4)
        assert ticks(lake, run) == [f"tick {n}" for n in range(len(ticks(lake, run)))]
        lake.call("POST", f"/api/v1/runs/{run}/cancel")
        assert lake.jobs.wait(run, 60)["state"] == "CANCELED"
    assert [(name, job["status"]) for name, job in ray_cluster.jobs(run).items()] == [(f"{run}-wait-1", "STOPPED")]
