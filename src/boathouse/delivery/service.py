"""Continuous delivery: a new version is tested in Staging, and becomes Production only by a verdict."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from boathouse.catalog import AccessControl, Audit
from boathouse.delivery.evidence import Check, Evidence, Verdict
from boathouse.delivery.gates import decide
from boathouse.delivery.threshold import Threshold
from boathouse.environments import Deployments
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.events import Event
from boathouse.identity import Identity
from boathouse.names import parse
from boathouse.registry import ARCHIVED, PRODUCTION, STAGING, Registry

SubmitTest = Callable[[str, str, int], str]
"""(environment, model, version) -> the id of the run that gathers evidence."""


@dataclass(frozen=True)
class Plan:
    """What a model's bundle asks of new versions in one environment."""

    evaluation: Mapping[str, Any]
    thresholds: Mapping[str, Threshold]
    approvers: tuple[str, ...]
    separation_of_duties: bool
    mode: str

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Plan":
        """From `delivery:` of a registered model."""
        evaluation = body.get("evaluation") or {}
        wanted = evaluation.get("metrics") or {}
        thresholds = {metric: Threshold(**(limits or {})) for metric, limits in wanted.items()}
        asked = body.get("approval")
        approval: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
        named = approval.get("by") or ()
        by, duties = (named,) if isinstance(named, str) else tuple(named), bool(approval.get("separation_of_duties"))
        return cls(evaluation, thresholds, by, duties, str(body.get("mode") or "automatic"))


class Delivery:
    """Decides by evidence, records every verdict on the version, and moves pointers through the registry alone."""

    def __init__(self, registry: Registry, deployments: Deployments, access: AccessControl, audit: Audit,
                 submit_test: SubmitTest) -> None:  # fmt: skip
        self._registry = registry
        self._deployments = deployments
        self._access = access
        self._audit = audit
        self._submit_test = submit_test

    def plan(self, model: str) -> Plan | None:
        """What the deployed bundle asks of a model's versions; None where no bundle declares the model."""
        name = parse(model)
        for resource in self._deployments.resources("registered_model", name.catalog):
            body = resource.definition
            if (body.get("schema_name"), body.get("name")) == (name.schema, name.object) and body.get("delivery"):
                return Plan.from_dict(body["delivery"])
        return None

    def on_event(self, event: Event) -> None:
        """A new version of a model with automatic delivery goes to Staging and is tested."""
        if event.kind != "model_version.created":
            return
        version = int(event.data["version"])
        plan = self.plan(event.subject)
        if plan is None or plan.mode != "automatic":
            return
        if self._registry.verdicts(event.subject, version):
            return  # delivered before: events may come twice
        self.test(event.subject, version)

    def test(self, model: str, version: int) -> str:
        """Move a version to Staging and gather evidence; the run's id."""
        environment = parse(model).catalog
        if self._registry.version(model, version).stage == PRODUCTION:
            raise Conflict(f"{model} version {version} is Production already")
        self._registry.transition(model, version, STAGING, principal="delivery", reason="to be tested")
        return self._submit_test(environment, model, version)

    def task(self, model: str) -> dict[str, Any]:
        """What the testing run must know: the evaluation and the champion to compare with."""
        plan = self.plan(model)
        if plan is None:
            raise NotFound(f"no deployed bundle says how to test {model}: add `delivery:` to its registered model")
        return {"evaluation": dict(plan.evaluation), "metrics": sorted(plan.thresholds),
                "champion": self._registry.model(model).production}  # fmt: skip

    def conclude(self, identity: Identity, model: str, version: int, evidence: Evidence) -> Verdict:
        """Decide over evidence; a pass without approval needed promotes at once. Only the environment's run may."""
        environment = parse(model).catalog
        if identity.environment != environment or not identity.run_id:
            raise NotPermitted(f"evidence on {model} comes from a testing run in {environment}, not from {identity.principal}")
        plan = self.plan(model)
        if plan is None:
            raise NotFound(f"no deployed bundle says how to judge {model}")
        self._check_staging(model, version)
        if (now := self._registry.model(model).production) != _number(evidence.champion_version):
            held = Check("champion", "hold", f"the champion changed to version {now} during the test; test again")
            verdict = Verdict("hold", (held,))
        else:
            verdict = decide(evidence, plan.thresholds, approval_required=bool(plan.approvers),
                             min_rows=int(plan.evaluation.get("min_rows", 100)),
                             max_latency_ms=plan.evaluation.get("max_latency_ms"))  # fmt: skip
        body = verdict.to_dict() | {"evidence": evidence.to_dict(), "run_id": identity.run_id}
        self._registry.record_verdict(model, version, environment, body)
        if verdict.outcome == "pass":
            reason = f"passed {len(verdict.checks)} checks"
            self._registry.promote(model, version, principal=identity.principal, reason=reason, expected_production=now)
        elif verdict.outcome == "fail":
            reason = f"refused: {verdict.reasons[0]}"
            self._registry.transition(model, version, ARCHIVED, principal=identity.principal, reason=reason)
        return verdict

    def approve(self, identity: Identity, model: str, version: int, reason: str) -> None:
        """Promote a version that waits for approval. Raises NotPermitted, Conflict without a verdict that waits."""
        self._access.authorize(identity, "APPROVE", "model", model)
        self._check_staging(model, version)
        plan, verdict = self.plan(model), self._newest(model, version)
        blocking = [c for c in verdict.checks if c.outcome != "pass" and c.name != "approval"]
        if blocking:
            raise Conflict(f"{model} version {version} cannot be approved: {blocking[0].reason}")
        if plan and plan.approvers and identity.names.isdisjoint(plan.approvers):
            raise NotPermitted(
                f"{model} is approved by {', '.join(plan.approvers)}, to which {identity.principal} does not belong"
            )
        creator = self._registry.version(model, version).creator
        if plan and plan.separation_of_duties and creator == identity.principal:
            raise NotPermitted(f"{identity.principal} made {model} version {version}; someone else must approve it")
        given = f"approved by {identity.principal}: {reason}"
        approved = tuple(replace(c, outcome="pass", reason=given) if c.name == "approval" else c for c in verdict.checks)
        body = Verdict("pass", approved).to_dict()
        self._registry.record_verdict(model, version, parse(model).catalog, body)
        self._registry.promote(model, version, principal=identity.principal, reason=f"approved: {reason}")

    def reject(self, identity: Identity, model: str, version: int, reason: str) -> None:
        """Refuse a version that waits. Raises NotPermitted, Conflict for one that does not."""
        self._access.authorize(identity, "APPROVE", "model", model)
        self._check_staging(model, version)
        self._registry.transition(model, version, ARCHIVED, principal=identity.principal, reason=f"rejected: {reason}")

    def promote(self, identity: Identity, model: str, version: int, reason: str) -> None:
        """By hand; where a bundle declares tests, only a version that passed them. Raises Conflict."""
        self._access.authorize(identity, "PROMOTE", "model", model)
        if self.plan(model) and self._newest(model, version).outcome != "pass":
            reasons = "; ".join(self._newest(model, version).reasons)
            raise Conflict(f"{model} version {version} has not passed its tests: {reasons}")
        self._registry.promote(model, version, principal=identity.principal, reason=reason)

    def rollback(self, identity: Identity, model: str, reason: str) -> int:
        """Make the former Production version Production again; the version."""
        self._access.authorize(identity, "PROMOTE", "model", model)
        return self._registry.rollback(model, principal=identity.principal, reason=reason).version

    def _check_staging(self, model: str, version: int) -> None:
        stage = self._registry.version(model, version).stage
        if stage != STAGING:
            raise Conflict(f"{model} version {version} is in {stage}: only what is under test in Staging is judged")

    def _newest(self, model: str, version: int) -> Verdict:
        found = self._registry.verdicts(model, version)
        if not found:
            raise Conflict(f"{model} version {version} has no verdict yet; `boathouse models test {model} {version}` tests it")
        return Verdict.from_dict(max(found, key=lambda v: v.id).verdict)


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    try:
        return int(version)
    except ValueError as error:
        raise InvalidInput(f"{version!r} is no version") from error
