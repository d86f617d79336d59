"""The first page: dev, staging and prod side by side, and what happened last."""

import re
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, BackgroundTasks, Request
from fastapi.responses import HTMLResponse

from boathouse.alerts import Incident
from boathouse.catalog import AuditEntry
from boathouse.environments import Deployment
from boathouse.identity import Identity
from boathouse.jobs import Run, next_due
from boathouse.platform import Platform
from boathouse.registry import STAGING, ModelInfo
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight, warm
from boathouse.server.ui.page import page
from boathouse.serving import EndpointState

router = APIRouter()
_THROW_AWAY = re.compile(r"^\w+\.mr\d+__")
_DATA_WRITES = frozenset(
    {"write", "merge", "overwrite", "append", "delete", "update", "optimize", "create table", "alter table"}
)
_FETCHED, _SHOWN = 150, 14


@dataclass(frozen=True)
class Deployed:
    """A project's code in an environment, and whether the next environment runs the same."""

    deployment: Deployment
    resources: int
    ahead_of: str


@dataclass(frozen=True)
class Job:
    """A deployed job with its newest run and when it is due."""

    name: str
    last: Run | None
    due: Any


@dataclass(frozen=True)
class Model:
    """A model and, where one waits for approval, that version."""

    info: ModelInfo
    waiting: int | None


@dataclass(frozen=True)
class Column:
    """One environment."""

    name: str
    tables: int
    code: tuple[Deployed, ...]
    jobs: tuple[Job, ...]
    models: tuple[Model, ...]
    endpoints: tuple[EndpointState, ...]
    incidents: tuple[Incident, ...]


@router.get("/")
def environments(
    request: Request, who: Caller, platform: Served, background: BackgroundTasks
) -> HTMLResponse:
    """What is deployed where."""
    seen = sight.environments(who, platform)
    tables = [t.name for t in platform.catalog.tables(who) if not _THROW_AWAY.match(t.name)]
    columns = [_column(who, platform, name, tables) for name in seen]
    requests = platform.projects.requests()[:5] if "staging" in seen else []
    releases = platform.projects.releases()[:5] if "prod" in seen else []
    background.add_task(warm.up, platform)
    return page(
        request, who, "environments.html", columns=columns, requests=requests, releases=releases,
        activity=_activity(who, platform),
    )  # fmt: skip


def _column(who: Identity, platform: Platform, name: str, tables: list[str]) -> Column:
    newest: dict[str, Run] = {}
    for run in platform.runs.newest(name, limit=_FETCHED):
        if not run.scratch:
            newest.setdefault(run.job, run)
    jobs = [
        Job(
            j.name,
            newest.get(j.name),
            next_due(s, platform.now()) if (s := j.definition.get("schedule")) else None,
        )
        for j in platform.deployments.resources("job", name)
        if platform.access.sees(who, "job", f"{name}.{j.name}")
    ]
    models = [m for m in platform.registry.models(name) if platform.catalog.visible(who, "model", m.name)]
    states = platform.endpoints.states(name)
    return Column(
        name,
        sum(t.startswith(f"{name}.") for t in tables),
        _code(platform, name),
        tuple(jobs),
        tuple(Model(m, waiting(platform, m)) for m in models),
        tuple(e for e in states if platform.access.allows(who, "QUERY", "endpoint", f"{name}.{e.name}")),
        tuple(i for i in platform.alerts.incidents(name) if i.closed_at is None),
    )


def _code(platform: Platform, name: str) -> tuple[Deployed, ...]:
    following = {"dev": "staging", "staging": "prod"}.get(name)
    there = {d.project: d.commit_id for d in platform.deployments.current(following)} if following else {}
    counts: dict[str, int] = {}
    for resource in platform.deployments.resources(environment=name):
        counts[resource.project] = counts.get(resource.project, 0) + 1
    return tuple(
        Deployed(
            d,
            counts.get(d.project, 0),
            following if following and there.get(d.project) != d.commit_id else "",
        )
        for d in platform.deployments.current(name)
    )


def waiting(platform: Platform, model: ModelInfo) -> int | None:
    """The version that waits for approval: in Staging, its newest verdict holds for that alone."""
    if model.latest_version == model.production:
        return None
    judged: set[int] = set()
    for verdict in platform.registry.verdicts(model.name):
        if verdict.version in judged:
            continue
        judged.add(verdict.version)
        blocking = {c["name"] for c in verdict.verdict.get("checks", ()) if c["outcome"] != "pass"}
        staged = (
            blocking == {"approval"}
            and platform.registry.version(model.name, verdict.version).stage == STAGING
        )
        if staged:
            return verdict.version
    return None


def _activity(who: Identity, platform: Platform) -> list[AuditEntry]:
    entries = sight.activity(who, platform, _FETCHED)
    return [e for e in entries if e.action not in _DATA_WRITES][:_SHOWN]
