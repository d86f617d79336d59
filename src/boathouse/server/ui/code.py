"""Code on its way: merge requests with their tests, releases and deployments."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import done, page

router = APIRouter()
_DEPLOYMENTS = 40


@router.get("/requests")
def requests(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Merge requests, for whoever may look into staging, where they are tested."""
    found = platform.projects.requests() if sight.uses(who, platform, "staging") else []
    return page(
        request, who, "requests.html", requests=found, may_merge=sight.may(who, platform, "MERGE", "staging"),
        may_close=sight.may(who, platform, "DEPLOY", "dev"),
    )  # fmt: skip


@router.post("/requests/{number}/merge")
def merge(number: int, who: Caller, platform: Served) -> Response:
    """Merge a request whose tests passed; needs MERGE in staging."""
    _request(who, platform, number)
    platform.code.merge(who, number)
    return done("/requests", f"Request {number} is merged, and staging runs it.")


@router.post("/requests/{number}/test")
def test(number: int, who: Caller, platform: Served) -> Response:
    """Run a request's tests again; needs RUN in staging."""
    _request(who, platform, number)
    platform.access.authorize(who, "RUN", "catalog", "staging")
    return done(f"/runs/{platform.code.test_request(who, number)}", f"The tests of request {number} run.")


@router.post("/requests/{number}/close")
def close(number: int, who: Caller, platform: Served) -> Response:
    """Close a request that is not to be merged; needs DEPLOY in dev."""
    _request(who, platform, number)
    platform.access.authorize(who, "DEPLOY", "catalog", "dev")
    platform.projects.close_request(who, number)
    return done("/requests", f"Request {number} is closed.")


@router.get("/releases")
def releases(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Releases and deployments, newest first."""
    found = platform.projects.releases() if sight.uses(who, platform, "prod") else []
    deployments = [
        d for d in platform.deployments.history(limit=_DEPLOYMENTS)
        if sight.uses(who, platform, d.environment) and not d.scratch
    ]  # fmt: skip
    may_cut = sight.may(who, platform, "DEPLOY", "prod")
    projects = [p.name for p in platform.projects.all()] if may_cut else []
    return page(request, who, "releases.html", releases=found, deployments=deployments, projects=projects)


@router.post("/releases")
def cut(who: Caller, platform: Served, fields: Fields) -> Response:
    """Cut a release at main's head and deploy it to prod; needs DEPLOY in prod."""
    release, _ = platform.code.cut_release(who, fields.get("project", ""), fields.get("version", ""))
    return done("/releases", f"Release {release.version} of {release.project} is cut and deployed to prod.")


def _request(who: Identity, platform: Platform, number: int) -> None:
    if not sight.uses(who, platform, "staging"):
        raise NotFound(f"there is no merge request {number} that you may see")
    platform.projects.request(number)
