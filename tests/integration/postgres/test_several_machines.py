"""Servers on several machines: PostgreSQL and an object store are shared, no folder and no process is.

A machine is a home of its own that no other sees, and a namespace of processes that dies as a whole.
"""

import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from object_stores import ObjectStore
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
      max_concurrent_runs: 20
      parameters: [{name: until, default: ""}]
      tasks:
        - task_key: nap
          max_retries: 1
          spark_python_task: {python_file: nap.py, parameters: ["{{job.run_id}}", "{{job.parameters.until}}"]}
"""
NAP = """
import os, sys, time
from pathlib import Path
import boathouse
run, until = sys.argv[1:]
ledger = Path({ledger!r})
def note(word):
    with ledger.open("a") as out:
        out.write(f"{{run}} {{word}}\\n")
note("start")
print("said by", run, flush=True)
limit = time.monotonic() + 240
while until and not Path(until).exists() and time.monotonic() < limit:
    time.sleep(0.2)
try:
    boathouse.connect().call("GET", "/api/v1/whoami")
except boathouse.errors.Unauthenticated:
    note("refused")
    raise
note("end")
"""
NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
ALONE = 'mount -t tmpfs hidden "$0" && "$@" & exec sleep 3600'
"""A machine's first process. The other one's home is out of its sight."""


@dataclass
class Machines(ServerProcesses):
    """Machines by their names."""

    folder: Path = field(kw_only=True)
    settings: dict[str, str] = field(kw_only=True)

    def up(self, name: str) -> Lake:
        (other,) = {"one", "two"} - {name}
        (self.folder / other).mkdir(exist_ok=True)
        alone = (*NAMESPACES, "sh", "-c", ALONE, str(self.folder / other))
        return self.start_server(name, self.folder / name, under=alone, settings=self.settings)

    def refused(self, name: str, **other: str) -> str:
        words, environ = self.command(self.folder / name, **{**self.settings, **other})
        done = subprocess.run(words, capture_output=True, text=True, env=environ, timeout=120, check=False)
        assert done.returncode
        return done.stderr

    def end_server(self, name: str) -> None:
        """The server alone; what it started lives on. `kill` ends the machine with all that it started."""
        (machine,) = children(self.processes[name].pid)
        os.kill(children(machine)[0], signal.SIGKILL)
        self.lakes.pop(name).close()

    def tried_again(self) -> set[str]:
        return {run for (run,) in self.rows("SELECT run_id FROM bh_task_runs WHERE attempt = 1")}

    def home_of(self, run: str) -> str:
        """The machine that runs a run."""
        owner = self.rows(f"SELECT owner FROM bh_runs WHERE id = '{run}'")[0][0]
        return next(n for n in ("one", "two") if (self.folder / n / "executor").read_text() == owner)


@pytest.fixture
def machines(new_database: Callable[[], str], seaweed: ObjectStore, tmp_path: Path) -> Iterator[Machines]:
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip("only who may make namespaces can make machines of them")
    bucket = seaweed.bucket()
    settings = {**seaweed.environ, "BOATHOUSE_STORAGE": f"s3://{bucket}/lake", "BOATHOUSE_ARTIFACTS": f"s3://{bucket}/models",
                "BOATHOUSE_ONLINE_STORE": "redis://127.0.0.1:9", "BOATHOUSE_PARALLEL_TASKS": "2",
                "BOATHOUSE_ISOLATION": "none"}  # tasks write a file that the test reads  # fmt: skip
    made = Machines(Database(new_database()), tmp_path / "ledger", folder=tmp_path, settings=settings)
    try:
        yield made
    finally:
        made.close()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_machines_that_share_no_folder_share_the_work_and_one_takes_over_from_the_other(machines: Machines) -> None:
    project, go = machines.folder / "shop", machines.folder / "go"
    project.mkdir()
    (project / "boathouse.yml").write_text(BUNDLE)
    (project / "nap.py").write_text(NAP.format(ledger=str(machines.folder / "ledger")))
    for words in ("init -q -b main", "add .", "commit -qm one"):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words.split()], cwd=project, check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=project, check=True, capture_output=True, text=True).stdout.strip()

    first = machines.up("one")
    assert "secrets/endpoints.key" in machines.refused("two")
    shutil.copytree(machines.folder / "one" / "secrets", machines.folder / "two" / "secrets", dirs_exist_ok=True)
    assert "Redis" in machines.refused("two", BOATHOUSE_ONLINE_STORE="embedded")
    second = machines.up("two")

    first.call("POST", "/api/v1/deployments", {"target": "dev", "path": str(project)})
    second.call("POST", "/api/v1/deployments", {"target": "dev", "project": "shop", "ref": commit})
    shutil.rmtree(project)  # from now on the code comes from the servers

    runs = [machines.run("one") for _ in range(6)]
    wait_for(lambda: all(state == "SUCCESS" for (state,) in machines.rows("SELECT state FROM bh_runs")), 240)
    assert len(machines.rows("SELECT DISTINCT owner FROM bh_runs")) == 2
    assert machines.ledger() == Counter(f"{run} {word}" for run in runs for word in ("start", "end"))
    for lake in (first, second):
        assert [lake.jobs.log(run, "nap") for run in runs] == [f"said by {run}\n" for run in runs]

    going = [machines.run("two", until=str(go)) for _ in range(4)]
    wait_for(lambda: all(machines.ledger()[f"{run} start"] for run in going), 90)
    there = [run for run in going if machines.home_of(run) == "one"]
    assert 0 < len(there) < 4
    machines.kill("one")
    wait_for(lambda: machines.tried_again() == set(there), 90)
    go.touch()
    assert [second.jobs.wait(run, 120)["state"] for run in going] == ["SUCCESS"] * 4
    assert {run for run in going if machines.ledger()[f"{run} start"] == 2} == set(there)
    assert {machines.ledger()[f"{run} end"] for run in going} == {1}
    assert machines.rows("SELECT url FROM bh_executors WHERE leads") == [(second.http.url,)]
    assert [second.jobs.log(run, "nap") for run in runs] == [f"said by {run}\n" for run in runs]  # the machine of some is gone
    machines.up("one")
    assert [second.jobs.log(run, "nap") for run in runs] == [f"said by {run}\n" for run in runs]

    go.unlink()
    going = [machines.run("two", until=str(go)) for _ in range(4)]
    wait_for(lambda: all(machines.ledger()[f"{run} start"] for run in going), 90)
    there = [run for run in going if machines.home_of(run) == "one"]
    machines.end_server("one")
    wait_for(lambda: machines.tried_again() >= set(there), 90)
    go.touch()  # the first try lives still, and may do nothing more
    assert [second.jobs.wait(run, 120)["state"] for run in going] == ["SUCCESS"] * 4
    wait_for(lambda: all(machines.ledger()[f"{run} refused"] for run in there), 90)
    assert {machines.ledger()[f"{run} end"] for run in going} == {1}
