"""Monitors, alerts, and the trace of a prediction."""

from typing import Any

from fastapi import APIRouter

from boathouse import clock
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.server.auth import Caller, Served

router = APIRouter(tags=["operations"])
_API = "/api/v1"


@router.get(f"{_API}/monitors")
def monitors(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Deployed monitors."""
    found = platform.deployments.resources("quality_monitor", environment)
    return [
        {"environment": m.environment, "name": m.name, "project": m.project,
         **platform.monitors.get(m.environment, m.name)["monitor"]}
        for m in found if platform.access.allows(who, "USE CATALOG", "catalog", m.environment)
    ]  # fmt: skip


@router.get(_API + "/monitors/{environment}/{name}")
def monitor(environment: str, name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A monitor, completed, with its alerts."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    return platform.monitors.get(environment, name)


@router.post(_API + "/monitors/{environment}/{name}")
def create_monitor(environment: str, name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """A monitor by hand, its body as under `quality_monitors` in the project file; needs DEPLOY, and SELECT on what it reads."""
    return platform.monitors.create(who, environment, name, body)


@router.delete(_API + "/monitors/{environment}/{name}")
def delete_monitor(environment: str, name: str, who: Caller, platform: Served) -> dict[str, str]:
    """Delete a monitor that was made by hand; what it found stays. Needs DEPLOY."""
    platform.monitors.delete(who, environment, name)
    return {"environment": environment, "deleted": name}


@router.post(_API + "/monitors/{environment}/{name}/refreshes")
def refresh(environment: str, name: str, who: Caller, platform: Served, as_of: str = "") -> dict[str, str]:
    """Bring a monitor's tables up to date; needs RUN. The run's id."""
    platform.access.authorize(who, "RUN", "catalog", environment)
    return {"run_id": platform.monitors.refresh(environment, name, as_of)}


@router.get(f"{_API}/alerts")
def alerts(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Deployed alerts with what they said last."""
    states, said = platform.alerts.states(environment), ("state", "reason", "at", "muted_until")
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


@router.get(_API + "/alerts/{environment}/{name}/test")
def try_alert(environment: str, name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """What an alert would say and do now, window by window; needs SELECT on its monitor's gold tables. Changes nothing."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    return platform.monitors.try_alert(who, environment, name)


@router.post(_API + "/alerts/{environment}/{name}/mute")
def mute(environment: str, name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Open no incident of an alert for a time; needs RUN. Until when."""
    platform.access.authorize(who, "RUN", "catalog", environment)
    platform.deployments.resource("alert", environment, name)
    try:
        span = clock.parse_span(str(body.get("for") or ""))
        until = platform.alerts.mute(environment, name, span, who.principal)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"for: {error}") from error
    return {"environment": environment, "alert": name, "muted_until": until.isoformat()}


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
    return {"idle": not running and not waiting, "runs": [r.id for r in running if platform.jobs.sees(who, r)], "events": waiting}
