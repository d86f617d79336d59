"""Jobs and runs."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict

from boathouse.clock import parse_instant
from boathouse.environments import Resource
from boathouse.errors import InvalidInput, NotFound, Unavailable
from boathouse.identity import Identity
from boathouse.jobs import Run, Sieve, next_due
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.forwarding import PassedOn
from boathouse.server.paging import gathered, lead_on
from boathouse.server.upload import taken_in

router = APIRouter(prefix="/api/v1", tags=["jobs"])
Form = Literal["ipynb", "html"]
State = Literal["QUEUED", "RUNNING", "SUCCESS", "FAILED", "CANCELED", "LOST"]
_NOTEBOOK_BYTES = 256 * 1024 * 1024
_AS_FOREIGN = {
    # a notebook's outputs are users' HTML: shown without scripts, forms and our cookies
    "X-Content-Type-Options": "nosniff", "Cache-Control": "private, no-cache", "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
}  # fmt: skip


class Submission(BaseModel):
    """A run to start."""

    model_config = ConfigDict(extra="forbid")  # a misspelt key would start a run with the defaults
    parameters: dict[str, str] = {}
    task: str | None = None
    scratch: str | None = None
    project: str | None = None


class Backfill(BaseModel):
    """Logical times of the past, from `start` to before `end`: the schedule's due times, or `every` so often."""

    model_config = ConfigDict(extra="forbid")
    start: datetime
    end: datetime
    every: str | None = None
    parameters: dict[str, str] = {}


class Refresh(BaseModel):
    """When a table of declared features is brought up to date: by a schedule, or when one of `tables` changes."""

    schedule: dict[str, str] | None = None
    tables: list[str] = []
    at_once: bool = False
    publish: bool = False
    store: str | None = None


class Result(BaseModel):
    """A value that a task hands to later tasks."""

    task: str
    key: str
    value: Any


@router.get("/jobs")
def jobs(who: Caller, platform: Served, environment: str | None = None, scratch: str | None = None) -> list[dict[str, Any]]:
    """Deployed jobs that the caller may see, with their newest run and next due time."""
    found = platform.deployments.resources("job", environment, scratch=scratch or "")
    return [_job(platform, j) for j in found if _sees(who, platform, j)]


@router.get("/jobs/{environment}/{name}")
def job(environment: str, name: str, who: Caller, platform: Served, project: str | None = None) -> dict[str, Any]:
    """One deployed job with its definition; of several of the name, the project's."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    resource = platform.deployments.job(environment, name, project, who.scratch or "")
    if not _sees(who, platform, resource):
        raise NotFound(f"{environment} has no job {name!r} that you may see")
    return {**_job(platform, resource), "definition": resource.definition}


@router.post("/jobs/{environment}/{name}/runs")
def submit(environment: str, name: str, body: Submission, who: Caller, platform: Served) -> dict[str, str]:
    """Start a job; needs RUN."""
    run_id = platform.jobs.submit(
        who, environment, name, parameters=body.parameters, task=body.task, scratch=who.scratch or body.scratch or "",
        project=body.project,
    )
    return {"run_id": run_id}


@router.post("/jobs/{environment}/{name}/pause")
def pause(environment: str, name: str, who: Caller, platform: Served, project: str | None = None) -> None:
    """Let a job start by hand only; needs RUN."""
    platform.jobs.pause(who, environment, name, True, project)


@router.post("/jobs/{environment}/{name}/resume")
def resume(environment: str, name: str, who: Caller, platform: Served, project: str | None = None) -> None:
    """Let a paused job start by itself again; needs RUN."""
    platform.jobs.pause(who, environment, name, False, project)


@router.post("/jobs/{environment}/{name}/backfill")
def backfill(environment: str, name: str, body: Backfill, who: Caller, platform: Served,
             project: str | None = None) -> dict[str, list[str]]:  # fmt: skip
    """Runs for logical times of the past, all or none; needs RUN."""
    since, until = parse_instant(body.start), parse_instant(body.end)
    return {"run_ids": platform.jobs.backfill(who, environment, name, since, until, body.parameters, body.every, project)}


@router.put("/tables/{name}/refresh")
def put_refresh(name: str, body: Refresh, who: Caller, platform: Served) -> dict[str, Any]:
    """Make or change the job that keeps a table of declared features fresh; needs MODIFY on it, SELECT on its sources, RUN."""
    return platform.refreshing.put(who, name, body.schedule, body.tables, body.at_once, body.publish, body.store)


@router.delete("/tables/{name}/refresh")
def end_refresh(name: str, who: Caller, platform: Served) -> None:
    """End that job; needs MODIFY on the table, and RUN."""
    platform.refreshing.remove(who, name)


@router.get("/runs")
def runs(request: Request, response: Response, who: Caller, platform: Served, environment: str | None = None,
         job: str | None = None, state: State | None = None, limit: Annotated[int, Query(ge=1, le=500)] = 50,
         after: str | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """Runs, newest first; those that follow the run `after`. A Link header leads to the next page."""
    found = gathered(lambda last, n: platform.runs.newest(environment, job, state, n or limit, last),
                     lambda r: platform.jobs.sees(who, r), lambda r: r.id, limit, after)  # fmt: skip
    return [_run(r) for r in lead_on(request, response, found, limit, lambda r: r.id)]


@router.get("/runs/{run_id}")
def run(run_id: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A run with its tasks."""
    return _run(_seen(who, platform, run_id))


@router.get("/runs/{run_id}/logs")
def logs(run_id: str, task: str, who: Caller, platform: Served, offset: Annotated[int, Query(ge=0, lt=2**63)] = 0) -> Response:
    """What a task has written from `offset` (bytes) on, while it runs and after."""
    found = _seen(who, platform, run_id)
    path = platform.runner.log(found, task)
    try:
        if there := platform.runner.elsewhere(found, task):
            return PassedOn(there)
    except Unavailable:
        if (kept := platform.runner.words.of(run_id, task)) is None:
            raise
        return Response(kept[offset:], media_type="text/plain; charset=utf-8")
    if not path.exists():
        return Response(b"", media_type="text/plain; charset=utf-8")
    with path.open("rb") as log:
        log.seek(offset)
        return Response(log.read(), media_type="text/plain; charset=utf-8")


@router.get("/runs/{run_id}/notebooks/{task}")
def notebook(run_id: str, task: str, who: Caller, platform: Served, format: Form = "ipynb") -> Response:
    """A task's notebook as it ran, with what its cells gave out."""
    found = _seen(who, platform, run_id)
    path = platform.runner.notebook(found, task, format)
    if there := platform.runner.elsewhere(found, task):
        return PassedOn(there)
    if not path.exists():
        raise NotFound(f"task {task!r} of run {run_id} kept no notebook")
    return FileResponse(path, headers=_AS_FOREIGN, media_type="text/html" if format == "html" else "application/x-ipynb+json")


@router.put("/runs/{run_id}/notebooks/{task}")
async def keep_notebook(run_id: str, task: str, request: Request, who: Caller, platform: Served,
                        format: Form = "ipynb") -> Any:  # fmt: skip
    """Keep a task's notebook; only the run itself may."""
    if who.run_id != run_id:
        raise NotFound(f"only run {run_id} itself keeps its notebooks")
    found = platform.runs.get(run_id)
    path, hidden = platform.runner.notebook(found, task, format), platform.secrecy.hidden(found)
    if there := platform.runner.elsewhere(found, task):
        return PassedOn(there)
    return {"size": await taken_in(request.stream(), lambda pieces: _written(path, _without(pieces, hidden)))}


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: str, who: Caller, platform: Served) -> None:
    """Kill a run; needs RUN."""
    platform.jobs.cancel(who, _seen(who, platform, run_id))


@router.post("/runs/{run_id}/repair")
def repair(run_id: str, who: Caller, platform: Served) -> None:
    """Run again what did not succeed; needs RUN."""
    platform.jobs.repair(who, _seen(who, platform, run_id))


@router.post("/runs/{run_id}/results")
def add_result(run_id: str, body: Result, who: Caller, platform: Served) -> None:
    """Keep a task's value; only the run itself may."""
    if who.run_id != run_id:
        raise NotFound(f"only run {run_id} itself keeps its values")
    platform.runs.add_result(run_id, body.task, body.key, platform.secrecy.without(run_id, body.value))


def _without(pieces: Iterator[bytes], hidden: Sequence[str]) -> Iterator[bytes]:
    sieve = Sieve(list(hidden))
    for piece in pieces:
        yield sieve.put(piece)
    yield sieve.rest()


def _written(path: Path, pieces: Iterator[bytes]) -> int:
    """Whole or not at all; the number of bytes. Raises InvalidInput for too many."""
    size = 0
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".notebook-") as file:
        for piece in pieces:
            size += file.write(piece)
            if size > _NOTEBOOK_BYTES:
                raise InvalidInput(f"a run keeps notebooks of {_NOTEBOOK_BYTES >> 20} MiB at most: let its cells give out less")
        file.flush()
        path.unlink(missing_ok=True)
        os.link(file.name, path)
    return size


def _seen(who: Identity, platform: Platform, run_id: str) -> Run:
    found = platform.runs.get(run_id)
    if not platform.jobs.sees(who, found):
        raise NotFound(f"no run has the id {run_id!r}; `boathouse runs list` shows them")
    return found


def _sees(who: Identity, platform: Platform, job: Resource) -> bool:
    return who.scratch == job.scratch if who.scratch else platform.access.sees(who, "job", f"{job.environment}.{job.name}")


def _run(found: Run) -> dict[str, Any]:
    body = {**found.__dict__, "tasks": [{**t.__dict__, "seconds": t.seconds} for t in found.tasks], "seconds": found.seconds}
    for internal in ("definition", "owner", "concurrency", "start_key", "told", "ending_state", "ending_reason", "place"):
        body.pop(internal)
    return body


def _job(platform: Platform, resource: Any) -> dict[str, Any]:
    newest = platform.runs.newest(resource.environment, resource.name, limit=1, project=resource.project)
    key = (resource.environment, resource.project, resource.name)
    definition = platform.starts.by_itself(key, resource.definition)
    schedule = definition.get("schedule")
    resting = str((schedule or {}).get("pause_status") or "").upper() == "PAUSED"
    paused = platform.starts.is_paused(key)
    deployment = platform.deployments.deployment(resource.deployment)
    return {
        "environment": resource.environment, "name": resource.name, "project": resource.project,
        "commit": deployment.commit_id, "dirty": deployment.dirty,
        "tasks": [t["task_key"] for t in resource.definition.get("tasks") or ()],
        "schedule": schedule, "trigger": definition.get("trigger"),
        "continuous": definition.get("continuous"), "paused": paused, "start_error": platform.starts.error(key),
        "next_due": next_due(schedule, platform.now()) if schedule and not paused and not resting else None,
        "last_run": _run(newest[0]) if newest else None,
    }  # fmt: skip
