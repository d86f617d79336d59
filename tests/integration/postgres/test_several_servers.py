"""Two servers of one home on PostgreSQL: they share the queue, one leads, and the other goes on when that one is killed."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy as sa
from server_processes import ServerProcesses
from waiting import wait_for

from boathouse.client import Lake
from boathouse.database import Database

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
if float(sys.argv[2]) == 20:  # the server that began it is gone by now
    from boathouse import dbutils
    dbutils.jobs.taskValues.set("told", "another server")
note("end")
"""


@dataclass
class Servers(ServerProcesses):
    """Servers of one home."""

    home: Path = field(kw_only=True)

    def up(self, name: str) -> Lake:
        return self.start_server(name, self.home, settings={"BOATHOUSE_PARALLEL_TASKS": "3"})

    def make_due(self) -> None:
        """As if the time of the schedule had come a moment ago."""
        with self.database.writing() as connection:
            connection.execute(sa.text("UPDATE bh_job_starts SET next_due = now() - interval '1 second'"))


@pytest.fixture
def servers(new_database: Callable[[], str], tmp_path: Path) -> Iterator[Servers]:
    project = tmp_path / "shop"
    project.mkdir()
    (project / "boathouse.yml").write_text(BUNDLE)
    (project / "nap.py").write_text(NAP)
    made = Servers(Database(new_database()), project / "ledger", home=tmp_path / "home")
    try:
        made.up("one")
        made.up("two")
        made.lakes["one"].call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})
        yield made
    finally:
        made.close()


def test_two_servers_share_the_queue_and_the_one_that_is_left_goes_on(servers: Servers) -> None:
    runs = [servers.run("one", seconds="3") for _ in range(8)]
    wait_for(lambda: all(state == "SUCCESS" for (state,) in servers.rows("SELECT state FROM bh_runs")))
    assert len(servers.rows("SELECT DISTINCT owner FROM bh_runs")) == 2
    assert servers.ledger() == Counter(f"{run} {word}" for run in runs for word in ("start", "end"))
    assert all(servers.lakes["two"].jobs.log(run, "nap") == "" for run in runs)  # wherever it ran

    wait_for(lambda: servers.rows("SELECT 1 FROM bh_job_starts"))
    servers.make_due()
    wait_for(lambda: servers.rows("SELECT 1 FROM bh_runs WHERE job = 'due' AND state = 'SUCCESS'"))
    time.sleep(3)
    assert servers.rows("SELECT count(*) FROM bh_runs WHERE job = 'due'") == [(1,)]

    canceled = servers.run("one", seconds="300")
    wait_for(lambda: servers.ledger()[f"{canceled} start"])
    servers.lakes["two"].call("POST", f"/api/v1/runs/{canceled}/cancel")
    assert servers.lakes["two"].jobs.wait(canceled, 30)["state"] == "CANCELED"

    going = [servers.run("one", seconds="20") for _ in range(2)]
    wait_for(lambda: all(servers.ledger()[f"{run} start"] for run in going))
    servers.kill("one")
    ended = [servers.lakes["two"].jobs.wait(run, 120) for run in going]
    states = [run["state"] for run in ended]
    assert [(task["results"], task["attempt"]) for run in ended for task in run["tasks"]] == [({"told": "another server"}, 0)] * 2
    assert (states, {servers.ledger()[f"{run} {w}"] for run in going for w in ("start", "end")}) == (["SUCCESS"] * 2, {1})
    assert f'"pid": {servers.processes["two"].pid}' in (servers.home / "server.json").read_text()
    servers.make_due()
    wait_for(lambda: servers.rows("SELECT count(*) FROM bh_runs WHERE job = 'due' AND state = 'SUCCESS'") == [(2,)])

    again = servers.up("one")
    assert again.jobs.log(going[0], "nap") == ""
    assert servers.lakes["one"].jobs.wait(servers.run("two", seconds="0"), 60)["state"] == "SUCCESS"
