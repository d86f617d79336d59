"""Registered models: versions, verdicts, history, and the moves that delivery makes."""

from types import SimpleNamespace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from boathouse.delivery import Check, Evidence, Outcome
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.names import parse
from boathouse.platform import Platform, tests_going
from boathouse.server.acting import changing
from boathouse.server.auth import Caller, Served
from boathouse.server.paging import After, Limit, gathered, lead_on
from boathouse.training import TOLERANCE

router = APIRouter(prefix="/api/v1", tags=["models"])
Versions = Annotated[int, Query(ge=1, le=10_000)]


class Reason(BaseModel):
    """Why a pointer is moved."""

    reason: str = ""


class Found(BaseModel):
    """One check of a system outside."""

    name: str
    outcome: Outcome
    reason: str


class Judged(BaseModel):
    """What a system outside found; `url` leads to its own report."""

    checks: list[Found]
    url: str | None = None


class Described(BaseModel):
    """What is said of a model or version; a tag that is null goes, what is left out stays."""

    description: str | None = None
    tags: dict[str, str | None] = Field(default_factory=dict)


class Said(BaseModel):
    """A comment; on the model, or on one version by number, stage or alias."""

    text: str
    version: str | None = None


class CopyTo(BaseModel):
    """An environment, where the copy keeps schema and name, or a full name `environment.schema.model`."""

    to: str


class Tolerance(BaseModel):
    """How far numbers may be apart, relative to their size."""

    tolerance: float = Field(default=TOLERANCE, ge=0)


@router.get("/models")
def models(who: Caller, platform: Served, request: Request, response: Response, environment: str | None = None,
           search: str | None = None, tag: Annotated[list[str] | None, Query()] = None,
           limit: Limit = None, after: After = None) -> list[dict[str, Any]]:  # fmt: skip
    """Models the caller may see, with their Production version; by a part of name or description, by `tag` KEY or KEY=VALUE."""
    tags = [(key, value if given else None) for key, given, value in (one.partition("=") for one in tag or ())]
    found = gathered(
        lambda after, limit: platform.registry.models(environment, after=after, limit=limit, part=search, tags=tags),
        lambda m: platform.catalog.visible(who, "model", m.name), lambda m: m.name, limit, after,
    )  # fmt: skip
    return [m.__dict__ for m in lead_on(request, response, found, limit, lambda m: m.name)]


@router.get("/models/{name}")
def model(name: str, who: Caller, platform: Served, limit: Versions = 1000, before: int | None = None) -> dict[str, Any]:
    """A model with its history and its newest versions, `limit` of them older than version `before`, and their verdicts."""
    _seen(who, platform, name)
    newest: dict[int, Any] = {}
    told = []
    for verdict in platform.registry.verdicts(name):
        newest.setdefault(verdict.version, verdict.verdict)
        said = {key: verdict.verdict.get(key) for key in ("outcome", "reasons", "waits", "by", "run_id")}
        told.append({"at": verdict.at, "version": verdict.version, **said})
    going = tests_going(platform.runs, name)
    versions = [{**v.__dict__, "verdict": newest.get(v.version), "testing": going.get(v.version)}
                for v in platform.registry.versions(name, limit, before)]  # fmt: skip
    history = [h.__dict__ for h in platform.registry.history(name)]
    try:
        owner = platform.catalog.require("model", name).owner
    except NotFound:  # of a moment ago: its owner is noted in a moment
        owner = None
    said = {"owner": owner, "comments": [c.__dict__ for c in platform.registry.comments(name)],
            "rollout": platform.delivery.rollouts.told(name)}  # fmt: skip
    return {**platform.registry.model(name).__dict__, **said, "versions": versions, "history": history, "verdicts": told}


@router.patch("/models/{name}")
def describe(name: str, body: Described, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Describe and tag a model, as MLflow's clients see it; needs CREATE MODEL, PROMOTE or MANAGE on it."""
    with changing(request, who, platform) as store, platform.database.writing():
        if body.description is not None:
            store.update_registered_model(name, body.description)
        for key, value in body.tags.items():
            if value is None:
                store.delete_registered_model_tag(name, key)
            else:
                store.set_registered_model_tag(name, SimpleNamespace(key=key, value=value))
    return platform.registry.model(name).__dict__


@router.patch("/models/{name}/versions/{reference}")
def describe_version(
    name: str, reference: str, body: Described, who: Caller, platform: Served, request: Request
) -> dict[str, Any]:
    """Describe and tag a version, by number, stage or alias; needs what describing the model does."""
    with changing(request, who, platform) as store, platform.database.writing():
        number = platform.registry.resolve(name, reference)
        if body.description is not None:
            store.update_model_version(name, number, body.description)
        for key, value in body.tags.items():
            if value is None:
                store.delete_model_version_tag(name, number, key)
            else:
                store.set_model_version_tag(name, number, SimpleNamespace(key=key, value=value))
    return platform.registry.version(name, number).__dict__


@router.get("/models/{name}/comments")
def comments(name: str, who: Caller, platform: Served, version: int | None = None) -> list[dict[str, Any]]:
    """What was said about a model and its versions, or one version; oldest first."""
    _seen(who, platform, name)
    return [c.__dict__ for c in platform.registry.comments(name, version)]


@router.post("/models/{name}/comments", status_code=201)
def comment(name: str, body: Said, who: Caller, platform: Served) -> dict[str, int]:
    """Say something about a model or a version; needs to see it. The comment's id."""
    _seen(who, platform, name)
    version = platform.registry.resolve(name, body.version) if body.version is not None else None
    return {"id": platform.registry.comment(name, version, body.text, principal=who.principal)}


@router.delete("/models/{name}/comments/{number}")
def uncomment(name: str, number: int, who: Caller, platform: Served) -> None:
    """Take a comment away: one's own, or with MANAGE on the model anybody's."""
    _seen(who, platform, name)
    manages = platform.access.allows(who, "MANAGE", "model", name)
    platform.registry.uncomment(name, number, principal=who.principal, any_of_them=manages)


@router.delete("/models/{name}")
def delete(name: str, who: Caller, platform: Served, version: int | None = None, force: bool = False) -> None:
    """Delete a model, or one version of it; needs MANAGE. Refused while it is Production or, unless forced, in use."""
    platform.access.authorize(who, "MANAGE", "model", name)
    platform.registry.delete(name, version, principal=who.principal, force=force)


@router.get("/models/{name}/versions/{reference}")
def version(name: str, reference: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One version, by number, stage or `@alias`, with its newest verdict and the run `testing` it now; needs EXECUTE."""
    platform.access.authorize(who, "EXECUTE", "model", name)
    number = platform.registry.resolve(name, reference)
    found = platform.registry.version(name, number)
    verdicts = platform.registry.verdicts(name, number)
    origins = [o.__dict__ for o in platform.registry.origins(name, number) if platform.catalog.visible(who, "model", o.model)]
    return {**found.__dict__, "verdict": verdicts[0].verdict if verdicts else None, "copied_from": origins,
            "testing": tests_going(platform.runs, name).get(number)}  # fmt: skip


@router.post("/models/{name}/versions/{reference}/copy", status_code=201)
def copy(name: str, reference: str, body: CopyTo, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Copy a version to another environment or model, which is made if need be; its delivery tests the copy.

    Needs EXECUTE on the version and CREATE MODEL where the copy goes. `delivery` is the mode in which it is tested, or null.
    """
    target = str(parse(body.to if "." in body.to else f"{body.to}.{name.partition('.')[2]}"))
    with changing(request, who, platform) as store:
        made = store.copy_version(name, reference, target)
    plan, origin = platform.delivery.plan(target), platform.registry.origins(target, int(made.version))[0]
    source = {"model": origin.model, "version": origin.version}
    return {"model": target, "version": int(made.version), "copied_from": source, "delivery": plan.mode if plan else None}


@router.get("/models/{name}/versions/{number}/test")
def test_task(name: str, number: int, who: Caller, platform: Served) -> dict[str, Any]:
    """What a testing run must know."""
    platform.access.authorize(who, "EXECUTE", "model", name)
    return platform.delivery.task(name, number)


@router.post("/models/{name}/versions/{number}/test")
def test(name: str, number: int, who: Caller, platform: Served) -> dict[str, str]:
    """Move a version to Staging and test it; needs PROMOTE. The run's id."""
    platform.access.authorize(who, "PROMOTE", "model", name)
    return {"run_id": platform.delivery.test(name, number)}


@router.post("/models/{name}/versions/{number}/evidence")
def conclude(name: str, number: int, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Evidence in, verdict out; only from the environment's own testing run."""
    try:
        evidence = Evidence.from_dict(body)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the evidence cannot be read: {error}") from error
    return platform.delivery.conclude(who, name, number, evidence).to_dict()


@router.get("/models/{name}/versions/{number}/verdicts")
def verdicts(name: str, number: int, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Every verdict on a version, newest first; needs EXECUTE."""
    platform.access.authorize(who, "EXECUTE", "model", name)
    platform.registry.version(name, number)
    return [{"id": v.id, "at": v.at, **v.verdict} for v in platform.registry.verdicts(name, number)]


@router.post("/models/{name}/versions/{number}/verdicts")
def judge(name: str, number: int, body: Judged, who: Caller, platform: Served) -> dict[str, Any]:
    """What a system outside found of a version, in mode external; needs PROMOTE. The verdict that its checks amount to."""
    checks = [Check(c.name, c.outcome, c.reason) for c in body.checks]
    return platform.delivery.judge(who, name, number, checks, body.url).to_dict()


@router.post("/models/{name}/versions/{number}/promote")
def promote(name: str, number: int, body: Reason, who: Caller, platform: Served) -> dict[str, Any]:
    """Make a version Production, or begin its rollout; needs PROMOTE, and a verdict that passes. The `rollout`, or null."""
    return {"rollout": platform.delivery.promote(who, name, number, body.reason)}


@router.post("/models/{name}/versions/{number}/approve")
def approve(name: str, number: int, body: Reason, who: Caller, platform: Served) -> dict[str, Any]:
    """Approve a version that waits; needs APPROVE. The `rollout` that begins by it, or null."""
    return {"rollout": platform.delivery.approve(who, name, number, body.reason)}


@router.post("/models/{name}/versions/{number}/reject")
def reject(name: str, number: int, body: Reason, who: Caller, platform: Served) -> None:
    """Refuse a version that waits; needs APPROVE."""
    platform.delivery.reject(who, name, number, body.reason)


@router.post("/models/{name}/versions/{reference}/reproduce")
def reproduce(name: str, reference: str, body: Tolerance, who: Caller, platform: Served) -> dict[str, str]:
    """Make a version again from its record; needs EXECUTE on it and RUN in its environment. The reproduction's id."""
    return {"id": platform.reproduction.start(who, name, reference, body.tolerance)}


@router.get("/reproductions/{run_id}")
def reproduction(run_id: str, who: Caller, platform: Served) -> dict[str, Any]:
    """How a reproduction stands, and in the end its verdict, the first cause of a difference, and what was compared."""
    report = platform.reproduction.report(run_id)
    _seen(who, platform, report["model"])
    return report


@router.post("/models/{name}/rollback")
def rollback(name: str, body: Reason, who: Caller, platform: Served) -> dict[str, int]:
    """Make the former Production version Production again, or end the rollout that goes on; needs PROMOTE."""
    return {"version": platform.delivery.rollback(who, name, body.reason)}


def _seen(who: Identity, platform: Platform, name: str) -> None:
    if not platform.catalog.visible(who, "model", name):
        platform.access.authorize(who, "EXECUTE", "model", name)
    platform.registry.model(name)
