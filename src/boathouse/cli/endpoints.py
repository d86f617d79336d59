"""Endpoints: what they serve, in which shares, and asking them."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from boathouse.cli.output import JSON, dump, facts, pairs, say, show, text
from boathouse.cli.session import connected

endpoints = typer.Typer(help="Endpoints: models over HTTP.", no_args_is_help=True)
_HEALTH = ["requests", "errors", "p99_ms"]
MODEL = typer.Option("", "--model", help="the registered model it serves, schema.model")
VERSION = typer.Option("champion", "--version", help="a version, a stage or an alias to follow")
SPEC = typer.Option("", "--spec", help="the feature spec it serves instead of a model")
FILE = typer.Option(None, "--file", help="its whole definition as JSON, as in the project file: config, description, tags")


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(endpoints, name="endpoints")


@endpoints.command("list")
def list_endpoints(as_json: bool = JSON) -> None:
    """Endpoints with the version they serve."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/endpoints", params={"environment": lake.environment})
        show(rows, ["name", "state", "model", "served_version", "wanted_version", "reason"], as_json, empty="no endpoints")


@endpoints.command("show")
def show_endpoint(name: str, as_json: bool = JSON) -> None:
    """One endpoint: its versions with their shares and health, and the rollout that goes on."""
    with connected() as lake:
        found = lake.call("GET", f"/api/v1/endpoints/{lake.environment}/{name}")
    if as_json:
        dump(found)
        return
    rollout = {"rollout": told_rollout(found["rollout"])} if found["rollout"] else {}
    facts({k: v for k, v in found.items() if k not in ("served", "rollout")} | rollout, False)
    rows = [{**one, **{k: one["health"][k] for k in _HEALTH}} for one in found["served"]]
    show(rows, ["version", "role", "percent", "state", *_HEALTH], False)
    for one in rows:
        if one["reason"]:
            say(f"version {text(one['wanted_version'])}: {one['reason']}")


@endpoints.command("create")
def create_endpoint(
    name: str,
    model: str = MODEL,
    version: str = VERSION,
    spec: str = SPEC,
    file: Path | None = FILE,
    as_json: bool = JSON,
) -> None:
    """An endpoint made by hand; those of a project are made by `boathouse deploy`. `endpoints traffic` adds versions to it."""
    with connected() as lake:
        there = lake.http.call("GET", "/api/v1/endpoints", params={"environment": lake.environment})
        if any(e["name"] == name for e in there):
            raise typer.BadParameter(f"there is an endpoint {lake.environment}.{name}; `boathouse endpoints update` changes it")
        _put(lake, name, _definition(lake, model, spec, version, file), as_json)


@endpoints.command("update")
def update_endpoint(
    name: str,
    model: str = MODEL,
    version: str = VERSION,
    spec: str = SPEC,
    file: Path | None = FILE,
    as_json: bool = JSON,
) -> None:
    """Let an endpoint that was made by hand serve something else. The old version answers until the new one can."""
    with connected() as lake:
        lake.call("GET", f"/api/v1/endpoints/{lake.environment}/{name}/traffic")  # an error where there is none
        _put(lake, name, _definition(lake, model, spec, version, file), as_json)


def _definition(lake: Any, model: str, spec: str, version: str, file: Path | None) -> dict[str, Any]:
    if sum(map(bool, (model, spec, file))) != 1:
        raise typer.BadParameter("name one of --model, --spec, --file")
    if file is not None:
        read: dict[str, Any] = json.loads(sys.stdin.read() if str(file) == "-" else file.read_text())
        return read
    return {"config": {"served_entities": [{"entity_name": lake.complete(model or spec), "entity_version": version}]}}


def _put(lake: Any, name: str, body: Mapping[str, Any], as_json: bool) -> None:
    done = lake.call("PUT", f"/api/v1/endpoints/{lake.environment}/{name}", body)
    entities = body.get("config", {}).get("served_entities") or [{}]
    if as_json:
        dump(done)
    else:
        say(f"endpoint {lake.environment}.{name} serves {entities[0].get('entity_name')}")


@endpoints.command("traffic")
def traffic(
    name: str,
    shares: list[str] = typer.Argument(None, metavar="[VERSION=PERCENT]...", help="for example champion=90 4=10"),
    as_json: bool = JSON,
) -> None:
    """The share of the requests that each version gets; with VERSION=PERCENT, share them out anew among an endpoint's versions.

    Requests with the same X-Routing-Key, routing_key or client_request_id go to the same version.
    """
    asked = pairs(shares or [], "share")
    if wrong := [value for value in asked.values() if not value.isdigit()]:
        raise typer.BadParameter(f"{wrong[0]!r} is no share: write whole percent, for example champion=90 4=10")
    with connected() as lake:
        address = f"/api/v1/endpoints/{lake.environment}/{name}/traffic"
        body = {"shares": {version: int(percent) for version, percent in asked.items()}}
        rows = lake.call("PUT", address, body) if asked else lake.call("GET", address)
    if not as_json:
        rows = [{**row, **{k: (row["health"] or {}).get(k) for k in _HEALTH}} for row in rows]
    show(rows, ["name", "percent", "serves", "gets", "state", *_HEALTH], as_json)


@endpoints.command("logs")
def logs(
    name: str,
    limit: int = typer.Option(200, "--limit", min=1, help="how many lines at most"),
    as_json: bool = JSON,
) -> None:
    """The last lines that an endpoint's model servers wrote: loading, refusals, and what models failed at."""
    with connected() as lake:
        found = lake.http.call("GET", f"/api/v1/endpoints/{lake.environment}/{name}/logs", params={"limit": limit})
    if as_json:
        dump(found["lines"])
    else:
        for line in found["lines"]:
            print(line)


@endpoints.command("delete")
def delete_endpoint(name: str) -> None:
    """End an endpoint that was made by hand, and forget it. Its logged requests stay."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/endpoints/{lake.environment}/{name}")
        say(f"deleted endpoint {lake.environment}.{name}")


@endpoints.command("query")
def query(
    name: str,
    body: str = typer.Argument(help="JSON, for example '{\"dataframe_records\": [{…}]}', or @FILE, or -"),
) -> None:
    """Ask an endpoint."""
    asked = sys.stdin.read() if body == "-" else Path(body[1:]).read_text() if body.startswith("@") else body
    with connected() as lake:
        lake.await_endpoint(name)
        address = f"/serving-endpoints/{lake.environment}.{name}/invocations"
        answer = lake.http.raw("POST", address, asked.encode(), "application/json")
        dump(
            {
                **answer.json(),
                "request_id": answer.headers.get("x-request-id"),
                "model_version": answer.headers.get("x-model-version"),
            }
        )
        if lake.owns_home:  # this process ends before the log is flushed by itself
            lake.call("POST", f"/api/v1/endpoints/{lake.environment}/{name}/flush")


def told_rollout(rollout: Mapping[str, Any]) -> str:
    """A rollout in one line."""
    share = f"{rollout['percent']:g} % of the requests" if rollout["mode"] == "canary" else "a shadow's answers"
    told = f"{rollout['state'].lower().replace('_', ' ')}, version {rollout['version']} beside {rollout['champion']}"
    told += f", {share} for {rollout['seconds']:g} s"
    health = rollout.get("health")
    if health and health["requests"]:
        told += f", {health['requests']} requests, {health['errors']} failed, p99 {text(health['p99_ms'])} ms"
    return told + (f": {rollout['reason']}" if rollout.get("reason") else "")
