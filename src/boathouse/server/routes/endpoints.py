"""Endpoints: what they serve in which shares, how well, and their answers."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from pydantic import BaseModel, Field

from boathouse.server.auth import Caller, Served, caller, platform_of
from boathouse.server.invocations import ROUTING_KEY, admit
from boathouse.server.question_body import read
from boathouse.serving import Answered, Asked

router = APIRouter(tags=["endpoints"])
_API = "/api/v1"
_ONE = _API + "/endpoints/{environment}/{name}"


class Shares(BaseModel):
    """The share of the requests, in whole percent, of each version: a number, a stage or an alias."""

    shares: dict[str, Annotated[int, Field(ge=0, le=100)]] = Field(min_length=1)


@router.get(f"{_API}/endpoints")
def endpoints(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Endpoints the caller may query, as they are."""
    return [state.__dict__ for state in platform.endpoints.deployed(environment)
            if platform.access.allows(who, "QUERY", "endpoint", f"{state.environment}.{state.name}")]  # fmt: skip


@router.get(_ONE)
def endpoint(environment: str, name: str, who: Caller, platform: Served, start: bool = False) -> dict[str, Any]:
    """One endpoint with its versions, shares and health, and the rollout that goes on; with `start` it starts; needs QUERY."""
    platform.access.authorize(who, "QUERY", "endpoint", f"{environment}.{name}")
    state = platform.endpoints.state(environment, name, start)
    return {**state.__dict__, "served": platform.traffic.served(state), "rollout": platform.traffic.rollout(state)}


@router.put(_ONE)
def put_endpoint(environment: str, name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Make or change an endpoint by hand; needs MANAGE ENDPOINT, and EXECUTE on what it serves."""
    platform.hand_made_endpoints.put(who, environment, name, body)
    return {"environment": environment, "name": name}


@router.delete(_ONE)
def delete_endpoint(environment: str, name: str, who: Caller, platform: Served) -> None:
    """End an endpoint that was made by hand; needs MANAGE ENDPOINT."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    platform.deployments.remove(who, environment, "model_serving_endpoint", name)
    platform.endpoints.end(environment, name)


@router.get(_ONE + "/traffic")
def traffic(environment: str, name: str, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """The shares that an endpoint's definition asks for, beside what each version gets now; needs QUERY."""
    platform.access.authorize(who, "QUERY", "endpoint", f"{environment}.{name}")
    return platform.traffic.shares(environment, name)


@router.put(_ONE + "/traffic")
def share_out(environment: str, name: str, body: Shares, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Share out the requests to an endpoint that was made by hand, among versions of its model; needs MANAGE ENDPOINT."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    platform.hand_made_endpoints.put(who, environment, name, platform.traffic.definition(environment, name, body.shares))
    return platform.traffic.shares(environment, name)


@router.get(_ONE + "/logs")
def logs(environment: str, name: str, who: Caller, platform: Served,
         limit: Annotated[int, Query(ge=1, le=10_000)] = 200) -> dict[str, list[str]]:  # fmt: skip
    """The last lines that an endpoint's model servers wrote; needs MANAGE ENDPOINT."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    return {"lines": platform.traffic.log(environment, name, limit)}


@router.post(_ONE + "/await/{version}")
def await_version(environment: str, name: str, version: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Block until an endpoint serves a version, two minutes at most."""
    platform.access.authorize(who, "QUERY", "endpoint", f"{environment}.{name}")
    return platform.endpoints.wait_for(environment, name, version).__dict__


@router.post(_ONE + "/flush")
def flush(environment: str, name: str, who: Caller, platform: Served) -> dict[str, int]:
    """Move logged requests into the bronze table now instead of soon."""
    platform.access.authorize(who, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
    return {"rows": platform.inference.flush(environment, name)}


@router.post("/serving-endpoints/{full_name}/invocations")
async def invocations(full_name: str, request: Request) -> Response:
    """Ask an endpoint, `environment.name`; needs QUERY. JSON in MLflow's four forms, CSV or Parquet, gzip or not."""
    platform = platform_of(request)
    who = await run_in_threadpool(caller, request)
    found = await run_in_threadpool(admit, platform, who, full_name)
    kind = request.headers.get("content-type", "application/json")
    body = await read(request.receive, request.headers.get("content-encoding"))
    asked = Asked(body, kind, who.principal, request.headers.get(ROUTING_KEY))
    answer = await request.app.state.invocations.router.ask(found, asked)
    return Response(answer.body, answer.status, dict(answer.headers), media_type="application/json")


async def ask(request: Request, environment: str, name: str, asked: Asked) -> Answered:
    """An endpoint's answer, for pages."""
    route = await run_in_threadpool(platform_of(request).endpoints.route, environment, name)
    answer: Answered = await request.app.state.invocations.router.ask(route, asked)
    return answer
