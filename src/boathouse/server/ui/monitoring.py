"""Monitors: quality, rates, volume and drift over time, with alerts, incidents and promotions."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from boathouse import clock
from boathouse.alerts import Incident, parse_condition
from boathouse.environments import Resource
from boathouse.errors import BoathouseError, InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.names import parse
from boathouse.platform import Platform
from boathouse.registry import PRODUCTION
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import charts, gold, sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import HEADERS, done, page, query

router = APIRouter()
Wanted = Annotated[gold.Asked, Depends()]
_DRIFTED = 0.1
"""From here on a PSI is usually called a moderate shift; below 0.1 it is not."""


@dataclass(frozen=True)
class Alert:
    """A deployed alert, what it said last, and its incidents, newest first."""

    name: str
    definition: Mapping[str, Any]
    state: str
    reason: str
    at: datetime | None
    muted_until: datetime | None
    incidents: tuple[Incident, ...]


@router.get("/monitoring")
def monitors(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Deployed monitors, and every incident."""
    seen = sight.environments(who, platform)
    found = [m for e in seen for m in platform.deployments.resources("quality_monitor", e)]
    rows = [(m, _watched(platform, m), _alerts(platform, m.environment, m.name)) for m in found]
    incidents = [i for i in platform.alerts.incidents() if i.environment in seen]
    may_run = {e: sight.may(who, platform, "RUN", e) for e in seen}
    return page(request, who, "monitors.html", monitors=rows, incidents=incidents, may_run=may_run)


@router.get("/monitoring/{environment}/{name}")
def monitor(
    environment: str, name: str, request: Request, who: Caller, platform: Served, *, asked: Wanted
) -> HTMLResponse:
    """One monitor."""
    definition = _definition(who, platform, environment, name)
    findings, fault = None, ""
    try:
        findings = gold.read(who, platform, environment, definition, asked)
    except NotFound:
        fault = "This monitor was not refreshed yet: its tables are made by the first refresh."
    except BoathouseError as error:
        fault = str(error)
    here = f"/monitoring/{environment}/{name}"
    return page(
        request,
        who,
        "monitor.html",
        name=name,
        environment=environment,
        monitor=definition,
        findings=findings,
        fault=fault,
        alerts=_alerts(platform, environment, name),
        here=here,
        tables=gold.tables(environment, definition),
        watched=str(parse(str(definition["table_name"]), environment)),
        source=query(f"{here}/charts.json", granularity=asked.granularity, slice=asked.slice),
        metrics=charts.quality_metrics(findings) if findings else [],
        label=charts.label,
        slice_name=gold.slice_name,
        drifted=_drifted(findings) if findings else [],
        model=_model(platform, environment, definition),
        may_run=sight.may(who, platform, "RUN", environment),
        limit=_DRIFTED,
    )


@router.get("/monitoring/{environment}/{name}/charts.json")
def drawn(environment: str, name: str, who: Caller, platform: Served, asked: Wanted) -> JSONResponse:
    """The charts of a monitor's page."""
    definition = _definition(who, platform, environment, name)
    findings = gold.read(who, platform, environment, definition, asked)
    limits = [_limit(a, findings.choice) for a in _alerts(platform, environment, name)]
    markers = _markers(who, platform, _model(platform, environment, definition), findings)
    return JSONResponse(charts.charts(findings, markers, limits), headers=HEADERS)


@router.post("/monitoring/{environment}/{name}/refresh")
def refresh(environment: str, name: str, who: Caller, platform: Served) -> Response:
    """Bring a monitor's tables up to date; needs RUN."""
    platform.access.authorize(who, "RUN", "catalog", environment)
    return done(
        f"/runs/{platform.monitors.refresh(environment, name)}", f"The monitor {name} is being refreshed."
    )


@router.post("/incidents/{number}/acknowledge")
def acknowledge(number: int, who: Caller, platform: Served) -> Response:
    """Say that you look after an incident; needs RUN."""
    platform.access.authorize(who, "RUN", "catalog", platform.alerts.incident(number).environment)
    platform.alerts.acknowledge(number, who.principal)
    return done("/monitoring", "The incident is yours.")


@router.post("/alerts/{environment}/{name}/mute")
def mute(environment: str, name: str, who: Caller, platform: Served, sent: Fields) -> Response:
    """Open no incident of an alert for a time, `for`; needs RUN. `0s` ends it."""
    platform.access.authorize(who, "RUN", "catalog", environment)
    alert = platform.deployments.resource("alert", environment, name)
    try:
        span = clock.parse_span(sent.get("for", ""))
        until = platform.alerts.mute(environment, name, span, who.principal)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(str(error)) from error
    said = f"{name} opens no incident until {until:%Y-%m-%d %H:%M} UTC." if span else f"{name} is muted no more."
    return done(f"/monitoring/{environment}/{alert.definition['monitor']}", said)


def _definition(who: Identity, platform: Platform, environment: str, name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = platform.monitors.get(sight.environment(who, platform, environment), name)[
        "monitor"
    ]
    return found


def _watched(platform: Platform, resource: Resource) -> str:
    return str(platform.monitors.get(resource.environment, resource.name)["monitor"].get("table_name", ""))


def _alerts(platform: Platform, environment: str, name: str) -> list[Alert]:
    states = platform.alerts.states(environment)
    incidents = platform.alerts.incidents(environment)
    found = []
    for alert in platform.monitors.get(environment, name)["alerts"]:
        said = states.get((environment, alert["name"]), {})
        mine = tuple(i for i in incidents if i.alert == alert["name"])
        found.append(
            Alert(
                alert["name"],
                alert["definition"],
                said.get("state", ""),
                said.get("reason", ""),
                said.get("at"),
                said.get("muted_until"),
                mine,
            )
        )
    return found


def _limit(alert: Alert, choice: gold.Choice) -> charts.Limit:
    """An alert's threshold where its condition compares one metric with a number."""
    condition = parse_condition(alert.definition["condition"])
    value = None
    match condition.tree:
        case ast.Compare(
            left=ast.Name() | ast.Attribute(), comparators=[ast.Constant(value=int() | float() as limit)]
        ):
            value = float(limit)
    broken = {
        clock.parse_instant(w["start"])
        for incident in alert.incidents
        for w in incident.windows
        if w.get("violated") and w.get("granularity") in (None, choice.granularity) and not choice.slice
    }
    return charts.Limit(alert.name, tuple(condition.metrics.values()), value, tuple(sorted(broken)))


def _model(platform: Platform, environment: str, definition: Mapping[str, Any]) -> str | None:
    """The registered model whose predictions are watched."""
    watched = str(parse(str(definition["table_name"]), environment))
    name = watched.removesuffix("_inference")
    known = {m.name for m in platform.registry.models(environment)} if name != watched else set()
    return name if name in known else None


def _markers(
    who: Identity, platform: Platform, model: str | None, findings: gold.Findings
) -> list[charts.Marker]:
    """When each version took over: its promotion where that lies among the windows, else its first window.

    Windows follow the data's time, which may be simulated; promotions happen in real time.
    """
    if not model or not findings.windows or not platform.catalog.visible(who, "model", model):
        return []
    begin, end = findings.windows[0]["start"], max(w["end"] for w in findings.windows)
    first: dict[str, datetime] = {}
    for window in findings.windows:
        first.setdefault(window["model"], window["start"])
    found = []
    for change in platform.registry.history(model):
        if change.to_stage != PRODUCTION:
            continue
        promoted = change.at.astimezone(UTC)
        at = promoted if begin <= promoted <= end else first.get(str(change.version))
        told = f"version {change.version}: {change.action} by {change.principal} {promoted:%Y-%m-%d %H:%M}"
        if at:
            found.append(charts.Marker(at, f"v{change.version}", told))
    return found


def _drifted(findings: gold.Findings) -> Sequence[Mapping[str, Any]]:
    """Columns by their strongest drift above the noise, with that window and the newest value."""
    found: dict[str, list[gold.Row]] = {}
    for row in findings.drift:
        if row["population_stability_index"] is not None:
            found.setdefault(row["column_name"], []).append(row)
    worst = {column: max(rows, key=gold.above_noise) for column, rows in found.items()}
    return sorted(
        (
            {
                "column": column,
                "worst": gold.above_noise(row),
                "at": row["start"],
                "newest": found[column][-1]["population_stability_index"],
                "noise": found[column][-1]["noise_floor"],
            }
            for column, row in worst.items()
        ),
        key=lambda r: -r["worst"],
    )
