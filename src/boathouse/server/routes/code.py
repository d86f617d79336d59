"""Environments, deployments, projects, merge requests and releases."""

import functools
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from boathouse.catalog import METASTORE
from boathouse.clock import parse_span
from boathouse.environments import ENVIRONMENTS, parse_origin, runtime, runtimes
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.server.auth import Caller, Served, is_near
from boathouse.server.paging import gathered, lead_on

router = APIRouter(prefix="/api/v1", tags=["code"])


class NewDeployment(BaseModel):
    """What to deploy: a working tree (`path`, dev only) or a commit, branch or tag of a project."""

    target: str
    path: str | None = None
    project: str | None = None
    ref: str | None = None
    variables: dict[str, str] = {}


class NewRequest(BaseModel):
    """A branch that wants into main."""

    project: str
    branch: str
    title: str = ""


class NewOrigin(BaseModel):
    """Where a project comes from; without `url` from nowhere. `token` reads a private https remote."""

    url: str | None = None
    token: str | None = None


class Unused(BaseModel):
    """For how long nobody used what goes, for example `7d`; without it as long as the setting says."""

    unused: str | None = None


class NewRelease(BaseModel):
    """A version to release."""

    project: str
    version: str


@router.get("/environments")
def environments(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """The environments the caller may use, with what is deployed there."""
    return [environment(e, who, platform) for e in ENVIRONMENTS if platform.access.allows(who, "USE CATALOG", "catalog", e)]


@router.get("/environments/{name}")
def environment(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One environment."""
    if name not in ENVIRONMENTS:
        raise NotFound(f"there is no environment {name!r}; there are {', '.join(ENVIRONMENTS)}")
    platform.access.authorize(who, "USE CATALOG", "catalog", name)
    return {
        "name": name, "online_folder": str(platform.online_folder(name)),
        "deployments": [d.__dict__ for d in platform.deployments.current(name)],
        "tables": platform.catalog.count("table", name),
    }  # fmt: skip


@router.get("/python-environments")
def python_environments(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Python environments that were built here, the last used first; needs DEPLOY in dev."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    return [e.__dict__ for e in platform.interpreters.environments.all()]


@router.get("/python-environments/runtimes")
def python_runtimes(_who: Caller, platform: Served, version: str = "") -> list[dict[str, Any]]:
    """The versioned runtimes, the newest first, with what each holds by name; of one `version`, all of its packages."""
    chosen = platform.settings.python_runtime
    return [
        {"version": r.version, "packages": [f"{name} {number}" for name, number in r.packages(bool(version))],
         "without_a_lock": r.version == chosen}
        for r in ((runtime(version),) if version else runtimes())
    ]  # fmt: skip


@router.post("/python-environments/prune")
def prune(body: Unused, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Remove Python environments that nobody used for so long and no open run needs; needs MANAGE on the metastore."""
    platform.access.authorize(who, "MANAGE", "metastore", METASTORE)
    try:
        unused = parse_span(body.unused) if body.unused else None
    except ValueError as error:
        raise InvalidInput(f"unused: {error}") from error
    removed = platform.interpreters.prune(platform.runs, unused)
    platform.audit.record(who.principal, "prune python environments", "metastore", {"removed": [e.key for e in removed]})
    return [e.__dict__ for e in removed]


@router.get("/deployments")
def deployments(request: Request, response: Response, who: Caller, platform: Served, environment: str | None = None,
                limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
                after: int | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """Deployments, newest first; those that follow deployment `after`. A Link header leads to the next page."""
    found = gathered(lambda last, n: platform.deployments.history(environment, n or limit, int(last) if last else None),
                     lambda d: platform.access.allows(who, "USE CATALOG", "catalog", d.environment), lambda d: str(d.id), limit,
                     str(after) if after is not None else None)  # fmt: skip
    return [d.__dict__ for d in lead_on(request, response, found, limit, lambda d: str(d.id))]


@router.post("/deployments")
def deploy(body: NewDeployment, request: Request, who: Caller, platform: Served) -> dict[str, Any]:
    """Deploy a bundle, all of it or nothing; needs DEPLOY. A `path` only from the server's own machine, and not from a task."""
    _check_path(body, request, who)
    deployed = platform.code.deploy(who, **body.model_dump())
    return deployed.__dict__


@router.post("/deployments/plan")
def plan(body: NewDeployment, request: Request, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """What a deployment would change."""
    _check_path(body, request, who)
    return [c.__dict__ for c in platform.code.plan(who, **body.model_dump())]


@router.delete("/deployments/{environment}/{project}")
def destroy(environment: str, project: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Remove a project's resources and grants from an environment; needs DEPLOY. Tables, files and models stay."""
    removed, notes = platform.code.destroy(who, environment, project)
    return {"removed": removed, "notes": notes}


@router.get("/resources")
def resources(who: Caller, platform: Served, environment: str | None = None, kind: str | None = None,
              project: str | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """What is deployed."""
    found = platform.deployments.resources(kind, environment, project, scratch=who.scratch or "")
    sees = functools.cache(lambda place: bool(who.scratch) or platform.access.sees(who, "project", place))
    return [r.__dict__ for r in found if sees(f"{r.environment}.{r.project}")]


@router.get("/projects")
def projects(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Projects of the environments that the caller works in; whoever may deploy in dev sees all."""
    if platform.access.allows(who, "DEPLOY", "catalog", "dev"):
        return [p.__dict__ for p in platform.projects.all()]
    there = {(d.environment, d.project) for d in platform.deployments.current()}
    seen = {project for e, project in there if platform.access.sees(who, "project", f"{e}.{project}")}
    return [p.__dict__ for p in platform.projects.all() if p.name in seen]


@router.put("/projects/{name}")
def ensure_project(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Make a project known; where its server-side repository lies, for a push on this machine."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    project = platform.projects.ensure(who, name)
    return {**project.__dict__, "repository": str(platform.projects.repository(name).path)}


@router.put("/projects/{name}/origin")
def set_origin(name: str, body: NewOrigin, who: Caller, platform: Served) -> dict[str, Any]:
    """Say where a project comes from; needs MANAGE on prod, and on the metastore for a path of the server's machine."""
    platform.access.authorize(who, "MANAGE", "catalog", "prod")
    origin = parse_origin(body.url) if body.url else None
    if origin and origin.transport == "file":
        platform.access.authorize(who, "MANAGE", "metastore", METASTORE)
    platform.projects.ensure(who, name)
    return platform.remotes.set_origin(who, name, origin, body.token).__dict__


@router.post("/projects/{name}/fetch")
def fetch(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Bring the server's copy up to its origin; needs DEPLOY in dev."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    return {"moved": platform.remotes.fetch(name)}


@router.get("/requests")
def requests(who: Caller, platform: Served, project: str | None = None) -> list[dict[str, Any]]:
    """Merge requests, newest first; needs USE CATALOG on staging."""
    platform.access.authorize(who, "USE CATALOG", "catalog", "staging")
    return [r.__dict__ for r in platform.projects.requests(project)]


@router.post("/requests")
def open_request(body: NewRequest, who: Caller, platform: Served) -> dict[str, Any]:
    """Open a merge request; its tests start at once. Needs DEPLOY in dev."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    return platform.code.open_request(who, body.project, body.branch, body.title or body.branch).__dict__


@router.get("/requests/{number}")
def request(number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """One merge request with its checks."""
    platform.access.authorize(who, "USE CATALOG", "catalog", "staging")
    return platform.projects.request(number).__dict__


@router.post("/requests/{number}/test")
def test_request(number: int, who: Caller, platform: Served) -> dict[str, str]:
    """Run a request's tests again; needs RUN in staging."""
    platform.access.authorize(who, "RUN", "catalog", "staging")
    return {"run_id": platform.code.test_request(who, number)}


@router.post("/requests/{number}/close")
def close_request(number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Close a request that is not to be merged; needs DEPLOY in dev."""
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    return platform.projects.close_request(who, number).__dict__


@router.post("/requests/{number}/merge")
def merge(number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Merge a request whose tests passed; needs MERGE in staging."""
    return platform.code.merge(who, number).__dict__


@router.get("/releases")
def releases(who: Caller, platform: Served, project: str | None = None) -> list[dict[str, Any]]:
    """Releases, newest first; needs USE CATALOG on prod."""
    platform.access.authorize(who, "USE CATALOG", "catalog", "prod")
    return [r.__dict__ for r in platform.projects.releases(project)]


@router.post("/releases")
def cut(body: NewRelease, who: Caller, platform: Served) -> dict[str, Any]:
    """Cut a release at main's head and deploy it to prod; needs DEPLOY in prod."""
    release, deployment = platform.code.cut_release(who, body.project, body.version)
    return {**release.__dict__, "deployment": deployment.id}


def _check_path(body: NewDeployment, request: Request, who: Identity) -> None:
    """The server reads a folder as its own user, so only its own machine may name one, and no task or model server there.

    Raises NotPermitted.
    """
    if body.path is not None and (who.run_id or not is_near(request)):
        raise NotPermitted("a folder of the server's machine can be deployed from that machine alone, and by no task: "
                           "name a project and a commit, branch or tag, as `boathouse deploy` does for you")  # fmt: skip
