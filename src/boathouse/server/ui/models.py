"""Models: versions and stages, what the tests of a version found, and the moves that delivery makes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boathouse.delivery import direction_of
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform, tests_going
from boathouse.registry import MAY_EDIT, PRODUCTION, STAGING, Verdict, VersionInfo
from boathouse.server.acting import changing
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import lineage, sight
from boathouse.server.ui.environments import waiting
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import done, page, query

router = APIRouter()
PAGE = 200
RECORD = tuple(
    f"boathouse.{k}"
    for k in ("environment", "project", "git_commit", "git_dirty", "lock_hash", "job_run", "python", "tables")
)


@dataclass(frozen=True)
class Metric:
    """One metric of a candidate beside the champion's; `better` is None where that is not known."""

    name: str
    candidate: Any
    champion: Any
    difference: tuple[float, float, float] | None
    better: bool | None


@dataclass(frozen=True)
class Version:
    """A version with the newest verdict on it, if there is one."""

    info: VersionInfo
    verdict: Verdict | None

    @property
    def outcome(self) -> str:
        """pass, hold, fail, or nothing."""
        return str(self.verdict.verdict.get("outcome", "")) if self.verdict else ""


@router.get("/models")
def models(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """The models the caller may see."""
    found = [m for m in platform.registry.models() if platform.catalog.visible(who, "model", m.name)]
    rows = [(m, waiting(platform, m)) for m in sorted(found, key=lambda m: sight.rank(m.name))]
    return page(request, who, "models.html", models=rows)


@router.get("/models/{name}")
def model(
    name: str, request: Request, who: Caller, platform: Served, version: int | None = None, before: int | None = None
) -> HTMLResponse:
    """One model; of its versions one in detail."""
    info = platform.registry.model(sight.model(who, platform, name))
    newest: dict[int, Verdict] = {}
    for verdict in platform.registry.verdicts(name):
        newest.setdefault(verdict.version, verdict)
    versions = [Version(v, newest.get(v.version)) for v in platform.registry.versions(name, PAGE, before)]
    held = waiting(platform, info)
    wanted = version or held or info.latest_version
    chosen = next((v for v in versions if v.info.version == wanted), None)
    if wanted and not chosen:  # one that is not on this page
        chosen = Version(platform.registry.version(name, wanted), newest.get(wanted))
    history = platform.registry.history(name)
    produced = {c.version for c in history if c.to_stage == PRODUCTION}
    return page(
        request,
        who,
        "model.html",
        model=info,
        versions=versions,
        older=versions[-1].info.version if len(versions) == PAGE else None,
        history=history[::-1],
        waiting=held,
        detail=_detail(who, platform, chosen) if chosen else None,
        plan=platform.delivery.plan(name),
        comments=platform.registry.comments(name),
        owner=_owner(platform, name),
        may_edit=any(platform.access.allows(who, p, "model", name) for p in MAY_EDIT),
        rollout=platform.delivery.rollouts.told(name),
        may_approve=platform.access.allows(who, "APPROVE", "model", name),
        may_promote=platform.access.allows(who, "PROMOTE", "model", name),
        can_roll_back=len(produced) > 1,
        family=lineage.family(who, platform, f"model:{name}"),
        href=lineage.href,
    )


@router.post("/models/{name}/describe")
def describe(name: str, request: Request, who: Caller, platform: Served, fields: Fields) -> Response:
    """Say what a model, or one version of it, is for; needs CREATE MODEL, PROMOTE or MANAGE."""
    version, text = fields.get("version", ""), fields.get("description", "")
    with changing(request, who, platform) as store:
        if version:
            store.update_model_version(name, int(version), text)
        else:
            store.update_registered_model(name, text)
    return done(query(f"/models/{name}", version=version or None), "The description is changed.")


@router.post("/models/{name}/tags")
def tag(name: str, request: Request, who: Caller, platform: Served, fields: Fields) -> Response:
    """Tag a model, or one version of it, or take a tag away where no value is given; needs what describing does."""
    version, key, value = (fields.get(field, "").strip() for field in ("version", "key", "value"))
    which = (name, int(version)) if version else (name,)
    kind = "model_version" if version else "registered_model"
    with changing(request, who, platform) as store:
        if value:
            getattr(store, f"set_{kind}_tag")(*which, SimpleNamespace(key=key, value=value))
        else:
            getattr(store, f"delete_{kind}_tag")(*which, key)
    told = f"The tag {key} is set." if value else f"The tag {key} is gone."
    return done(query(f"/models/{name}", version=version or None), told)


@router.post("/models/{name}/comments")
def comment(name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """Say something about a model, or the version that is looked at."""
    sight.model(who, platform, name)
    version = fields.get("version", "")
    platform.registry.comment(name, int(version) if version else None, fields.get("text", ""), principal=who.principal)
    return done(query(f"/models/{name}", version=version or None) + "#comments", "Your comment is there.")


@router.post("/models/{name}/versions/{number}/approve")
def approve(name: str, number: int, who: Caller, platform: Served, fields: Fields) -> Response:
    """Approve a version that waits; needs APPROVE."""
    rollout = platform.delivery.approve(who, name, number, fields.get("reason", ""))
    now = "its rollout begins" if rollout else "now Production"
    return done(query(f"/models/{name}", version=number), f"Version {number} is approved and {now}.")


@router.post("/models/{name}/versions/{number}/reject")
def reject(name: str, number: int, who: Caller, platform: Served, fields: Fields) -> Response:
    """Refuse a version that waits; needs APPROVE."""
    platform.delivery.reject(who, name, number, fields.get("reason", ""))
    return done(query(f"/models/{name}", version=number), f"Version {number} is rejected and archived.")


@router.post("/models/{name}/versions/{number}/test")
def test(name: str, number: int, who: Caller, platform: Served) -> Response:
    """Move a version to Staging and test it; needs PROMOTE."""
    platform.access.authorize(who, "PROMOTE", "model", name)
    return done(f"/runs/{platform.delivery.test(name, number)}", f"Version {number} is being tested.")


@router.post("/models/{name}/versions/{number}/promote")
def promote(name: str, number: int, who: Caller, platform: Served, fields: Fields) -> Response:
    """Make a version Production; needs PROMOTE, and a verdict that passes."""
    rollout = platform.delivery.promote(who, name, number, fields.get("reason", ""))
    now = f"The rollout of version {number} begins." if rollout else f"Version {number} is now Production."
    return done(query(f"/models/{name}", version=number), now)


@router.post("/models/{name}/rollback")
def rollback(name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """Make the former Production version Production again, or end the rollout that goes on; needs PROMOTE."""
    version = platform.delivery.rollback(who, name, fields.get("reason", ""))
    return done(
        query(f"/models/{name}", version=version), f"Rolled back: version {version} is Production again."
    )


def _owner(platform: Platform, name: str) -> str | None:
    try:
        return platform.catalog.require("model", name).owner
    except NotFound:
        return None


def _detail(who: Identity, platform: Platform, version: Version) -> dict[str, Any]:
    info = version.info
    verdicts = platform.registry.verdicts(info.model, info.version)
    evidence: Mapping[str, Any] = next(
        (v.verdict["evidence"] for v in verdicts if v.verdict.get("evidence")), {}
    )
    record = platform.registry.run_record(info.run_id, RECORD) if info.run_id else {}
    origins = platform.registry.origins(info.model, info.version)
    if origins and not record:  # a run that was deleted since
        record = {k: v for k, v in origins[-1].record.items() if k in RECORD}
    trained_on = [(n, v, sight.node(who, platform, n)) for n, v in _tables(record).items()]
    return {
        "version": version,
        "checks": version.verdict.verdict.get("checks", []) if version.verdict else [],
        "evidence": evidence,
        "metrics": _metrics(evidence),
        "slices": _slices(evidence),
        "fairness": _fairness(evidence),
        "replayed": _metrics(evidence.get("replay") or {}),
        "verdicts": verdicts,
        "record": {k.removeprefix("boathouse."): v for k, v in record.items() if k != "boathouse.tables"},
        "trained_on": trained_on,
        "origins": [(o, sight.node(who, platform, f"model:{o.model}")) for o in origins],
        "copies": [c for c in platform.registry.copies(info.model, info.version)
                   if sight.node(who, platform, f"model:{c[0]}")],
        "testing": tests_going(platform.runs, info.model).get(info.version),
        "test_run": next((v.verdict["run_id"] for v in verdicts if v.verdict.get("run_id")), None),
        "promotable": version.outcome == "pass" and info.stage in (STAGING, "Archived", "None"),
    }


def _tables(record: Mapping[str, str]) -> dict[str, Any]:
    """Table -> version, out of a run's record."""
    found = json.loads(record.get("boathouse.tables") or "{}")
    environment = record.get("boathouse.environment", "")
    return {n if n.count(".") == 2 else f"{environment}.{n}": v for n, v in found.items()}


def _metrics(evidence: Mapping[str, Any]) -> list[Metric]:
    champion = evidence.get("champion") or {}
    spreads = evidence.get("differences") or {}
    return [
        Metric(name, value, champion.get(name), spreads.get(name), _better(name, value, champion.get(name)))
        for name, value in (evidence.get("candidate") or {}).items()
    ]


def _fairness(evidence: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(condition, metric, difference between inside and outside)."""
    found = evidence.get("fairness") or {}
    return [(key, name, value) for key, metrics in found.items() for name, value in metrics.items()]


def _slices(evidence: Mapping[str, Any]) -> list[tuple[str, Metric]]:
    return [
        (key, Metric(name, pair[0], pair[1], None, _better(name, *pair)))
        for key, metrics in (evidence.get("slices") or {}).items()
        for name, pair in metrics.items()
    ]


def _better(metric: str, candidate: Any, champion: Any) -> bool | None:
    direction = direction_of(metric, {})
    numbers = isinstance(candidate, int | float) and isinstance(champion, int | float)
    if direction is None or not numbers or candidate == champion:
        return None
    return bool((candidate > champion) == (direction == "higher"))
