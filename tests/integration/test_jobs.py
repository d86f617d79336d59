"""A tiny project, deployed to dev: its jobs run, fail, are retried, ended and recovered."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_for

from boathouse import settings
from boathouse.client import Http, Lake
from boathouse.clock import parse_instant
from boathouse.errors import (
    Conflict,
    InvalidBundle,
    InvalidInput,
    NotFound,
    NotPermitted,
    RunFailed,
    Unauthenticated,
)
from boathouse.jobs.attempt import marked
from boathouse.platform import Platform

pytestmark = pytest.mark.xdist_group("jobs")  # one process: its server and fixtures are made once

BUNDLE = """
bundle: {name: tiny}
targets:
  dev: {default: true, mode: development, environment: dev}
resources:
  jobs:
    flow:
      parameters: [{name: rows, default: "3"}]
      tasks:
        - task_key: write
          spark_python_task: {python_file: write.py, parameters: ["{{job.parameters.rows}}", "{{job.as_of}}"]}
        - task_key: enough
          depends_on: [{task_key: write}]
          condition_task: {left: "{{tasks.write.values.rows}}", op: GREATER_THAN, right: "2"}
        - task_key: many
          depends_on: [{task_key: enough, outcome: "true"}]
          sql_task:
            query: "SELECT $what AS what, sum(n) AS n FROM raw.numbers WHERE n > $above::int"
            parameters: {what: "a=b of {{job.parameters.rows}}", above: 1}
        - task_key: few
          depends_on: [{task_key: enough, outcome: "false"}]
          spark_python_task: {python_file: write.py}
    broken:
      tasks:
        - {task_key: bad, spark_python_task: {python_file: bad.py}}
        - task_key: after
          depends_on: [{task_key: bad}]
          spark_python_task: {python_file: after.py}
    flaky:
      tasks:
        - {task_key: once, max_retries: 2, spark_python_task: {python_file: flaky.py}}
    slow:
      tasks:
        - {task_key: sleep, spark_python_task: {python_file: slow.py}}
    late:
      timeout_seconds: 3
      tasks:
        - {task_key: sleep, spark_python_task: {python_file: slow.py}}
        - {task_key: brief, timeout_seconds: 1, spark_python_task: {python_file: slow.py}}
"""
FILES = {
    "boathouse.yml": BUNDLE,
    "write.py": """
import os, sys
import boathouse
lake = boathouse.connect()
rows = int(sys.argv[1])
lake.create_table("raw.numbers", {"n": "bigint"}, exists_ok=True).overwrite({"n": list(range(rows))})
value = {"task": lake.run.task, "key": "rows", "value": rows}
lake.call("POST", f"/api/v1/runs/{lake.run.run_id}/results", value)
print("as", lake.principal, "in", lake.environment, "of", sys.argv[2])
print("secrets", [k for k, v in os.environ.items() if lake.http.token in v and not k.startswith("MLFLOW_")])
print("token", lake.http.token)
""",
    "after.py": "print('after')\n",
    "bad.py": "print('looking')\nraise ValueError('no rows today')\n",
    "flaky.py": """
from pathlib import Path
tries = Path("tries")
count = int(tries.read_text()) if tries.exists() else 0
tries.write_text(str(count + 1))
raise SystemExit(0 if count else 7)
""",
    "slow.py": """
import subprocess, time
child = subprocess.Popen(["sleep", "300"])
print("child", child.pid, flush=True)
time.sleep(300)
""",
}
SERVER = """
import sys, time
import boathouse
lake = boathouse.connect(home=sys.argv[1])
lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": sys.argv[2]})
run = lake.jobs.submit("slow")
while "child" not in lake.jobs.log(run, "sleep"):
    time.sleep(0.05)
print(run, flush=True)
time.sleep(300)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    for name, words in FILES.items():
        (folder / name).write_text(words)
    return folder


@pytest.fixture(scope="module")
def dev(lake: Lake, project: Path) -> Lake:
    """The operator's connection to a server where the project is deployed."""
    lake.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})
    return lake


def states(run: Any) -> dict[str, str]:
    return {task["task_key"]: task["state"] for task in run["tasks"]}


def gone(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def child_of(lake: Lake, run_id: str, task: str = "sleep") -> int:
    """What a task started, by the number it has here: behind walls it knows another one."""
    wait_for(lambda: lake.jobs.log(run_id, task))
    return sleep_of(run_id, task)


def sleep_of(run_id: str, task: str = "sleep") -> int:
    return next(pid for pid, folder in marked("/") if f"/{run_id}/{task}@" in folder and is_sleep(pid))


def is_sleep(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep")
    return False


@pytest.fixture(scope="module")
def flow(dev: Lake) -> Any:
    """A run of the job `flow` that succeeded."""
    return dev.jobs.run("flow", {"rows": 4, "as_of": "2013-07-01"})


def test_a_run_does_its_tasks_in_order_and_takes_the_branch_that_holds(dev: Lake, flow: Any) -> None:
    assert flow["state"] == "SUCCESS"
    assert states(flow) == {"write": "SUCCESS", "enough": "SUCCESS", "many": "SUCCESS", "few": "EXCLUDED"}
    assert flow["parameters"] == {"rows": "4", "as_of": "2013-07-01"}
    assert dev.sql("SELECT count(*) AS n FROM raw.numbers").to_dicts() == [{"n": 4}]
    said = dev.jobs.log(flow["id"], "many")
    assert "a=b of 4" in said
    assert "5" in said


def test_a_task_works_as_its_environment_and_its_token_dies_with_the_run(dev: Lake, flow: Any) -> None:
    words = dev.jobs.log(flow["id"], "write")
    assert "as dev-jobs in dev of 2013-07-01" in words
    assert "secrets []" in words
    token = words.rpartition("token ")[2].strip()
    wait_for(lambda: not _answers(dev, token), 5)


def _answers(lake: Lake, token: str) -> bool:
    http = Http(lake.http.url, token)
    try:
        http.call("GET", "/api/v1/whoami")
    except Unauthenticated:
        return False
    finally:
        http.close()
    return True


def test_what_a_run_wrote_names_the_run(dev: Lake, flow: Any) -> None:
    entries = dev.call("GET", "/api/v1/audit?subject=dev.raw.numbers")
    written = [e for e in entries if e["action"] == "overwrite"]
    assert [(e["principal"], e["details"]["run"]) for e in written] == [("dev-jobs", flow["id"])]


def test_values_of_a_run_are_its_own(dev: Lake, flow: Any) -> None:
    with pytest.raises(NotFound, match=r"only run .* itself keeps its values"):
        dev.call("POST", f"/api/v1/runs/{flow['id']}/results", {"task": "write", "key": "rows", "value": 9})


def test_one_task_can_run_alone(dev: Lake, flow: Any) -> None:
    run = dev.jobs.run("flow", task="many")
    assert states(run) == {"many": "SUCCESS"}


def test_a_failing_task_fails_the_run_with_its_last_words_and_can_be_repaired(
    dev: Lake, project: Path
) -> None:
    with pytest.raises(RunFailed, match="FAILED: task bad did not succeed") as failed:
        dev.jobs.run("broken")
    assert "ValueError: no rows today" in str(failed.value)
    assert str(failed.value).count('  File "') == 1  # the traceback begins with the user's code
    (run,) = dev.call("GET", "/api/v1/runs?job=broken")
    run = dev.jobs.get(run["id"])
    assert states(run) == {"bad": "FAILED", "after": "UPSTREAM_FAILED"}
    assert [t["exit_code"] for t in run["tasks"] if t["task_key"] == "bad"] == [1]
    (project / "bad.py").write_text("print('mended')\n")
    dev.call("POST", f"/api/v1/runs/{run['id']}/repair")
    assert states(dev.jobs.wait(run["id"], 60)) == {"bad": "SUCCESS", "after": "SUCCESS"}
    with pytest.raises(Conflict, match="there is nothing to repair"):
        dev.call("POST", f"/api/v1/runs/{run['id']}/repair")


def test_a_task_is_tried_again_as_often_as_it_says(dev: Lake) -> None:
    run = dev.jobs.run("flaky")
    assert [(t["state"], t["attempt"]) for t in run["tasks"]] == [("SUCCESS", 1)]


def test_what_takes_too_long_is_ended_with_the_reason(dev: Lake) -> None:
    run = dev.jobs.wait(dev.jobs.submit("late"), 60)
    assert (run["state"], run["reason"]) == ("FAILED", "timed out after 3 s")
    reasons = {t["task_key"]: t["reason"] for t in run["tasks"]}
    assert reasons == {"sleep": "timed out after 3 s", "brief": "timed out after 1 s"}


def test_a_canceled_run_is_killed_with_all_it_started(dev: Lake) -> None:
    run_id = dev.jobs.submit("slow")
    child = child_of(dev, run_id)
    dev.call("POST", f"/api/v1/runs/{run_id}/cancel")
    run = dev.jobs.wait(run_id, 30)
    assert (run["state"], states(run)) == ("CANCELED", {"sleep": "CANCELED"})
    wait_for(lambda: gone(child))


def test_what_is_not_there_is_refused(dev: Lake) -> None:
    with pytest.raises(NotFound, match=r"dev has no job 'flowe' \(there: broken, flaky, flow, late, slow\)"):
        dev.jobs.submit("flowe")
    with pytest.raises(InvalidInput, match="has no parameter 'rowz'; it has rows"):
        dev.jobs.submit("flow", {"rowz": 1})
    with pytest.raises(InvalidInput, match="has no task 'wrte'"):
        dev.jobs.submit("flow", task="wrte")
    with pytest.raises(NotFound, match="no run has the id 'gone'"):
        dev.jobs.get("gone")


def test_an_environment_that_is_not_there_is_not_found_with_those_that_are(dev: Lake) -> None:
    for method, path in (("GET", "/api/v1/jobs?environment=dve"), ("POST", "/api/v1/jobs/dve/flow/pause")):
        with pytest.raises(NotFound, match="there is no environment or catalog 'dve'; you may see dev, prod, staging"):
            dev.call(method, path)


def test_deployments_and_the_audit_log_come_in_pages_and_times_have_their_zone(dev: Lake, flow: Any) -> None:
    for path, key in (("/api/v1/deployments", "id"), ("/api/v1/audit", "sequence")):
        whole = [row[key] for row in dev.http.call("GET", path, params={"limit": 1000})]
        assert [row[key] for row in dev.http.pages(path, size=2)][-len(whole) :] == whole
        assert whole == sorted(whole, reverse=True)
    assert parse_instant(flow["started_at"]) < datetime.fromisoformat(flow["ended_at"])
    assert datetime.fromisoformat(dev.http.call("GET", "/api/v1/deployments")[0]["deployed_at"]).utcoffset() == timedelta(0)


def test_a_job_can_be_granted_alone(dev: Lake) -> None:
    dev.call("POST", "/api/v1/principals", {"name": "carl"})
    token = dev.call("POST", "/api/v1/tokens", {"principal": "carl"})["token"]
    for kind, name, privilege in (("catalog", "dev", "USE CATALOG"), ("job", "dev.flow", "RUN")):
        body = {"principal": "carl", "privilege": privilege, "kind": kind, "securable": name}
        dev.call("POST", "/api/v1/grants", body)
    with Lake(Http(dev.http.url, token), "dev") as carl:
        with pytest.raises(NotPermitted, match=r"lacks RUN on dev\.broken"):
            carl.jobs.submit("broken")
        with pytest.raises(InvalidInput):
            carl.jobs.submit("flow", task="none of these")
    with pytest.raises(NotFound):
        dev.call("POST", "/api/v1/grants", {**body, "securable": "dev.gone"})


@pytest.mark.parametrize(
    ("wrong", "right", "reason"),
    [
        ("max_retreis: 2", "max_retries: 2", "max_retreis.*max_retries"),
        ("resource:", "resources:", "resource.*resources"),
        ("spark_python_taks:", "spark_python_task:", "spark_python_taks.*spark_python_task"),
        ("python_file: gone.py", "python_file: bad.py", r"gone\.py"),
        ("depends_on: [{task_key: writ}]", "depends_on: [{task_key: write}]", "writ"),
    ],
)
def test_a_bundle_that_is_wrong_is_refused_and_changes_nothing(
    dev: Lake, tmp_path: Path, wrong: str, right: str, reason: str
) -> None:
    assert right in BUNDLE
    for name, words in {**FILES, "boathouse.yml": BUNDLE.replace(right, wrong, 1)}.items():
        (tmp_path / name).write_text(words)
    before = dev.call("GET", "/api/v1/deployments")
    with pytest.raises(InvalidBundle, match=reason):
        dev.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(tmp_path)})
    assert dev.call("GET", "/api/v1/deployments") == before


def test_a_run_outlives_the_death_of_its_server(tmp_path: Path) -> None:
    project, home = tmp_path / "tiny", tmp_path / "home"
    project.mkdir()
    for name, words in FILES.items():
        (project / name).write_text(words)
    command = [sys.executable, "-c", SERVER, str(home), str(project)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as server:
        assert server.stdout is not None
        run_id = server.stdout.readline().strip()
        child = sleep_of(run_id)
        os.kill(server.pid, signal.SIGKILL)
    with Platform(settings.load({}, home=str(home))) as platform:
        platform.take_up()
        time.sleep(0.5)
        run = platform.runs.get(run_id)
        assert (run.state, [t.state for t in run.tasks], gone(child)) == ("RUNNING", ["RUNNING"], False)
        platform.runner.cancel(run_id)
        run = platform.runner.wait(run_id, 30)
        assert (run.state, [(t.state, t.tries) for t in run.tasks]) == ("CANCELED", [("CANCELED", 1)])
        wait_for(lambda: gone(child))
        assert platform.audit.verify() is None
        wait_for(lambda: [e.data["state"] for e in platform.outbox.recent() if e.kind == "run.ended"] == ["CANCELED"])
