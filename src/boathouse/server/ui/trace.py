"""From one prediction back to where it came from."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.errors import BoathouseError
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight
from boathouse.server.ui.lineage import href
from boathouse.server.ui.page import chosen, page

router = APIRouter()


@router.get("/trace")
def trace(
    request: Request, who: Caller, platform: Served, id: str = "", environment: str = ""
) -> HTMLResponse:
    """Request, features as served, version, training run, commit and raw tables of a prediction."""
    offered = sight.environments(who, platform)
    where = chosen(environment, tuple(reversed(offered)))
    found: dict[str, Any] | None = None
    fault, status = "", 200
    if id.strip() and where:
        try:
            found = platform.trace(who, where, id.strip())
            found["lineage"] = [step.replace(" -> ", " → ") for step in found["lineage"]]
        except BoathouseError as error:
            fault, status = str(error), error.http_status
    return page(
        request,
        who,
        "trace.html",
        status=status,
        id=id,
        environment=where,
        environments=offered,
        found=found,
        fault=fault,
        href=href,
    )
