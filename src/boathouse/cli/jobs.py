"""Jobs and runs."""

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.output import JSON, facts, pairs, say, show
from boathouse.cli.session import connected, options, project_file, project_here
from boathouse.clock import parse_instant
from boathouse.errors import RunFailed

if TYPE_CHECKING:
    from boathouse.client import Connection

runs = typer.Typer(help="Runs of jobs: state, logs, cancel, repair.", no_args_is_help=True)
jobs = typer.Typer(help="Deployed jobs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(run)
    app.add_typer(runs, name="runs")
    app.add_typer(jobs, name="jobs")


def run(
    job: str,
    target: str = typer.Option("", "-t", "--target", help="environment; in dev the working tree is deployed first"),
    param: list[str] = typer.Option([], "--param", "-p", help="NAME=VALUE"),
    task: str = typer.Option("", "--task", help="one task only"),
    detach: bool = typer.Option(False, "--detach", help="do not wait for the end"),
    sync: bool = typer.Option(False, "--sync", help="in dev, run the working tree as a commit of your workspace, as is done by "
                                                    "itself where the server is on another machine"),
) -> None:  # fmt: skip
    """Run a job and follow its logs; the exit code is the outcome."""
    from boathouse.client.working_tree import source_of

    with connected(target or None) as lake:
        if lake.environment == "dev" and project_file():
            source = source_of(lake, Path.cwd(), project_here(), sync=sync)
            lake.call("POST", "/api/v1/deployments", {"target": target or options.env or "dev", **source})
        run_id = lake.jobs.submit(job, pairs(param, "parameter"), task or None, project_here())
        say(f"run {run_id} of {job} in {lake.environment}")
        if detach:
            if lake.owns_home:
                raise RunFailed("--detach needs a server that outlives this command: run `boathouse up` first")
            return
        _follow(lake, run_id)


def _follow(lake: "Connection", run_id: str, offsets: dict[str, int] | None = None) -> None:
    """Print what a run writes, until it has ended. Raises RunFailed."""
    try:
        for key, line in lake.jobs.follow(run_id, offsets):
            print(f"{key} | {line}", flush=True)
    except KeyboardInterrupt:
        if not lake.owns_home:
            print(f"run {run_id} goes on; `boathouse runs cancel {run_id}` ends it", file=sys.stderr)
        raise
    ended = lake.jobs.get(run_id)
    lake.settle()
    if ended["state"] != "SUCCESS":
        raise RunFailed(f"run {run_id} of {ended['job']}: {ended['state']}: {ended['reason']}")
    say(f"run {run_id}: SUCCESS in {ended['seconds']:.1f} s")


@runs.command("list")
def list_runs(
    job: str = typer.Option("", "--job", help="one job only"),
    state: str = typer.Option("", "--state", help="one state only: QUEUED, RUNNING, SUCCESS, FAILED, CANCELED or LOST"),
    limit: int = typer.Option(20, "--limit", min=1, help="how many at most"),
    as_json: bool = JSON,
) -> None:
    """Runs, newest first."""
    with connected() as lake:
        where = {"environment": options.env, "job": job or None, "state": state or None}
        rows = list(islice(lake.http.pages("/api/v1/runs", where, min(limit, 500)), limit))
        shown = rows if as_json else [{**row, "job": f"{row['environment']}.{row['job']}"} for row in rows]
        show(shown, ["id", "job", "state", "trigger", "submitted_at", "seconds", "reason"], as_json,
             empty="no runs yet; `boathouse run JOB` starts one")  # fmt: skip


@runs.command("show")
def show_run(run_id: str, as_json: bool = JSON) -> None:
    """A run with its tasks."""
    with connected() as lake:
        found = lake.jobs.get(run_id)
        if as_json:
            facts(found, True)
            return
        tasks = found.pop("tasks")
        facts(found, False)
        show(tasks, ["task_key", "state", "attempt", "seconds", "reason", "started_at"], False)


@runs.command("logs")
def logs(
    run_id: str,
    task: str = typer.Option("", "--task", help="one task only, without its name before each line"),
    follow: bool = typer.Option(False, "--follow", "-f", help="go on until the run has ended; Ctrl-C leaves it running"),
) -> None:
    """What the tasks wrote, each line after its task's name. With --follow as `run` does; the exit code is the outcome."""
    if task and follow:
        raise typer.BadParameter("--follow shows all tasks: leave out --task")
    with connected() as lake:
        if follow:
            _follow(lake, run_id)
            return
        keys = [found["task_key"] for found in lake.jobs.get(run_id)["tasks"]]
        if task:
            print(lake.jobs.log(run_id, task), end="")
            return
        for key in keys:
            for line in lake.jobs.log(run_id, key).splitlines():
                print(f"{key} | {line}")


@runs.command("cancel")
def cancel(run_id: str) -> None:
    """Kill a run's processes and let no further task start."""
    with connected() as lake:
        lake.call("POST", f"/api/v1/runs/{run_id}/cancel")
        say(f"{run_id} {lake.jobs.wait(run_id, 15)['state']}")


@runs.command("repair")
def repair(run_id: str) -> None:
    """Run again the tasks that did not succeed, and follow their logs; the exit code is the outcome."""
    with connected() as lake:
        before = lake.jobs.written(run_id)
        lake.call("POST", f"/api/v1/runs/{run_id}/repair")
        _follow(lake, run_id, before)


@jobs.command("list")
def list_jobs(as_json: bool = JSON) -> None:
    """Deployed jobs with schedule and last run."""
    with connected() as lake:
        rows = lake.jobs.deployed()
        show(rows, ["name", "project", "tasks", "next_due", "last_run.state", "commit"], as_json,
             empty=f"{lake.environment} has no jobs; `boathouse deploy -t {lake.environment}` deploys a project")  # fmt: skip


@jobs.command("show")
def show_job(name: str, as_json: bool = JSON) -> None:
    """One job with its definition."""
    with connected() as lake:
        facts(_ask(lake, "GET", name), as_json)


@jobs.command("pause")
def pause(name: str) -> None:
    """Let a job start by hand only, until it is resumed: no schedule, no trigger."""
    with connected() as lake:
        _ask(lake, "POST", name, "/pause")
        say(f"{name} in {lake.environment} is paused; `boathouse jobs resume {name}` ends that")


@jobs.command("resume")
def resume(name: str) -> None:
    """Let a paused job start by itself again; what was due meanwhile is not made up for."""
    with connected() as lake:
        _ask(lake, "POST", name, "/resume")
        say(f"{name} in {lake.environment} starts by itself again")


@jobs.command("backfill")
def backfill(
    name: str,
    start: str = typer.Option(..., "--from", help="the first logical time, such as 2013-01-01"),
    end: str = typer.Option(..., "--to", help="runs are for times before this one"),
    every: str = typer.Option("", "--every", help="so far apart, such as 1d; without it the schedule's due times"),
    param: list[str] = typer.Option([], "--param", "-p", help="NAME=VALUE"),
    detach: bool = typer.Option(False, "--detach", help="do not wait for the end"),
) -> None:
    """Run a job for logical times of the past, oldest first: `jobs backfill features --from 2013-01-01 --to 2013-02-01`.

    Each run has its time as {{job.as_of}}. As many run at once as the job's max_concurrent_runs allows.
    """
    with connected() as lake:
        body = {"start": _instant(start, "--from"), "end": _instant(end, "--to"), "every": every or None,
                "parameters": pairs(param, "parameter")}  # fmt: skip
        found = _ask(lake, "POST", name, "/backfill", body)["run_ids"]
        say(f"{len(found)} runs of {name} in {lake.environment}")
        if detach:
            if lake.owns_home:
                raise RunFailed("--detach needs a server that outlives this command: run `boathouse up` first")
            return
        ended = [lake.jobs.wait(run_id, 86_400) for run_id in found]
    for run in ended:
        say(f"{run['parameters']['as_of']}  {run['id']}  {run['state']}")
    if failed := [run for run in ended if run["state"] != "SUCCESS"]:
        raise RunFailed(f"{len(failed)} of {len(ended)} runs did not succeed; first run {failed[0]['id']}: {failed[0]['reason']}")


def _instant(text: str, option: str) -> str:
    try:
        return parse_instant(text).isoformat()
    except ValueError:
        said = f"{text!r} is no date or time: write 2013-01-31, or 2013-01-31T06:00"
        raise typer.BadParameter(said, param_hint=option) from None


def _ask(lake: "Connection", method: str, name: str, verb: str = "", body: Any = None) -> Any:
    """Something of a job; of several of the name, this folder's project's."""
    return lake.http.call(method, f"/api/v1/jobs/{lake.environment}/{name}{verb}", body, {"project": project_here()})
