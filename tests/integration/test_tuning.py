"""A search for parameters that is killed goes on with what it found; its runs tell all of it."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import boathouse
from boathouse.client import Lake
from boathouse.errors import InvalidInput

pytestmark = [pytest.mark.xdist_group("tuning"), pytest.mark.filterwarnings("ignore")]

SEARCH = """
import os, sys, time
import boathouse

lake = boathouse.connect("dev", url=sys.argv[1], token=sys.argv[2])

def objective(trial):
    x = trial.suggest_float("x", -4.0, 4.0)
    kind = trial.suggest_categorical("kind", ["flat", "steep"])
    trial.report(-abs(x), 0)
    with open(sys.argv[3], "a") as file:
        print(trial.number, file=file, flush=True)
    if trial.number == 5 and sys.argv[4] == "die":
        time.sleep(600)
    return -x * x * (1 if kind == "flat" else 2)

found = boathouse.tune(objective, n_trials=9, study="parabola", seed=1)
print(found.run_id, found.resumed, len(found.study.trials))
"""


BUNDLE = """
bundle: {name: tuned}
targets: {dev: {default: true, mode: development, environment: dev}}
resources:
  jobs:
    search:
      tasks:
        - task_key: search
          for_each_task:
            inputs: [a, b, c]
            concurrency: 3
            task:
              {task_key: one, max_retries: 1, spark_python_task: {python_file: search.py, parameters: ["{{input}}", MARK]}}
"""
WORKER = """
import os, pathlib, signal, sys
import boathouse

def objective(trial):
    x = trial.suggest_float("x", -4.0, 4.0)
    if sys.argv[1] == "b" and not (mark := pathlib.Path(sys.argv[2])).exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return -x * x

boathouse.connect()
boathouse.tune(objective, n_trials=9, study="parabola", worker=sys.argv[1])
"""


def children(lake: Lake, run_id: str) -> list[Any]:
    body = {"experiment_ids": ["0"], "filter": f"tags.`mlflow.parentRunId` = '{run_id}'", "max_results": 100}
    found: list[Any] = lake.call("POST", "/api/2.0/mlflow/runs/search", body)["runs"]
    return found


@pytest.mark.long
def test_what_was_finished_before_a_kill_is_not_done_again(lake: Lake, tmp_path: Any) -> None:
    calls = tmp_path / "calls"
    words = [sys.executable, "-W", "ignore", "-c", SEARCH, lake.http.url, str(lake.http.token), str(calls)]
    with subprocess.Popen([*words, "die"]) as first:
        limit = time.monotonic() + 120
        while not (calls.exists() and "5" in calls.read_text().split()):
            assert time.monotonic() < limit
            assert first.poll() is None
            time.sleep(0.1)
        os.kill(first.pid, signal.SIGKILL)
    second = subprocess.run([*words, "live"], capture_output=True, text=True, timeout=300, check=False)
    assert second.returncode == 0, second.stderr
    run_id, resumed, trials = second.stdout.split()[-3:]
    assert (resumed, trials) == ("5", "9")
    assert calls.read_text().split() == ["0", "1", "2", "3", "4", "5", "5", "6", "7", "8"]
    states = [run["info"]["status"] for run in children(lake, run_id)]
    assert (states.count("FINISHED"), states.count("KILLED")) == (9, 1)
    parent = lake.call("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")["run"]
    metrics = {m["key"]: m["value"] for m in parent["data"]["metrics"]}
    values = [m["value"] for run in children(lake, run_id) for m in run["data"].get("metrics", []) if m["key"] == "objective"]
    assert metrics["best_objective"] == max(values)
    files = lake.call("GET", f"/api/2.0/mlflow/artifacts/list?run_id={run_id}")["files"]
    assert [f["path"] for f in files if f["path"] == "history.svg"] == ["history.svg"]


@pytest.mark.long
def test_iterations_of_a_job_search_together_and_one_that_is_killed_goes_on(lake: Lake, tmp_path: Any) -> None:
    (tmp_path / "boathouse.yml").write_text(BUNDLE.replace("MARK", str(tmp_path / "killed")))
    (tmp_path / "search.py").write_text(WORKER)
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    lake.jobs.run("search")
    asked = {"experiment_ids": ["0"], "filter": "tags.`boathouse.study` = 'parabola' and tags.`boathouse.job_run` != 'none'"}
    [study] = lake.call("POST", "/api/2.0/mlflow/runs/search", asked)["runs"]
    assert study["info"]["status"] == "FINISHED"
    trials = children(lake, study["info"]["run_id"])
    states = [run["info"]["status"] for run in trials]
    assert states.count("KILLED") == 1
    assert 9 <= states.count("FINISHED") <= 11
    assert len({t["value"] for run in trials for t in run["data"]["tags"] if t["key"] == "boathouse.trial.worker"}) > 1


def test_trials_run_at_once_log_into_their_own_runs_and_are_pruned(lake: Lake) -> None:
    import mlflow
    import optuna

    def objective(trial: Any) -> float:
        depth = trial.suggest_int("depth", 1, 50)
        mlflow.log_param("twice", 2 * depth)
        trial.report(float(depth), 1)
        if trial.should_prune():
            raise optuna.TrialPruned
        return float(depth)

    pruner = optuna.pruners.ThresholdPruner(lower=10.0)
    found = boathouse.tune(objective, n_trials=12, study="depths", parallel=3, pruner=pruner, seed=3)
    assert found.best_value == found.best_params["depth"] > 10
    runs = children(lake, found.run_id)
    told = [{p["key"]: p["value"] for p in run["data"]["params"]} for run in runs]
    assert len(told) == 12
    assert all(int(one["twice"]) == 2 * int(one["depth"]) for one in told)
    states = [t["value"] for run in runs for t in run["data"]["tags"] if t["key"] == "boathouse.trial.state"]
    assert {"COMPLETE", "PRUNED"} == set(states)
    assert boathouse.tune(objective, n_trials=1, study="depths", seed=4).run_id != found.run_id  # the first came to its end


def test_workers_search_one_study_together_and_the_last_concludes(lake: Lake) -> None:
    def objective(trial: Any) -> float:
        time.sleep(0.05)
        return -abs(trial.suggest_float("x", -1.0, 1.0)) - (trial.suggest_categorical("kind", ["a", "b"]) == "b")

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda name: boathouse.tune(objective, n_trials=10, study="shared", worker=name, seed=5), "ab"))
    assert found[0].run_id == found[1].run_id
    runs = children(lake, found[0].run_id)
    tags = [{t["key"]: t["value"] for t in run["data"]["tags"]} for run in runs]
    assert {tag["boathouse.trial.worker"] for tag in tags} == {"a", "b"}
    assert 10 <= len(runs) <= 11  # both may begin a last one in the same moment
    values = {m["value"] for run in runs for m in run["data"]["metrics"] if m["key"] == "objective"}
    assert len(values) == len(runs)
    parent = lake.call("GET", f"/api/2.0/mlflow/runs/get?run_id={found[0].run_id}")["run"]
    assert parent["info"]["status"] == "FINISHED"
    assert {m["key"]: m["value"] for m in parent["data"]["metrics"]}["best_objective"] == max(values)
    files = lake.call("GET", f"/api/2.0/mlflow/artifacts/list?run_id={found[0].run_id}")["files"]
    assert {"history.svg", "parameters.svg"} <= {f["path"] for f in files}


def test_what_one_worker_finished_before_it_ended_another_goes_on_from(lake: Lake) -> None:
    def dying(trial: Any) -> float:
        if trial.number == 2:
            raise KeyboardInterrupt
        return trial.suggest_float("x", 0.0, 1.0)

    with pytest.raises(KeyboardInterrupt):
        boathouse.tune(dying, n_trials=6, study="killed", worker="a")
    found = boathouse.tune(lambda t: t.suggest_float("x", 0.0, 1.0), n_trials=6, study="killed", worker="b")
    assert (found.resumed, len([t for t in found.study.trials if t.state.name == "COMPLETE"])) == (2, 6)


def test_what_an_objective_raises_ends_the_search_and_the_next_goes_on(lake: Lake) -> None:
    def failing(trial: Any) -> float:
        if trial.number == 2:
            raise ZeroDivisionError("the data are gone")
        return trial.suggest_float("x", 0.0, 1.0)

    with pytest.raises(ZeroDivisionError):
        boathouse.tune(failing, n_trials=5, study="fragile")
    found = boathouse.tune(lambda trial: trial.suggest_float("x", 0.0, 1.0), n_trials=5, study="fragile")
    assert (found.resumed, len(found.study.trials)) == (2, 5)
    with pytest.raises(InvalidInput, match="at least one trial"):
        boathouse.tune(failing, n_trials=0, study="fragile")
