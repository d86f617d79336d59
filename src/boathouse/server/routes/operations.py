"""Endpoints, monitors, alerts, and the trace of a prediction."""

from typing import Any

import httpx
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from boathouse.errors import InvalidInput, NotFound, NotPermitted, Unavailable
from boathouse.server.auth import Caller, Served
from boathouse.serving import served_entity

router = APIRouter(tags=["operations"])
_API = "/api/v1"


@router.get(f"{_API}/endpoints")
def endpoints(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Endpoints the caller may query, as they are."""
    known = {(e.environment, e.name): e.__dict__ for e in platform.endpoints.states(environment)}
    for deployed in platform.deployments.resources("model_serving_endpoint", environment):
        where, name = deployed.environment, deployed.name
        idle = {"state": "STOPPED", "reason": "starts with `boathouse up`, or when it is asked"}
        model = served_entity(where, deployed.definition)[0]
        known.setdefault((where, name), {"environment": where, "name": name, "model": model, **idle})
    return [e for (w, n), e in sorted(known.items()) if platform.access.allows(who, "QUERY", "endpoint", f"{w}.{n}")]


@router.get(_API + "/endpoints/{environment}/{name}")
def endpoint(environment: str, name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One endpoint; needs QUERY."""
    platform.access.authorize(who, "QUERY", "endpoint", f"{environment}.{name}")
    return platform.endpoints.state(environment, name).__dict__


@router.put(_API + "/endpoints/{environment}/{name}")
def put_endpoint(environment: str, name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Make or change an endpoint by hand; needs MANAGE ENDPOINT, and EXECUTE on what it serves."""
    platform.put_endpoint(who, environment, name, body)
    return {"environment": environment, "name": name}


@router.delete(_API + "/endpoints/{environment}/{name}")
def delete_endpoint(environment: str, name: str, who: Caller, platform: Served) -> None:
    """End an endpoint that was made by hand; needs MANAGE ENDPOINT."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    platform.deployments.remove(who, environment, "model_serving_endpoint", name)
    platform.endpoints.end(environment, name)


@router.post(_API + "/endpoints/{environment}/{name}/await/{version}")
def await_version(environment: str, name: str, version: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Block until an endpoint serves a version, two minutes at most."""
    platform.access.authorize(who, "QUERY", "endpoint", f"{environment}.{name}")
    return platform.endpoints.wait_for(environment, name, version).__dict__


@router.post(_API + "/endpoints/{environment}/{name}/flush")
def flush(environment: str, name: str, who: Caller, platform: Served) -> dict[str, int]:
    """Move logged requests into the bronze table now instead of soon."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    return {"rows": platform.flush_endpoint(environment, name)}


@router.post("/serving-endpoints/{full_name}/invocations")
async def invocations(full_name: str, request: Request) -> Response:
    """Ask an endpoint, `environment.name`; needs QUERY. JSON in MLflow's four forms, CSV or Parquet."""
    from boathouse.server.auth import caller, platform_of

    platform = platform_of(request)
    who = await run_in_threadpool(caller, request)
    environment, dot, name = full_name.partition(".")
    if not dot:
        raise NotFound(f"an endpoint's address is /serving-endpoints/ENVIRONMENT.NAME/invocations, not {full_name!r}")
    await run_in_threadpool(platform.access.authorize, who, "QUERY", "endpoint", full_name)
    state = await run_in_threadpool(platform.endpoints.state, environment, name)
    if state.served_version is None or state.port is None:
        raise Unavailable(f"endpoint {full_name} is {state.state}: {state.reason or 'try again in a moment'}")
    headers = {"X-Boathouse-Key": platform.endpoints.key, "X-Boathouse-Requester": who.principal,
               "Content-Type": request.headers.get("content-type", "application/json")}  # fmt: skip
    try:
        answer = await _client(request).post(
            f"http://127.0.0.1:{state.port}/invocations", content=await request.body(), headers=headers
        )
    except httpx.TransportError as error:
        platform.endpoints.wake()
        raise Unavailable(f"endpoint {full_name} does not answer and is started again ({error})") from error
    kept = {k: answer.headers[k] for k in ("x-request-id", "x-model-version") if k in answer.headers}
    return Response(answer.content, answer.status_code, kept, media_type="application/json")


def _client(request: Request) -> httpx.AsyncClient:
    state = request.app.state
    if not hasattr(state, "forwarding"):
        state.forwarding = httpx.AsyncClient(timeout=60, trust_env=False)
    client: httpx.AsyncClient = state.forwarding
    return client


async def close_forwarding(api: Any) -> None:
    """Close the connections to model servers, in the loop that opened them."""
    if hasattr(api.state, "forwarding"):
        await api.state.forwarding.aclose()


@router.get(f"{_API}/monitors")
def monitors(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Deployed monitors."""
    found = platform.deployments.resources("quality_monitor", environment)
    return [
        {"environment": m.environment, "name": m.name, "project": m.project, **platform.monitor(m.environment, m.name)["monitor"]}
        for m in found if platform.access.allows(who, "USE CATALOG", "catalog", m.environment)
    ]  # fmt: skip


@router.get(_API + "/monitors/{environment}/{name}")
def monitor(environment: str, name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A monitor, completed, with its alerts."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    return platform.monitor(environment, name)


@router.post(_API + "/monitors/{environment}/{name}/refreshes")
def refresh(environment: str, name: str, who: Caller, platform: Served, as_of: str = "") -> dict[str, str]:
    """Bring a monitor's tables up to date; needs RUN. The run's id."""
    platform.access.authorize(who, "RUN", "catalog", environment)
    return {"run_id": platform.refresh_monitor(environment, name, as_of)}


@router.get(f"{_API}/alerts")
def alerts(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Deployed alerts with what they said last."""
    states, said = platform.alerts.states(environment), ("state", "reason", "at")
    return [
        {"environment": a.environment, "name": a.name, "condition": a.definition["condition"], "monitor": a.definition["monitor"],
         "run_job": a.definition.get("run_job"), **{k: states.get((a.environment, a.name), {}).get(k) for k in said}}
        for a in platform.deployments.resources("alert", environment)
        if platform.access.allows(who, "USE CATALOG", "catalog", a.environment)
    ]  # fmt: skip


@router.get(f"{_API}/incidents")
def incidents(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Incidents, newest first."""
    found = platform.alerts.incidents(environment)
    return [i.__dict__ for i in found if platform.access.allows(who, "USE CATALOG", "catalog", i.environment)]


@router.post(_API + "/incidents/{number}/acknowledge")
def acknowledge(number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Say that you look after an incident; needs RUN."""
    platform.access.authorize(who, "RUN", "catalog", platform.alerts.incident(number).environment)
    return platform.alerts.acknowledge(number, who.principal).__dict__


@router.post(_API + "/alerts/{environment}/{name}/verdicts")
def judged(environment: str, name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Keep what an alert says; only the environment's own refresh may."""
    if who.environment != environment or not who.run_id:
        raise NotPermitted(f"alerts of {environment} are judged by its own refresh runs")
    platform.deployments.resource("alert", environment, name)
    if body.get("state") not in ("ok", "firing", "no_data"):
        raise InvalidInput("state is ok, firing or no_data")
    incident = platform.alerts.record(environment, name, body)
    return {"incident": incident.id if incident else None}


@router.get(_API + "/trace/{environment}/{prediction_id}")
def trace(environment: str, prediction_id: str, who: Caller, platform: Served) -> dict[str, Any]:
    """From one prediction back to request, features, version, run, commit and raw tables."""
    return platform.trace(who, environment, prediction_id)


@router.get(f"{_API}/idle")
def idle(who: Caller, platform: Served) -> dict[str, Any]:
    """Whether events wait or runs go on."""
    running = [r for r in platform.runs.newest(limit=200) if not r.done]
    waiting = platform.outbox.waiting()
    return {"idle": not running and not waiting, "runs": [r.id for r in running if platform.sees_run(who, r)], "events": waiting}
