"""Jobs and runs: what is due, what ran, how it went, and its words while they come."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boathouse.environments import Resource
from boathouse.errors import BoathouseError, InvalidInput, Unavailable
from boathouse.identity import Identity
from boathouse.jobs import JobDefinition, Run, TaskDefinition, next_due
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.forwarding import PassedOn
from boathouse.server.ui import sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.graph import Node, Picture, layered
from boathouse.server.ui.page import done, page, part

router = APIRouter()
_LOG_BYTES = 64 * 1024
_KINDS = {
    "spark_python_task": "Python file",
    "notebook_task": "notebook",
    "python_wheel_task": "package",
    "sql_task": "SQL",
    "condition_task": "condition",
    "run_job_task": "another job",
    "for_each_task": "for each",
    "builtin_task": "built in",
}
_STATES = ("RUNNING", "QUEUED", "SUCCESS", "FAILED", "CANCELED", "LOST")


@dataclass(frozen=True)
class Job:
    """A deployed job: why it starts, how its newest runs ended, newest first."""

    resource: Resource
    starts: tuple[str, ...]
    due: Any
    runs: tuple[Run, ...]
    tasks: tuple[str, ...]
    parameters: Mapping[str, str]
    may_run: bool


@router.get("/jobs")
def jobs(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Deployed jobs."""
    seen = sight.environments(who, platform)
    found = [
        _job(who, platform, j)
        for e in seen
        for j in platform.deployments.resources("job", e)
        if platform.access.sees(who, "job", f"{e}.{j.name}")
    ]
    return page(request, who, "jobs.html", jobs=found)


@router.post("/jobs/{environment}/{name}/run")
def start(environment: str, name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """Start a job; needs RUN."""
    parameters = {k.removeprefix("param."): v for k, v in fields.items() if k.startswith("param.") and v}
    run_id = platform.jobs.submit(who, environment, name, parameters=parameters)
    return done(f"/runs/{run_id}", f"{name} has started.")


@router.get("/runs")
def runs(
    request: Request,
    who: Caller,
    platform: Served,
    *,
    environment: str = "",
    job: str = "",
    state: str = "",
    limit: int = 100,
) -> HTMLResponse:
    """Runs, newest first."""
    found = platform.runs.newest(environment or None, job or None, state or None, min(max(limit, 1), 500))
    return page(
        request,
        who,
        "runs.html",
        runs=[r for r in found if platform.jobs.sees(who, r)],
        job=job,
        state=state,
        environment=environment,
        environments=sight.environments(who, platform),
        states=_STATES,
        limit=limit,
    )


@router.get("/runs/{run_id}")
def run(run_id: str, request: Request, who: Caller, platform: Served, task: str = "") -> Response:
    """One run, its tasks and the words of one of them."""
    found = sight.run(who, platform, run_id)
    asked = task in {t.task_key for t in found.tasks}
    shown = task if asked else _telling(found)
    with suppress(Unavailable):
        if there := platform.runner.elsewhere(found, shown):
            return PassedOn(there)
    return page(
        request, who, "run.html", log=_tail(platform, found, shown), follow=not asked,
        notebook=bool(shown) and platform.runner.notebook(found, shown, "html").exists(),
        may_run=platform.jobs.may_run(who, found), **_state(found, shown),
    )  # fmt: skip


@router.get("/runs/{run_id}/state")
def state(run_id: str, who: Caller, platform: Served, task: str = "") -> HTMLResponse:
    """The part of a run's page that changes while it runs."""
    found = sight.run(who, platform, run_id)
    answer = part("_run_state.html", **_state(found, task))
    answer.headers["X-Run-Done"] = str(found.done).lower()
    answer.headers["X-Run-Task"] = quote(_telling(found))
    return answer


@router.post("/runs/{run_id}/cancel")
def cancel(run_id: str, who: Caller, platform: Served) -> Response:
    """Kill a run; needs RUN."""
    platform.jobs.cancel(who, sight.run(who, platform, run_id))
    return done(f"/runs/{run_id}", "The run is being canceled.")


@router.post("/runs/{run_id}/repair")
def repair(run_id: str, who: Caller, platform: Served) -> Response:
    """Run again what did not succeed; needs RUN."""
    platform.jobs.repair(who, sight.run(who, platform, run_id))
    return done(f"/runs/{run_id}", "What did not succeed runs again.")


def _job(who: Identity, platform: Platform, resource: Resource) -> Job:
    key = (resource.environment, resource.project, resource.name)
    definition = platform.starts.by_itself(key, resource.definition)
    schedule = definition.get("schedule")
    paused = platform.starts.is_paused(key) or (schedule and str(schedule.get("pause_status", "")).upper() == "PAUSED")
    try:
        parsed = JobDefinition.from_dict(resource.name, definition)
        tasks, parameters = tuple(t.key for t in parsed.tasks), parsed.parameters
    except BoathouseError:  # a kind of task that this server does not run is still listed
        tasks, parameters = tuple(t["task_key"] for t in definition.get("tasks") or ()), {}
    return Job(
        resource,
        _starts(definition),
        next_due(schedule, platform.now()) if schedule and not paused else None,
        tuple(platform.runs.newest(resource.environment, resource.name, limit=8)),
        tasks,
        parameters,
        platform.access.allows(who, "RUN", "job", f"{resource.environment}.{resource.name}"),
    )


def _starts(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """Why a job starts, in words."""
    found = []
    if schedule := definition.get("schedule"):
        paused = " (paused)" if str(schedule.get("pause_status", "")).upper() == "PAUSED" else ""
        expression = schedule.get("quartz_cron_expression") or schedule.get("cron")
        found.append(f"{expression} {schedule.get('timezone_id') or 'UTC'}{paused}")
    for kind, body in (definition.get("trigger") or {}).items():
        names = body.get("table_names") if isinstance(body, Mapping) else None
        found.append(f"{kind.replace('_', ' ')}: {', '.join(names)}" if names else kind.replace("_", " "))
    return tuple(found)


def _state(found: Run, task: str) -> dict[str, Any]:
    order = {t["task_key"]: i for i, t in enumerate(found.definition.get("tasks") or ())}
    tasks = sorted(found.tasks, key=lambda t: order.get(t.task_key, len(order)))
    kinds = {key: _KINDS.get(t.kind, t.kind) for key, t in _definitions(found).items()}
    return {"run": found, "task": task, "tasks": tasks, "kinds": kinds, "picture": _steps(found)}


def _telling(found: Run) -> str:
    """The task whose words matter most: one that failed, one that runs, else the last that started."""
    for wanted in ("FAILED", "RUNNING"):
        for task in found.tasks:
            if task.state == wanted:
                return task.task_key
    started = [task for task in found.tasks if task.started_at] or found.tasks
    return started[-1].task_key if started else ""


def _tail(platform: Platform, run: Run, task: str) -> dict[str, Any]:
    """The end of a task's log: its text, from which byte on, and where it ends."""
    try:
        platform.runner.elsewhere(run, task)
    except Unavailable as error:
        return {"text": str(error), "start": 0, "end": 0}
    if not task or not (path := platform.runner.log(run, task)).exists():
        return {"text": "", "start": 0, "end": 0}
    size = path.stat().st_size
    start = max(0, size - _LOG_BYTES)
    with path.open("rb") as log:
        log.seek(start)
        text = log.read(_LOG_BYTES)
    return {"text": text.decode("utf-8", "replace"), "start": start, "end": start + len(text)}


def _definitions(found: Run) -> dict[str, TaskDefinition]:
    try:
        return {t.key: t for t in JobDefinition.from_dict(found.job, found.definition).tasks}
    except InvalidInput:
        return {}


def _steps(found: Run) -> Picture | None:
    """The run's tasks as a graph, where there are several."""
    tasks = _definitions(found)
    states = {t.task_key: t.state for t in found.tasks}
    if len(tasks) < 2 or len(states) < 2:
        return None
    nodes = [
        Node(
            t.key,
            t.key,
            states.get(t.key, "").replace("_", " ").lower(),
            f"/runs/{found.id}?task={t.key}#log",
            states.get(t.key, ""),
        )
        for t in tasks.values()
    ]
    return layered(
        nodes, [(before, t.key) for t in tasks.values() for before, _ in t.depends_on if before in tasks]
    )
