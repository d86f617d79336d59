"""From one prediction back to where it came from."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.errors import BoathouseError
from boathouse.identity import Identity
from boathouse.platform import Platform
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
            found = _veiled(who, platform, platform.trace(who, where, id.strip()))
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


def _veiled(who: Identity, platform: Platform, found: dict[str, Any]) -> dict[str, Any]:
    """The trace without the names that the caller may not see; `hidden` says how many those are."""
    steps = [line.split(" -> ") for line in found["lineage"]]
    tables = {*found["features_from"], *found["training"]["tables"], *found["raw_tables"]}
    names = tables | {end.rpartition("@")[0] for step in steps for end in step}
    seen = {name for name in names if sight.node(who, platform, name)}

    def kept(versions: dict[str, Any]) -> dict[str, Any]:
        return {name: version for name, version in versions.items() if name in seen}

    training = {**found["training"], "tables": kept(found["training"]["tables"])}
    lines = [" → ".join(step) for step in steps if all(end.rpartition("@")[0] in seen for end in step)]
    raw = [name for name in found["raw_tables"] if name in seen]
    veiled = {"training": training, "features_from": kept(found["features_from"]), "raw_tables": raw}
    return {**found, **veiled, "lineage": lines, "hidden": len(names - seen)}
