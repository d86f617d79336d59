"""Servers on several machines: PostgreSQL and an object store are shared, no folder and no process is.

A machine is a home of its own that no other sees, and a namespace of processes that dies as a whole.
"""

import os
import shutil
import signal
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
from object_stores import ObjectStore

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
class Machines:
    """Machines by their names, and what their database and their tasks tell."""

    folder: Path
    url: str
    environ: dict[str, str]
    database: Database
    processes: dict[str, "subprocess.Popen[str]"] = field(default_factory=dict)
    lakes: dict[str, Lake] = field(default_factory=dict)

    def words(self, name: str, port: int) -> tuple[list[str], dict[str, str]]:
        program = Path(sys.executable).with_name("boathouse")
        environ = {**os.environ, **self.environ, "BOATHOUSE_DATABASE_URL": self.url, "BOATHOUSE_PARALLEL_TASKS": "2",
                   "BOATHOUSE_ADDRESS": f"http://127.0.0.1:{port}"}  # fmt: skip
        return [str(program), "--home", str(self.folder / name), "up", "--join", "--port", str(port)], environ

    def up(self, name: str) -> Lake:
        port = free_port()
        words, environ = self.words(name, port)
        (other,) = {"one", "two"} - {name}
        (self.folder / other).mkdir(exist_ok=True)
        alone = (*NAMESPACES, "sh", "-c", ALONE, str(self.folder / other))
        self.processes[name] = made = subprocess.Popen([*alone, *words], stdout=subprocess.PIPE, text=True, env=environ)
        assert made.stdout
        assert made.stdout.readline().startswith("Boathouse is at")
        token = (self.folder / name / "secrets" / "operator.token").read_text()
        self.lakes[name] = lake = Lake(boathouse.client.Http(f"http://127.0.0.1:{port}", token), "dev")
        return lake

    def refused(self, name: str, **other: str) -> str:
        words, environ = self.words(name, free_port())
        environ |= other
        done = subprocess.run(words, capture_output=True, text=True, env=environ, timeout=120, check=False)
        assert done.returncode
        return done.stderr

    def die(self, name: str) -> None:
        """The server and all that it started, at once."""
        process = self.processes.pop(name)
        if lake := self.lakes.pop(name, None):
            lake.close()
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()

    def end_server(self, name: str) -> None:
        """The server alone; what it started lives on."""
        (machine,) = children(self.processes[name].pid)
        os.kill(children(machine)[0], signal.SIGKILL)
        self.lakes.pop(name).close()

    def start(self, name: str, **parameters: str) -> str:
        return str(self.lakes[name].call("POST", "/api/v1/jobs/dev/nap/runs", {"parameters": parameters})["run_id"])

    def rows(self, query: str) -> list[Any]:
        with self.database.reading() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]

    def ledger(self) -> Counter[str]:
        path = self.folder / "ledger"
        return Counter(path.read_text().splitlines() if path.exists() else ())

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
    bucket, url = seaweed.bucket(), new_database()
    environ = {**seaweed.environ, "BOATHOUSE_STORAGE": f"s3://{bucket}/lake", "BOATHOUSE_ARTIFACTS": f"s3://{bucket}/models",
               "BOATHOUSE_ONLINE_STORE": "redis://127.0.0.1:9",
               "BOATHOUSE_ISOLATION": "none"}  # tasks write a file that the test reads  # fmt: skip
    made = Machines(tmp_path, url, environ, Database(url))
    try:
        yield made
    finally:
        for name in list(made.processes):
            made.die(name)
        made.database.close()


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(holds: Callable[[], Any], seconds: float = 90) -> Any:
    limit = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < limit, "it never came true"
        time.sleep(0.1)
    return found


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

    runs = [machines.start("one") for _ in range(6)]
    wait_for(lambda: all(state == "SUCCESS" for (state,) in machines.rows("SELECT state FROM bh_runs")), 240)
    assert len(machines.rows("SELECT DISTINCT owner FROM bh_runs")) == 2
    assert machines.ledger() == Counter(f"{run} {word}" for run in runs for word in ("start", "end"))
    for lake in (first, second):
        assert [lake.jobs.log(run, "nap") for run in runs] == [f"said by {run}\n" for run in runs]

    going = [machines.start("two", until=str(go)) for _ in range(4)]
    wait_for(lambda: all(machines.ledger()[f"{run} start"] for run in going))
    there = [run for run in going if machines.home_of(run) == "one"]
    assert 0 < len(there) < 4
    machines.die("one")
    wait_for(lambda: machines.tried_again() == set(there))
    go.touch()
    assert [second.jobs.wait(run, 120)["state"] for run in going] == ["SUCCESS"] * 4
    assert {run for run in going if machines.ledger()[f"{run} start"] == 2} == set(there)
    assert {machines.ledger()[f"{run} end"] for run in going} == {1}
    assert machines.rows("SELECT url FROM bh_executors WHERE leads") == [(second.http.url,)]
    with pytest.raises(boathouse.errors.Unavailable, match="no server answers"):
        [second.jobs.log(run, "nap") for run in runs]
    machines.up("one")
    assert [second.jobs.log(run, "nap") for run in runs] == [f"said by {run}\n" for run in runs]

    go.unlink()
    going = [machines.start("two", until=str(go)) for _ in range(4)]
    wait_for(lambda: all(machines.ledger()[f"{run} start"] for run in going))
    there = [run for run in going if machines.home_of(run) == "one"]
    machines.end_server("one")
    wait_for(lambda: machines.tried_again() >= set(there))
    go.touch()  # the first try lives still, and may do nothing more
    assert [second.jobs.wait(run, 120)["state"] for run in going] == ["SUCCESS"] * 4
    wait_for(lambda: all(machines.ledger()[f"{run} refused"] for run in there))
    assert {machines.ledger()[f"{run} end"] for run in going} == {1}
