"""Servers, shims and tasks are killed at random moments: each task runs to its end once, or is reported and tried again.

`BOATHOUSE_CRASHES=50` repeats each story so often; the moments are drawn anew each time and told when a story fails.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postgres_servers import PostgresServer
from waiting import wait_for

from boathouse.database import Database
from boathouse.environments import isolation
from boathouse.jobs import Run, Runs
from boathouse.jobs.attempt import marked

pytestmark = [
    pytest.mark.journey,
    pytest.mark.xdist_group("crashes"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart by /proc"),
]
TIMES = int(os.environ.get("BOATHOUSE_CRASHES", "1"))
SERVER = Path(__file__).with_name("jobs_server.py")
AFTER = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": ["d"]}


@dataclass
class Site:
    """A database, folders of attempts, servers that come and go, and a ledger that tasks write."""

    folder: Path
    url: str
    walls: str = "none"
    servers: list["subprocess.Popen[str]"] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.url)
        self.database.create_tables()
        self.runs = Runs(self.database)

    def up(self, name: str = "one", silence: float = 15) -> "subprocess.Popen[str]":
        words = [sys.executable, str(SERVER), self.url, name, str(self.folder / name), str(silence), self.walls]
        made = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self.servers.append(made)
        assert made.stdout is not None
        assert made.stdout.readline() == "up\n"
        return made

    def submit(self, seconds: float = 0.3, retries: int = 0, owner: str = "one") -> str:
        def script(key: str) -> str:
            ledger = self.folder / "ledger"
            return f"echo {key} start >> {ledger}; sleep {seconds}; echo {key} end >> {ledger}"

        tasks = [{"task_key": k, "depends_on": [{"task_key": d} for d in before], "max_retries": retries,
                  "spark_python_task": {"python_file": script(k)}} for k, before in AFTER.items()]  # fmt: skip
        row = {"id": uuid.uuid4().hex[:16], "environment": "dev", "project": "p", "job": "j", "scratch": "", "owner": owner,
               "source": str(self.folder), "definition": {"tasks": tasks}, "parameters": {"as_of": "2013-01-01"},
               "trigger": "manual", "principal": "dev-jobs", "submitted_by": "ada", "concurrency": 1}  # fmt: skip
        return self.runs.add(row, list(AFTER))

    def ledger(self) -> Counter[str]:
        path = self.folder / "ledger"
        return Counter(path.read_text().splitlines() if path.exists() else ())

    def left(self) -> list[int]:
        return [pid for pid, _ in marked(f"{self.folder}/")]

    def processes(self, shims: bool) -> list[int]:
        found = []
        for pid in self.left():
            with contextlib.suppress(OSError):
                if (b"shim.py" in Path(f"/proc/{pid}/cmdline").read_bytes()) == shims:
                    found.append(pid)
        return found

    def ended(self, run_id: str, seconds: float = 60) -> Run:
        wait_for(lambda: self.runs.get(run_id).done, seconds)
        return self.runs.get(run_id)

    def close(self) -> None:
        for server in self.servers:
            kill(server)
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.database.close()


@pytest.fixture(params=range(TIMES))
def chance(request: pytest.FixtureRequest) -> random.Random:
    seed = random.SystemRandom().randrange(1 << 32)
    print("seed", seed)
    return random.Random(seed)


@pytest.fixture(params=["none", pytest.param("bubblewrap", marks=pytest.mark.long)])
def walls(request: pytest.FixtureRequest) -> str:
    """Every story is told twice: with bare processes, and with processes behind walls."""
    if request.param == "bubblewrap" and not isolation("auto").holds:
        pytest.skip(isolation("auto").why)
    return str(request.param)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def site(request: pytest.FixtureRequest, tmp_path: Path, walls: str) -> Iterator[Site]:
    """On either database."""
    url = request.getfixturevalue("new_database")() if request.param == "postgresql" else f"sqlite:///{tmp_path / 'jobs.db'}"
    made = Site(tmp_path, url, walls)
    yield made
    made.close()


def kill(server: "subprocess.Popen[str]") -> None:
    server.kill()
    server.wait()
    assert server.stdout is not None
    server.stdout.close()


ONCE = Counter({f"{key} {what}": 1 for key in AFTER for what in ("start", "end")})


def test_a_server_that_dies_again_and_again_runs_each_task_once(site: Site, chance: random.Random) -> None:
    run_id = site.submit()
    while not site.runs.get(run_id).done:
        server = site.up()
        time.sleep(chance.uniform(0, 1.2))
        kill(server)
    run = site.runs.get(run_id)
    assert (run.state, site.ledger()) == ("SUCCESS", ONCE)
    assert [t.tries for t in run.tasks] == [1] * len(AFTER)
    assert site.left() == []


def test_whatever_is_killed_each_task_ends_once_and_each_try_is_told(site: Site, chance: random.Random) -> None:
    server, run_id = site.up(), site.submit(retries=20)
    for _ in range(6):
        time.sleep(chance.uniform(0, 0.6))
        victim = chance.choice(("server", "shim", "task"))
        if victim == "server":
            kill(server)
            server = site.up()
        elif found := site.processes(shims=victim == "shim"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
    run = site.ended(run_id)
    ledger = site.ledger()
    assert run.state == "SUCCESS", [(t.task_key, t.state, t.reason) for t in run.tasks]
    for task in run.tasks:
        assert ledger[f"{task.task_key} end"] >= 1
        assert 1 <= ledger[f"{task.task_key} start"] <= (task.tries or 0), (task, ledger)
    assert site.left() == []


def test_a_task_whose_shim_is_killed_is_lost_and_leaves_no_orphan(site: Site) -> None:
    site.up()
    run_id = site.submit(seconds=300)
    wait_for(lambda: site.ledger()["a start"])
    os.kill(site.processes(shims=True)[0], signal.SIGKILL)
    run = site.ended(run_id)
    states = {t.task_key: t.state for t in run.tasks}
    assert (run.state, run.reason) == ("LOST", "task a was lost: its process was killed from outside and left no outcome")
    assert states == {"a": "LOST", **dict.fromkeys("bcde", "UPSTREAM_FAILED")}
    wait_for(lambda: site.left() == [])


def test_a_shim_that_dies_with_its_server_is_found_out_by_the_next(site: Site) -> None:
    server, run_id = site.up(), site.submit(seconds=300)
    wait_for(lambda: site.ledger()["a start"])
    kill(server)
    os.kill(site.processes(shims=True)[0], signal.SIGKILL)
    site.up()
    assert site.ended(run_id).state == "LOST"
    wait_for(lambda: site.left() == [])


def test_processes_that_no_run_waits_for_are_ended_at_the_start(site: Site) -> None:
    server, run_id = site.up(), site.submit(seconds=300)
    wait_for(lambda: site.ledger()["a start"])
    kill(server)
    site.runs.update(run_id, state="CANCELED", told=True)
    site.up()
    wait_for(lambda: site.left() == [])


@pytest.mark.long
def test_when_one_of_two_servers_dies_the_other_goes_on_with_its_runs(site: Site, chance: random.Random) -> None:
    first, _ = site.up("one", 3), site.up("two", 3)  # both before the run: on a busy machine it would be over by then
    run_id = site.submit(seconds=0.8)
    wait_for(lambda: site.ledger()["a start"])
    time.sleep(chance.uniform(0, 1.5))
    kill(first)
    run = site.ended(run_id)
    assert (run.state, run.owner, site.ledger()) == ("SUCCESS", "two", ONCE)


@pytest.mark.long
def test_a_server_that_slept_too_long_leaves_its_runs_to_the_other(site: Site) -> None:
    first, run_id = site.up("one", 3), site.submit(seconds=1.0)
    wait_for(lambda: site.ledger()["a start"])
    first.send_signal(signal.SIGSTOP)
    site.up("two", 3)
    wait_for(lambda: site.runs.get(run_id).owner == "two")
    first.send_signal(signal.SIGCONT)
    assert site.ended(run_id).state == "SUCCESS"
    assert site.ledger() == ONCE


@pytest.mark.long
def test_a_database_that_goes_away_for_a_while_delays_a_run_and_loses_nothing(
    postgres: PostgresServer, new_database: Callable[[], str], tmp_path: Path, chance: random.Random
) -> None:
    site = Site(tmp_path, new_database())
    try:
        site.up()
        run_id = site.submit(seconds=1.5)
        wait_for(lambda: site.ledger()["a start"])
        time.sleep(chance.uniform(0, 4))
        postgres.stop()
        time.sleep(3)
        postgres.start()
        site.database.engine.dispose()
        run = site.ended(run_id)
        assert (run.state, site.ledger(), [t.tries for t in run.tasks]) == ("SUCCESS", ONCE, [1] * len(AFTER))
    finally:
        site.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True, check=False)
    if made.returncode:
        pytest.skip("only who may mount a small disk can fill it")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.long
def test_a_full_disk_delays_a_run_and_loses_nothing(small_disk: Path, walls: str) -> None:
    site = Site(small_disk, f"sqlite:///{small_disk / 'jobs.db'}", walls)
    try:
        site.up()
        run_id = site.submit(seconds=1.5)
        wait_for(lambda: site.ledger()["a start"])
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"x" * 4096)
        time.sleep(3)
        assert not site.runs.get(run_id).done
        (small_disk / "ballast").unlink()
        assert site.ended(run_id).state == "SUCCESS"
        assert {k: n for k, n in site.ledger().items() if "start" in k} == {f"{k} start": 1 for k in AFTER}
    finally:
        site.close()
