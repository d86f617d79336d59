"""What running a task as part of a job costs, and whether that stays so with many queued and many in history.

    python benchmarks/jobs.py [--queued 1000] [--history 100000]

One server's rows, shims and threads over SQLite, with tasks that are `/bin/true`, so that what is measured is ours. Printed:
milliseconds from the time that a schedule names to its task's first act, and from submitting a run to that and to the run's
end, each with the ratio to a bare subprocess, without walls and, where bubblewrap works, behind them; seconds for so many
queued tasks of one job, eight at once, with the ratio to as many bare subprocesses; milliseconds for a page of 50 runs with
so many in history, first and deep, whole and of one job, with the ratio to a history of a hundred; and the processor time of
a server that has nothing to do, as a share of one processor.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from boathouse import clock
from boathouse.database import Database
from boathouse.environments import Sandbox, isolation
from boathouse.jobs import Hooks, Ports, Runner, RunRequest, Runs, Startable, Starts, Submit, TaskIdentity, task_process
from boathouse.jobs.store import runs as table

SLOTS = 8
TASK = {"task_key": "t", "spark_python_task": {"python_file": "true"}}


def refuse(*_: object) -> str:
    raise NotImplementedError


WALLS: list[Sandbox | None] = [None]
"""What stands around the tasks that are started next."""


def opened(folder: Path) -> tuple[Database, Runner]:
    """A server of jobs alone."""
    task_process.command = lambda _kind, body, _python: ["/bin/sh", "-c", body["python_file"]]  # type: ignore[assignment]
    database = Database(f"sqlite:///{folder / 'jobs.db'}")
    database.create_tables()
    hooks = Hooks(lambda run, _t: TaskIdentity("", "t", run.environment, {}), lambda _r: None, refuse, lambda _r: None,
                  sandbox=lambda _run, _task: WALLS[0])  # fmt: skip
    runner = Runner(database, "here", folder / "runs", hooks, SLOTS)
    runner.recover()
    return database, runner


def request(script: str, folder: Path, concurrent: int = 1, job: str = "j") -> RunRequest:
    """A run of one task."""
    definition = {"max_concurrent_runs": concurrent, "tasks": [{**TASK, "spark_python_task": {"python_file": script}}]}
    return RunRequest("dev", "p", job, definition, str(folder), "dev-jobs", "ada")


def median(times: list[float]) -> float:
    """Milliseconds."""
    return statistics.median(times) * 1000


def one_by_one(runner: Runner, folder: Path, times: int = 40) -> None:
    """From submit to the task's first act and to the run's end, against a bare subprocess."""
    mark = folder / "mark"
    script = f"date +%s.%N > {mark}"
    bare, first, whole = [], [], []
    for _ in range(times):
        start = time.perf_counter()
        subprocess.run(["/bin/sh", "-c", script], check=True)
        bare.append(time.perf_counter() - start)
        start, wall = time.perf_counter(), time.time()
        run = runner.wait(runner.submit(request(script, folder)))
        whole.append(time.perf_counter() - start)
        first.append(float(mark.read_text()) - wall)
        assert run.state == "SUCCESS"
    print(f"bare subprocess          {median(bare):8.1f} ms")
    for what, found in (("submit to first act", first), ("submit to the run's end", whole)):
        ratio, more = median(found) / median(bare), median(found) - median(bare)
        print(f"{what:<24} {median(found):8.1f} ms   {ratio:.1f} x   +{more:.0f} ms")


def on_time(database: Database, runner: Runner, folder: Path, minutes: int = 2) -> None:
    """From the time that a schedule names to the task's first act."""
    marks = folder / "marks"
    wanted = request(f"date +%s.%N >> {marks}", folder, job="due")
    job = Startable("dev", "p", "due", {"schedule": {"cron": "* * * * *"}})
    submit: Submit = lambda _job, _parameters, _trigger, key: runner.submit(replace(wanted, start_key=key))  # noqa: E731
    starts = Starts(database, runner.runs, runner.queue, ports([job], submit))
    starts.start()
    time.sleep(60 * minutes + 2)
    starts.stop()
    late = [f"{float(mark) % 60 * 1000:.0f}" for mark in marks.read_text().split()]
    print(f"due to first act         {' and '.join(late):>8} ms")


def ports(jobs: list[Startable], submit: Submit) -> Ports:
    """The surroundings of jobs that the clock alone starts."""
    return Ports(lambda: jobs, submit, lambda _e, _p: ("", 0), lambda _p, _b: None, lambda _p, _c: None)


def queued(runner: Runner, folder: Path, count: int) -> None:
    """Many runs at once."""
    start = time.perf_counter()
    with ThreadPoolExecutor(SLOTS) as pool:
        list(pool.map(lambda _: subprocess.run(["/bin/sh", "-c", "true"], check=True), range(count)))
    bare = time.perf_counter() - start
    start = time.perf_counter()
    made = [runner.submit(request("true", folder, SLOTS)) for _ in range(count)]
    submitted = time.perf_counter() - start
    ended = [runner.wait(run_id) for run_id in made]
    took = time.perf_counter() - start
    assert all(run.state == "SUCCESS" and run.tasks[0].tries == 1 for run in ended)
    print(f"{count:,} queued tasks: {took:.1f} s ({submitted:.1f} s to submit), {took / count * 1000:.1f} ms each; "
          f"bare {bare:.1f} s, {took / bare:.1f} x")  # fmt: skip


def history(database: Database, runs: Runs, folder: Path, count: int) -> None:
    """Pages of a long history."""
    few = pages(runs)
    began = clock.now() - timedelta(days=400)
    row = {"environment": "dev", "project": "p", "scratch": "", "dirty": False, "source": str(folder), "trigger": "schedule",
           "definition": {"tasks": [TASK] * 3}, "parameters": {"as_of": "2013-01-01"}, "principal": "dev-jobs",
           "submitted_by": "dev-jobs", "state": "SUCCESS"}  # fmt: skip
    with database.writing() as connection:
        for start in range(0, count, 10_000):
            connection.execute(table.insert(), [
                {**row, "id": f"h{n}", "job": f"job{n % 20}", "submitted_at": began + timedelta(seconds=n),
                 "started_at": began + timedelta(seconds=n), "ended_at": began + timedelta(seconds=n + 9)}
                for n in range(start, start + 10_000)
            ])  # fmt: skip
    many = pages(runs)
    for what, found in many.items():
        print(f"{count:,} in history, {what:<22} {found:7.2f} ms   {found / few[what]:.1f} x")


def pages(runs: Runs) -> dict[str, float]:
    """Milliseconds for a page of 50."""
    last = runs.newest(limit=500)[-1].id
    middle = "h50000" if runs.newest(job="job3", limit=1) else last
    return {
        "the first page": timed(runs.newest),
        "a page far behind": timed(lambda: runs.newest(after=middle)),
        "of one environment": timed(lambda: runs.newest("dev")),
        "of one job": timed(lambda: runs.newest("dev", "job3" if middle != last else "j")),
        "the failed ones": timed(lambda: runs.newest(state="FAILED")),
    }


def timed(work: Callable[[], object]) -> float:
    """Milliseconds, the median of 20."""
    found = []
    for _ in range(20):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)


def idle(database: Database, runner: Runner, seconds: float = 15) -> None:
    """Nothing to do, with fifty jobs that wait for their time."""
    jobs = [Startable("dev", "p", f"j{n}", {"schedule": {"cron": "0 3 * * *"}}) for n in range(50)]

    starts = Starts(database, runner.runs, runner.queue, ports(jobs, refuse))
    starts.start()
    time.sleep(3)
    before, start = time.process_time(), time.perf_counter()
    time.sleep(seconds)
    share = (time.process_time() - before) / (time.perf_counter() - start)
    starts.stop()
    print(f"idle, 50 schedules: {share:.2%} of a processor")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--queued", type=int, default=1_000)
    parser.add_argument("--history", type=int, default=100_000)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        database, runner = opened(folder)
        one_by_one(runner, folder)
        walls = isolation("auto")
        print(f"behind walls: {walls.why}")
        if walls.program:
            WALLS[0] = Sandbox(walls.program, writable=(str(folder),), cwd="/tmp")
            one_by_one(runner, folder)
            WALLS[0] = None
        on_time(database, runner, folder)
        idle(database, runner)
        queued(runner, folder, asked.queued)
        history(database, runner.runs, folder, asked.history)
        runner.stop()
        database.close()


if __name__ == "__main__":
    main()
