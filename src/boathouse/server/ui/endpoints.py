"""Endpoints: what they serve and how well, and a form to ask one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anyio.from_thread
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.errors import BoathouseError, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.routes.endpoints import ask as ask_endpoint
from boathouse.server.ui import sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import page
from boathouse.serving import Asked, EndpointState, served_entity

router = APIRouter()
_EXAMPLE = '{"dataframe_records": [{}]}'
_RECENT = 200


@dataclass(frozen=True)
class Endpoint:
    """A deployed endpoint; without a state it was not started yet."""

    environment: str
    name: str
    model: str
    reference: str
    state: EndpointState | None
    linked: bool
    """Whether the model has a page for the caller: a bundle may name one that nobody has trained yet."""

    @property
    def full_name(self) -> str:
        """As in its address."""
        return f"{self.environment}.{self.name}"


@router.get("/endpoints")
def endpoints(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """The endpoints the caller may ask."""
    return page(request, who, "endpoints.html", endpoints=_all(who, platform))


@router.get("/endpoints/{environment}/{name}")
def endpoint(environment: str, name: str, request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """One endpoint."""
    found = _one(who, platform, environment, name)
    log = _log(who, platform, found)
    body = _pretty(next((r["request"] for r in log.get("rows", ()) if r["request"]), _EXAMPLE))
    return page(request, who, "endpoint.html", log=log, body=body, answer=None, fault="", **_traffic(platform, found))


@router.post("/endpoints/{environment}/{name}")
def ask(
    environment: str, name: str, request: Request, who: Caller, platform: Served, *, fields: Fields
) -> HTMLResponse:
    """Ask an endpoint; the answer stands below the form."""
    found = _one(who, platform, environment, name)
    body = fields.get("body", "")
    status, answer, fault = 200, None, ""
    try:
        platform.access.authorize(who, "QUERY", "endpoint", found.full_name)
        answer = anyio.from_thread.run(_ask, request, who, found, body)
    except BoathouseError as error:  # what was typed stays in the form
        status, fault = error.http_status, str(error)
    values = {"body": _pretty(body), "answer": answer, "fault": fault, **_traffic(platform, found)}
    return page(request, who, "endpoint.html", status=status, log=_log(who, platform, found), **values)


def _all(who: Identity, platform: Platform) -> list[Endpoint]:
    states = {(s.environment, s.name): s for s in platform.endpoints.states()}
    wanted = {
        (r.environment, r.name): served_entity(r.environment, r.definition)
        for r in platform.deployments.resources("model_serving_endpoint")
    }
    return [
        Endpoint(*key, *(served := wanted.get(key, (states[key].model if key in states else "", ""))), states.get(key),
                 sight.knows_model(who, platform, served[0]))
        for key in sorted({*states, *wanted}, key=lambda key: sight.rank(".".join(key)))
        if platform.access.allows(who, "QUERY", "endpoint", ".".join(key))
    ]  # fmt: skip


def _one(who: Identity, platform: Platform, environment: str, name: str) -> Endpoint:
    for found in _all(who, platform):
        if (found.environment, found.name) == (environment, name):
            return found
    raise NotFound(f"there is no endpoint {environment}.{name} that you may see")


def _traffic(platform: Platform, found: Endpoint) -> dict[str, Any]:
    """The endpoint with its versions in their shares and the rollout that goes on."""
    state = found.state
    return {"endpoint": found, "served": platform.traffic.served(state) if state else [],
            "rollout": platform.traffic.rollout(state) if state else None}  # fmt: skip


async def _ask(request: Request, who: Identity, found: Endpoint, body: str) -> dict[str, Any]:
    answer = await ask_endpoint(
        request, found.environment, found.name, Asked(body.encode(), "application/json", who.principal)
    )
    return {
        "status": answer.status,
        "body": _pretty(answer.body.decode(errors="replace")),
        "request_id": answer.headers.get("x-request-id", ""),
        "version": answer.headers.get("x-model-version", ""),
        "milliseconds": answer.seconds * 1000,
    }


def _log(who: Identity, platform: Platform, found: Endpoint) -> Mapping[str, Any]:
    """The newest logged requests, if the caller may read them."""
    table = f"{found.model}_payload"
    if not platform.access.allows(who, "SELECT", "table", table) or not sight.uses(
        who, platform, found.environment
    ):
        return {}
    try:
        shadows = any(column.name == "mode" for column in platform.catalog.table(table).columns)
    except NotFound:
        return {}
    unseen = "AND mode IS DISTINCT FROM 'shadow'" if shadows else ""
    quoted = ".".join(f'"{level}"' for level in table.split("."))
    query = (
        "SELECT request_id, request_time, requester, model_version, status_code, execution_duration_ms,"
        " request "
        f"FROM {quoted} WHERE endpoint IN ('{found.name}', '{found.full_name}') "
        f"{unseen} "
        f"ORDER BY request_time DESC LIMIT {_RECENT}"
    )
    try:
        with platform.sql.run(who, query, found.environment) as result:
            rows = result.to_dicts()
    except BoathouseError:  # nothing was logged yet, so there is no table
        return {}
    times = sorted(r["execution_duration_ms"] for r in rows if r["execution_duration_ms"] is not None)
    failed = sum(1 for r in rows if (r["status_code"] or 0) >= 400)
    percentile = (
        {p: times[min(len(times) - 1, int(len(times) * p / 100))] for p in (50, 95, 99)} if times else {}
    )
    return {"rows": rows, "failed": failed, "percentile": percentile, "table": table}


def _pretty(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
