"""Two servers of one home on PostgreSQL: they share the queue, one leads, and the other goes on when that one is killed."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import boathouse
from boathouse.client import Lake
from boathouse.database import Database
from boathouse.server.serve import free_port

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("restored_environment")]
BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true}}
resources:
  jobs:
    nap:
      parameters: [{name: seconds, default: "1"}]
      max_concurrent_runs: 20
      tasks:
        - task_key: nap
          spark_python_task: {python_file: nap.py, parameters: ["{{job.run_id}}", "{{job.parameters.seconds}}"]}
    due:
      schedule: {quartz_cron_expression: "0 0 3 1 1 ?"}
      tasks: [{task_key: nap, spark_python_task: {python_file: nap.py, parameters: ["{{job.run_id}}", "0"]}}]
"""
NAP = """
import sys, time
def note(word):
    with open("ledger", "a") as ledger:
        ledger.write(f"{sys.argv[1]} {word}\\n")
note("start")
time.sleep(float(sys.argv[2]))
note("end")
"""


@dataclass
class Servers:
    """Servers of one home, by their numbers, and what their database and their tasks tell."""

    home: Path
    project: Path
    database: Database
    processes: dict[int, "subprocess.Popen[str]"] = field(default_factory=dict)
    lakes: dict[int, Lake] = field(default_factory=dict)

    def up(self, number: int) -> Lake:
        port, program = free_port(), Path(sys.executable).with_name("boathouse")
        environ = {**os.environ, "BOATHOUSE_DATABASE_URL": self.database.url, "BOATHOUSE_PARALLEL_TASKS": "3"}
        words = [str(program), "--home", str(self.home), "up", "--join", "--port", str(port)]
        self.processes[number] = made = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environ)
        assert made.stdout
        assert made.stdout.readline().startswith("Boathouse is at")
        token = (self.home / "secrets" / "operator.token").read_text()
        self.lakes[number] = lake = Lake(boathouse.client.Http(f"http://127.0.0.1:{port}", token), "dev")
        return lake

    def kill(self, number: int) -> None:
        process = self.processes.pop(number)
        if lake := self.lakes.pop(number, None):
            lake.close()
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()

    def start(self, number: int, job: str = "nap", **parameters: object) -> str:
        body = {"parameters": {k: str(v) for k, v in parameters.items()}}
        return str(self.lakes[number].call("POST", f"/api/v1/jobs/dev/{job}/runs", body)["run_id"])

    def rows(self, query: str) -> list[Any]:
        with self.database.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def make_due(self) -> None:
        """As if the time of the schedule had come a moment ago."""
        with self.database.writing() as connection:
            connection.execute(sa.text("UPDATE bh_job_starts SET next_due = now() - interval '1 second'"))

    def ledger(self) -> Counter[str]:
        path = self.project / "ledger"
        return Counter(path.read_text().splitlines() if path.exists() else ())


@pytest.fixture
def servers(new_database: Callable[[], str], tmp_path: Path) -> Iterator[Servers]:
    made = Servers(tmp_path / "home", tmp_path / "shop", Database(new_database()))
    made.project.mkdir()
    (made.project / "boathouse.yml").write_text(BUNDLE)
    (made.project / "nap.py").write_text(NAP)
    try:
        made.up(1)
        made.up(2)
        made.lakes[1].call("POST", "/api/v1/deployments", {"target": "dev", "path": str(made.project)})
        yield made
    finally:
        for number in list(made.processes):
            made.kill(number)
        made.database.close()


def wait_for(holds: Callable[[], Any], seconds: float = 60) -> Any:
    limit = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.1)
    return found


def test_two_servers_share_the_queue_and_the_one_that_is_left_goes_on(servers: Servers) -> None:
    runs = [servers.start(1, seconds=3) for _ in range(8)]
    wait_for(lambda: all(state == "SUCCESS" for (state,) in servers.rows("SELECT state FROM bh_runs")))
    assert len(servers.rows("SELECT DISTINCT owner FROM bh_runs")) == 2
    assert servers.ledger() == Counter(f"{run} {word}" for run in runs for word in ("start", "end"))
    assert all(servers.lakes[2].jobs.log(run, "nap") == "" for run in runs)  # wherever it ran

    wait_for(lambda: servers.rows("SELECT 1 FROM bh_job_starts"))
    servers.make_due()
    wait_for(lambda: servers.rows("SELECT 1 FROM bh_runs WHERE job = 'due' AND state = 'SUCCESS'"))
    time.sleep(3)
    assert servers.rows("SELECT count(*) FROM bh_runs WHERE job = 'due'") == [(1,)]

    canceled = servers.start(1, seconds=300)
    wait_for(lambda: servers.ledger()[f"{canceled} start"])
    servers.lakes[2].call("POST", f"/api/v1/runs/{canceled}/cancel")
    assert servers.lakes[2].jobs.wait(canceled, 30)["state"] == "CANCELED"

    going = [servers.start(1, seconds=20) for _ in range(2)]
    wait_for(lambda: all(servers.ledger()[f"{run} start"] for run in going))
    servers.kill(1)
    states = [servers.lakes[2].jobs.wait(run, 120)["state"] for run in going]
    assert (states, {servers.ledger()[f"{run} {w}"] for run in going for w in ("start", "end")}) == (["SUCCESS"] * 2, {1})
    assert f'"pid": {servers.processes[2].pid}' in (servers.home / "server.json").read_text()
    servers.make_due()
    wait_for(lambda: servers.rows("SELECT count(*) FROM bh_runs WHERE job = 'due' AND state = 'SUCCESS'") == [(2,)])

    again = servers.up(1)
    assert again.jobs.log(going[0], "nap") == ""
    assert servers.lakes[1].jobs.wait(servers.start(2, seconds=0), 60)["state"] == "SUCCESS"
