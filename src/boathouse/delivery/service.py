"""Continuous delivery: a new version is tested in Staging, and becomes Production only by a verdict."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from boathouse.catalog import AccessControl, Audit
from boathouse.delivery.asked import Plan
from boathouse.delivery.evidence import Check, Evidence, Outcome, Verdict
from boathouse.delivery.gates import decide
from boathouse.delivery.rollout import Rollout
from boathouse.delivery.rollouts import Rollouts
from boathouse.environments import Deployments, Resource, served_entities, service_principal
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.events import Event
from boathouse.identity import Identity
from boathouse.names import parse
from boathouse.registry import ARCHIVED, JOB_RUN_TAG, PRODUCTION, STAGING, Registry

SubmitTest = Callable[[str, str, int], str]
"""(environment, model, version) -> the id of the run that gathers evidence."""
Tell = Callable[[str, str, dict[str, Any]], None]
"""Tells of an event: (kind, subject, data)."""
StartedBy = Callable[[str], str | None]
"""The principal who started a job's run; None for a run that is not known."""
TestedBy = Callable[[str], tuple[str, int] | None]
"""The model and version that a run was submitted to test; None for any other run."""
_TESTED_BY_ITSELF = ("automatic", "partly_automatic")


class Delivery:
    """Decides by evidence, records every verdict on the version, and moves pointers through the registry alone."""

    def __init__(self, registry: Registry, deployments: Deployments, access: AccessControl, audit: Audit,
                 submit_test: SubmitTest, tested_by: TestedBy, tell: Tell = lambda _kind, _subject, _data: None,
                 started_by: StartedBy = lambda _run_id: None) -> None:  # fmt: skip
        self._registry = registry
        self._deployments = deployments
        self._access = access
        self._audit = audit
        self._submit_test = submit_test
        self._tested_by = tested_by
        self._tell = tell
        self._started_by = started_by
        self.rollouts = Rollouts(registry, tell)

    def plan(self, model: str) -> Plan | None:
        """What the deployed bundle asks of a model's versions; None where no bundle declares the model."""
        resource = self.declared(model)
        return Plan.from_dict(resource.definition["delivery"]) if resource else None

    def declared(self, model: str) -> Resource | None:
        """The deployed resource that says how to deliver a model: its project's code and packages test the versions."""
        name = parse(model)
        for resource in self._deployments.resources("registered_model", name.catalog):
            body = resource.definition
            if (body.get("schema_name"), body.get("name")) == (name.schema, name.object) and body.get("delivery"):
                return resource
        return None

    def models(self) -> list[str]:
        """The models that deployed bundles say how to deliver, by full name."""
        declared = [r for r in self._deployments.resources("registered_model") if r.definition.get("delivery")]
        return [f"{r.environment}.{r.definition['schema_name']}.{r.definition['name']}" for r in declared]

    def watched(self, model: str) -> frozenset[str]:
        """Tables whose news can change what a test of a model finds, whether they are there yet or not."""
        plan, environment = self.plan(model), parse(model).catalog
        if plan is None:
            return frozenset()
        named = [plan.evaluation.get("table")]
        if plan.limits.replay:
            named += [f"{model}_inference", f"{model}_payload", (self._labels(plan, model) or {}).get("table")]
        return frozenset(str(parse(name, environment)) for name in named if name)

    def on_event(self, event: Event) -> None:
        """A new version goes to Staging and is tested, or a system outside is asked to deliver it, as its bundle says."""
        if event.kind != "model_version.created":
            return
        version = int(event.data["version"])
        plan = self.plan(event.subject)
        if plan is None or self._registry.verdicts(event.subject, version):
            return  # delivered before: events may come twice
        if plan.mode == "external":
            self._tell("model_version.delivery_requested", event.subject, self._request(plan, event.subject, version))
        elif plan.mode in _TESTED_BY_ITSELF:
            self.test(event.subject, version)

    def _request(self, plan: Plan, model: str, version: int) -> dict[str, Any]:
        """All that a system outside must know to test a version and to say what came of it."""
        found = self._registry.version(model, version)
        record = self._registry.run_record(found.run_id, ("boathouse.project", "boathouse.git_commit")) if found.run_id else {}
        path = f"/api/v1/models/{model}/versions/{version}"
        return {
            "version": version, "environment": parse(model).catalog, "creator": found.creator, "run_id": found.run_id,
            "source": found.source, "project": record.get("boathouse.project"), "commit": record.get("boathouse.git_commit"),
            "champion": self._registry.model(model).production, "evaluation": dict(plan.evaluation),
            "approval": {"by": list(plan.approvers), "separation_of_duties": plan.separation_of_duties},
            "paths": {"test": f"{path}/test", "verdict": f"{path}/verdicts", "promote": f"{path}/promote",
                      "reject": f"{path}/reject"},
        }  # fmt: skip

    def test(self, model: str, version: int) -> str:
        """Move a version to Staging and gather evidence; the run's id."""
        environment = parse(model).catalog
        if self._registry.version(model, version).stage == PRODUCTION:
            raise Conflict(f"{model} version {version} is Production already")
        if (going := self.rollouts.of(model)) and going.version == version:
            raise Conflict(f"{model} version {version} is being rolled out; `boathouse models rollback {model}` ends that")
        self._registry.transition(model, version, STAGING, principal="delivery", reason="to be tested")
        return self._submit_test(environment, model, version)

    def task(self, model: str, version: int) -> dict[str, Any]:
        """What the testing run must know: the evaluation, the champion to compare with, and what else is asked."""
        plan = self.plan(model)
        if plan is None:
            raise NotFound(f"no deployed bundle says how to test {model}: add `delivery:` to its registered model")
        maker = self._registry.version(model, version).creator
        return {"evaluation": dict(plan.evaluation), "metrics": sorted(plan.thresholds), "artifact": dict(plan.artifact),
                "champion": self._registry.model(model).production, "ages": plan.limits.max_feature_age is not None,
                "ran_here": maker == service_principal(parse(model).catalog), "replay": self._replay(plan, model)}  # fmt: skip

    def _replay(self, plan: Plan, model: str) -> dict[str, Any] | None:
        asked = plan.limits.replay
        if asked is None:
            return None
        return {"days": asked.days, "metrics": sorted(asked.thresholds), "labels": self._labels(plan, model)}

    def _labels(self, plan: Plan, model: str) -> Mapping[str, Any] | None:
        """Where labels arrive: as the replay says, else as the model's monitor does."""
        name = parse(model)
        if plan.limits.replay and plan.limits.replay.labels:
            return plan.limits.replay.labels
        there = self._deployments.resources
        full = f"{name.schema}.{name.object}"
        keys = {
            (r.project, r.key) for r in there("registered_model", name.catalog)
            if (r.definition.get("schema_name"), r.definition.get("name")) == (name.schema, name.object)
        }  # fmt: skip
        watching = (m.definition for m in there("quality_monitor", name.catalog)
                    if m.definition.get("model") == full or (m.project, m.definition.get("model")) in keys)  # fmt: skip
        return next((m["labels"] for m in watching if m.get("labels")), None)

    def conclude(self, identity: Identity, model: str, version: int, evidence: Evidence) -> Verdict:
        """Decide over evidence; in mode automatic a pass promotes at once. Only the run that tests the version may."""
        environment = parse(model).catalog
        if not identity.run_id or self._tested_by(identity.run_id) != (model, version):
            whose = f"run {identity.run_id}" if identity.run_id else identity.principal
            raise NotPermitted(f"evidence on {model} version {version} comes from the run that tests it, not from {whose}")
        plan = self.plan(model)
        if plan is None:
            raise NotFound(f"no deployed bundle says how to judge {model}")
        self._check_staging(model, version)
        if (now := self._registry.model(model).production) != _number(evidence.champion_version):
            held = Check("champion", "hold", f"the champion changed to version {now} during the test; test again")
            verdict = Verdict("hold", (held,))
        else:
            verdict = decide(evidence, plan.thresholds, approval_required=bool(plan.approvers), limits=plan.limits)
        body = verdict.to_dict() | {"evidence": evidence.to_dict(), "run_id": identity.run_id}
        newer = self.overtaken(model, version)
        if newer and verdict.outcome == "pass" and plan.mode == "automatic":
            body["waits"] = (f"version {newer} is newer and Production, so it is not replaced by itself; "
                             f"`boathouse models promote {model} {version}` does it")  # fmt: skip
        self._registry.record_verdict(model, version, environment, body)
        if verdict.outcome == "pass" and plan.mode == "automatic" and not newer:
            reason = f"passed {len(verdict.checks)} check{'' if len(verdict.checks) == 1 else 's'}"
            self._advance(plan, model, version, identity.principal, reason)
        elif verdict.outcome == "fail":
            reason = f"refused: {verdict.reasons[0]}"
            self._registry.transition(model, version, ARCHIVED, principal=identity.principal, reason=reason)
        return verdict

    def overtaken(self, model: str, version: int) -> int | None:
        """The Production version where it is newer than this one: what was held long ago does not take its place by itself."""
        production = self._registry.model(model).production
        return production if production and production > version else None

    def run_failed(self, model: str, version: int, run_id: str, why: str) -> None:
        """A testing run ended without evidence: the version is held, with the reason, and not left without a word."""
        known = self._registry.verdicts(model, version)
        if self._registry.version(model, version).stage != STAGING or any(v.verdict.get("run_id") == run_id for v in known):
            return
        reason = f"the testing run ended without evidence ({why}); `boathouse runs logs {run_id}` shows why"
        body = Verdict("hold", (Check("test", "hold", reason),)).to_dict() | {"run_id": run_id}
        self._registry.record_verdict(model, version, parse(model).catalog, body)

    def judge(self, identity: Identity, model: str, version: int, checks: Sequence[Check], url: str | None = None) -> Verdict:
        """What a system outside found, in mode external; needs PROMOTE. A fail archives; a pass promotes nothing by itself.

        Raises NotPermitted, NotFound, InvalidInput, Conflict in another mode and for the Production version.
        """
        self._access.authorize(identity, "PROMOTE", "model", model)
        plan, stage = self.plan(model), self._registry.version(model, version).stage
        if plan is None or plan.mode != "external":
            mode = f"is delivered in mode {plan.mode}" if plan else "has no `delivery:` in a deployed bundle"
            raise Conflict(f"{model} {mode}: verdicts from outside are taken in mode external")
        if stage == PRODUCTION:
            raise Conflict(f"{model} version {version} is Production already")
        if not checks or any(check.name == "approval" for check in checks):
            raise InvalidInput("a verdict needs at least one check, and `approval` is given with `models approve` alone")
        if plan.approvers:
            asked = Check("approval", "hold", "the project asks for an approval, and none was given yet")
            checks = (*checks, asked)
        outcomes = {check.outcome for check in checks}
        outcome: Outcome = "fail" if "fail" in outcomes else "hold" if "hold" in outcomes else "pass"
        verdict = Verdict(outcome, tuple(checks))
        if stage != STAGING:
            self._registry.transition(model, version, STAGING, principal=identity.principal, reason="tested from outside")
        body = verdict.to_dict() | {"by": identity.principal, "url": url}
        self._registry.record_verdict(model, version, parse(model).catalog, body)
        self._audit.record(identity.principal, "verdict", model, {"version": version, "outcome": outcome, "url": url})
        if outcome == "fail":
            reason = f"refused: {verdict.reasons[0]}"
            self._registry.transition(model, version, ARCHIVED, principal=identity.principal, reason=reason)
        return verdict

    def approve(self, identity: Identity, model: str, version: int, reason: str) -> Rollout | None:
        """Promote a version that waits for approval, or begin its rollout, as the bundle says.

        Raises NotPermitted, Conflict without a verdict that waits.
        """
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
        self._check_duties(identity, plan, model, version, "approve")
        given = f"approved by {identity.principal}: {reason}"
        approved = tuple(replace(c, outcome="pass", reason=given) if c.name == "approval" else c for c in verdict.checks)
        body = Verdict("pass", approved).to_dict()
        self._registry.record_verdict(model, version, parse(model).catalog, body)
        return self._advance(plan, model, version, identity.principal, f"approved: {reason}")

    def reject(self, identity: Identity, model: str, version: int, reason: str) -> None:
        """Refuse a version that waits. Raises NotPermitted, Conflict for one that does not."""
        self._access.authorize(identity, "APPROVE", "model", model)
        self._check_staging(model, version)
        if (going := self.rollouts.of(model)) and going.version == version:
            self.rollouts.end(going, identity.principal, f"rejected: {reason}")
            return
        self._registry.transition(model, version, ARCHIVED, principal=identity.principal, reason=f"rejected: {reason}")

    def promote(self, identity: Identity, model: str, version: int, reason: str) -> Rollout | None:
        """By hand; where a bundle declares tests, only a version that passed them. Raises Conflict.

        The rollout that begins by it, where the bundle asks for one and an endpoint follows the champion; else None.
        """
        self._access.authorize(identity, "PROMOTE", "model", model)
        plan = self.plan(model)
        if plan and (newest := self._newest(model, version)).outcome != "pass":
            raise Conflict(f"{model} version {version} has not passed its tests: {'; '.join(newest.reasons)}")
        self._check_duties(identity, plan, model, version, "promote")
        self._check_champion(model, version)
        return self._advance(plan, model, version, identity.principal, reason)

    def followers(self, model: str) -> list[str]:
        """The deployed endpoints that answer with whatever version of a model is the champion."""
        environment = parse(model).catalog
        return [
            r.name for r in self._deployments.resources("model_serving_endpoint", environment)
            if any(e.model == model and e.follows_champion for e in served_entities(environment, r.definition))
        ]  # fmt: skip

    def _advance(self, plan: Plan | None, model: str, version: int, principal: str, reason: str) -> Rollout | None:
        """Make a version Production: at once, or by a rollout where the plan asks for it and there is traffic to share."""
        champion = self._registry.model(model).production
        if plan and plan.rollout and champion is not None and self._shares(plan, model, version, champion):
            begun = self.rollouts.begin(model, version, champion, plan.rollout, principal=principal, why=reason)
            facts = {"version": version, "champion": champion, "mode": begun.mode, "percent": begun.percent, "reason": reason}
            self._audit.record(principal, "begin rollout", model, facts)
            return begun
        self._registry.promote(model, version, principal=principal, reason=reason, expected_production=champion)
        return None

    def _shares(self, plan: Plan, model: str, version: int, champion: int | None) -> bool:
        """Whether a version takes over by a rollout: one is asked for, and there is traffic to share with a champion."""
        return bool(plan.rollout and champion not in (None, version) and self.followers(model))

    def check_entry(self, model: str, version: int) -> None:
        """Pass where a client of the registry may make a version Production at once. Raises Conflict where a rollout is due.

        What was Production before goes back at once: it is proven, and a way back must be short.
        """
        plan = self.plan(model)
        if not plan or not self._shares(plan, model, version, self._registry.model(model).production):
            return
        if all(step.version != version or step.to_stage != PRODUCTION for step in self._registry.history(model)):
            raise Conflict(
                f"{model} version {version} takes over by a rollout, as its bundle asks, which this call would skip: "
                f"begin it with `boathouse models promote {model} {version}`"
            )

    def rollback(self, identity: Identity, model: str, reason: str) -> int:
        """Make the former Production version Production again; the version. A rollout that goes on is ended instead."""
        self._access.authorize(identity, "PROMOTE", "model", model)
        if going := self.rollouts.of(model):
            self.rollouts.end(going, identity.principal, reason)
            return going.champion
        return self._registry.rollback(model, principal=identity.principal, reason=reason).version

    def _check_duties(self, identity: Identity, plan: Plan | None, model: str, version: int, verb: str) -> None:
        """Four eyes: who made a version does not move it on, nor who started the job that did. Raises NotPermitted."""
        if not plan or not plan.separation_of_duties:
            return
        found, who = self._registry.version(model, version), identity.principal
        origins = self._registry.origins(model, version)
        if who in (found.creator, *(o.creator for o in origins)):
            raise NotPermitted(f"{who} made {model} version {version}; someone else must {verb} it")
        job_run = found.run_id and self._registry.run_record(found.run_id, (JOB_RUN_TAG,)).get(JOB_RUN_TAG)
        if job_run and self._started_by(job_run) == who:
            raise NotPermitted(f"{who} started run {job_run}, which made {model} version {version}; someone else must {verb} it")

    def _check_champion(self, model: str, version: int) -> None:
        """What waits in Staging was compared with the champion of its test. Raises Conflict where that has changed."""
        newest = max(self._registry.verdicts(model, version), key=lambda v: v.id, default=None)
        evidence = newest.verdict.get("evidence") if newest else None
        if not evidence or self._registry.version(model, version).stage != STAGING:
            return
        now = self._registry.model(model).production
        if now != _number(evidence["champion_version"]):
            against = evidence["champion_version"] or "none"
            raise Conflict(
                f"{model} version {version} was compared with version {against}, and version {now or 'none'} is Production by "
                f"now; `boathouse models test {model} {version}` tests it again"
            )

    def _check_staging(self, model: str, version: int) -> None:
        stage = self._registry.version(model, version).stage
        if stage != STAGING:
            raise Conflict(f"{model} version {version} is in {stage}: only what is under test in Staging is judged")

    def _newest(self, model: str, version: int) -> Verdict:
        found = self._registry.verdicts(model, version)
        if not found:
            plan, tests_run = self.plan(model), self._registry.version(model, version).stage == STAGING
            if plan and plan.mode == "external":
                what = f"the system outside posts it to /api/v1/models/{model}/versions/{version}/verdicts"
            elif tests_run:
                what = f"its tests run, and `boathouse models show {model} --version {version}` tells what they find"
            else:
                what = f"`boathouse models test {model} {version}` tests it"
            raise Conflict(f"{model} version {version} has no verdict yet; {what}")
        return Verdict.from_dict(max(found, key=lambda v: v.id).verdict)


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    try:
        return int(version)
    except ValueError as error:
        raise InvalidInput(f"{version!r} is no version") from error
