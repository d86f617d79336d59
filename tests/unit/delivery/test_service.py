"""Delivery: a version becomes Production by a verdict, and by nothing else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.delivery import Check, Delivery, Evidence, Plan
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.events import Event
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.platform.held_versions import HeldVersions
from boathouse.platform.run_hooks import RunHooks
from boathouse.registry import ARCHIVED, NONE, PRODUCTION, STAGING, Registry

pytestmark = pytest.mark.xdist_group("delivery")  # one process: its server and fixtures are made once

MODEL = "dev.flights.delay"
TESTER = Identity("dev-jobs", environment="dev", run_id="r1")
ADA = Identity("ada", frozenset({"ml-engineers"}))
EVE = Identity("eve")
GOOD = Evidence(candidate={"roc_auc": 0.8}, rows=500)
BAD = replace(GOOD, candidate={"roc_auc": 0.5})


@dataclass
class Desk:
    """Delivery over a real registry; tests are only asked for, evidence is given by hand."""

    platform: Platform
    asked: list[tuple[str, str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        p = self.platform
        self.told: list[tuple[str, str, dict[str, Any]]] = []
        self.delivery = Delivery(
            p.registry, p.deployments, p.access, p.audit, self._submit, self._tested, lambda *event: self.told.append(event),
            p.runs.started_by,
        )

    @property
    def registry(self) -> Registry:
        return self.platform.registry

    def declare(self, **delivery: Any) -> None:
        asks = {
            "evaluation": {
                "table": "features.labelled",
                "label": "late",
                "metrics": {"roc_auc": {"min": 0.7}},
            }
        }
        body = {"schema_name": "flights", "name": "delay", "delivery": {**asks, **delivery}}
        self.platform.deployments.replace(
            ADA, environment="dev", project="p", wanted=[("registered_model", "delay", body)],
            source=".", commit=None, dirty=True,
        )  # fmt: skip

    def judge(self, version: int, evidence: Evidence = GOOD, who: Identity = TESTER) -> str:
        self.delivery.test(MODEL, version)
        return self.delivery.conclude(who, MODEL, version, evidence).outcome

    def stages(self) -> dict[int, str]:
        return {v.version: v.stage for v in self.registry.versions(MODEL)}

    def _submit(self, environment: str, model: str, version: int) -> str:
        self.asked.append((environment, model, version))
        return "r1"

    def _tested(self, run_id: str) -> tuple[str, int] | None:
        return next((asked[1:] for asked in reversed(self.asked) if run_id == "r1"), None)


@pytest.fixture
def desk(platform: Platform, register: Callable[..., None]) -> Desk:
    register(MODEL)
    platform.access.grant(
        "root", ["ada"], ["USE CATALOG", "USE SCHEMA", "APPROVE", "PROMOTE"], "catalog", "dev"
    )
    made = Desk(platform)
    made.declare()
    return made


def created(version: int = 1, model: str = MODEL) -> Event:
    return Event(1, "model_version.created", model, {"version": version}, None)  # type: ignore[arg-type]


def test_a_new_version_goes_to_staging_and_is_tested(desk: Desk) -> None:
    desk.delivery.on_event(created())
    assert (desk.asked, desk.stages()[1]) == ([("dev", MODEL, 1)], STAGING)
    assert desk.delivery.task(MODEL, 1)["metrics"] == ["roc_auc"]


@pytest.mark.parametrize("mode", ["manual", "external"])
def test_only_automatic_delivery_acts_on_events(desk: Desk, mode: str) -> None:
    desk.declare(mode=mode)
    desk.delivery.on_event(created())
    desk.delivery.on_event(created(model="dev.flights.unknown"))
    desk.delivery.on_event(replace(created(), kind="model_version.stage_changed"))
    assert (desk.asked, desk.stages()[1]) == ([], NONE)


def test_an_event_that_comes_after_the_verdict_changes_nothing(desk: Desk) -> None:
    desk.judge(1)
    desk.asked.clear()
    desk.delivery.on_event(created())
    assert (desk.asked, desk.stages()[1]) == ([], PRODUCTION)


def test_a_pass_promotes_and_archives_the_former_champion(desk: Desk) -> None:
    assert desk.judge(1) == "pass"
    assert desk.judge(2, replace(GOOD, champion={"roc_auc": 0.8}, champion_version="1")) == "pass"
    assert desk.stages() == {1: ARCHIVED, 2: PRODUCTION, 3: NONE}
    assert desk.registry.model(MODEL).aliases["champion"] == 2


def test_a_version_that_passes_late_does_not_replace_a_newer_one_by_itself(desk: Desk) -> None:
    desk.judge(1, replace(GOOD, rows=5))
    desk.judge(2)
    assert desk.judge(1, replace(GOOD, champion={"roc_auc": 0.8}, champion_version="2")) == "pass"
    assert desk.stages() == {1: STAGING, 2: PRODUCTION, 3: NONE}
    newest = max(desk.registry.verdicts(MODEL, 1), key=lambda v: v.id)
    assert "version 2 is newer and Production" in newest.verdict["waits"]
    desk.delivery.promote(ADA, MODEL, 1, "it has fewer inputs")
    assert desk.stages() == {1: PRODUCTION, 2: ARCHIVED, 3: NONE}


def test_a_held_version_is_tested_again_until_a_newer_one_is_production(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    going = {1}
    waiting = HeldVersions(desk.registry, desk.delivery, lambda _: going)
    desk.judge(1, replace(GOOD, rows=5))
    waiting.recall()
    later = clock.now() + timedelta(days=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert waiting.test_due() == []  # a test of it goes on, whose verdict brings it back
    waiting.recall()
    going.clear()
    later += timedelta(days=1)
    assert waiting.test_due() == ["r1"]
    desk.delivery.conclude(TESTER, MODEL, 1, replace(GOOD, rows=5))
    waiting.recall()
    later += timedelta(days=1)
    desk.judge(2)
    assert waiting.test_due() == []


def test_a_fail_archives_and_leaves_the_champion(desk: Desk) -> None:
    desk.judge(1)
    assert desk.judge(2, replace(BAD, champion={"roc_auc": 0.8}, champion_version="1")) == "fail"
    assert desk.stages() == {1: PRODUCTION, 2: ARCHIVED, 3: NONE}
    assert "below the minimum 0.7" in desk.registry.history(MODEL)[-1].reason


def test_a_hold_waits_in_staging(desk: Desk) -> None:
    assert desk.judge(1, replace(GOOD, rows=5)) == "hold"
    assert desk.stages()[1] == STAGING
    (verdict,) = desk.registry.verdicts(MODEL, 1)
    assert (verdict.verdict["run_id"], verdict.verdict["evidence"]["rows"]) == ("r1", 5)


def test_evidence_against_a_champion_that_was_replaced_holds(desk: Desk) -> None:
    desk.judge(1)
    desk.delivery.test(MODEL, 2)
    assert desk.delivery.conclude(TESTER, MODEL, 2, GOOD).outcome == "hold"
    assert desk.stages() == {1: PRODUCTION, 2: STAGING, 3: NONE}


@pytest.mark.parametrize(
    "who",
    [ADA, Identity("dev-jobs", environment="dev", run_id="the training"), Identity("dev-jobs", environment="dev")],
)
def test_evidence_comes_from_the_run_that_tests_the_version_only(desk: Desk, who: Identity) -> None:
    with pytest.raises(NotPermitted, match="version 1 comes from the run that tests it"):
        desk.judge(1, who=who)
    with pytest.raises(NotPermitted, match="version 2 comes from the run that tests it"):
        desk.delivery.conclude(TESTER, MODEL, 2, GOOD)
    assert desk.stages()[1] == STAGING


def test_what_is_not_under_test_is_not_judged(desk: Desk) -> None:
    desk.asked.append(("dev", MODEL, 1))
    with pytest.raises(Conflict, match="version 1 is in None: only what is under test"):
        desk.delivery.conclude(TESTER, MODEL, 1, GOOD)
    desk.judge(1)
    with pytest.raises(Conflict, match="Production already"):
        desk.delivery.test(MODEL, 1)


def test_a_version_that_is_no_number_is_refused(desk: Desk) -> None:
    desk.delivery.test(MODEL, 1)
    with pytest.raises(InvalidInput, match="'first' is no version"):
        desk.delivery.conclude(TESTER, MODEL, 1, replace(GOOD, champion_version="first"))


def test_an_approval_promotes_what_passed_everything_else(desk: Desk) -> None:
    desk.declare(approval={"by": ["ml-engineers"]})
    assert desk.judge(1) == "hold"
    desk.delivery.approve(ADA, MODEL, 1, "looks right")
    assert desk.stages()[1] == PRODUCTION
    assert desk.registry.history(MODEL)[-1].reason == "approved: looks right"
    assert "approved by ada: looks right" in str(desk.registry.verdicts(MODEL, 1)[0].verdict)


def test_who_lacks_the_privilege_or_the_group_approves_nothing(desk: Desk) -> None:
    desk.declare(approval={"by": "risk-officers"})
    desk.judge(1)
    with pytest.raises(NotPermitted, match="eve lacks USE CATALOG"):
        desk.delivery.approve(EVE, MODEL, 1, "")
    with pytest.raises(NotPermitted, match="approved by risk-officers, to which ada does not belong"):
        desk.delivery.approve(ADA, MODEL, 1, "")
    assert desk.stages()[1] == STAGING


def test_nobody_approves_what_they_made(desk: Desk, register: Callable[..., None]) -> None:
    desk.declare(approval={"by": ["ml-engineers"], "separation_of_duties": True})
    desk.platform.access.grant("root", ["dev-jobs"], ["APPROVE"], "catalog", "dev")
    desk.judge(1)
    maker = Identity("dev-jobs", frozenset({"ml-engineers"}))
    with pytest.raises(NotPermitted, match=r"dev-jobs made dev.flights.delay version 1; someone else"):
        desk.delivery.approve(maker, MODEL, 1, "")


def test_nobody_approves_what_a_job_made_that_they_started(desk: Desk, register: Callable[..., None]) -> None:
    """The version was registered by the environment; who started that run, or the run that it is part of, is its maker."""
    desk.declare(approval={"by": ["ml-engineers"], "separation_of_duties": True})
    desk.platform.access.grant("root", ["bo"], ["USE CATALOG", "USE SCHEMA", "APPROVE"], "catalog", "dev")
    asked = {"environment": "dev", "project": "p", "definition": {"tasks": []}, "source": ".", "principal": "dev-jobs",
             "trigger": "manual", "parameters": {}}  # fmt: skip
    above = desk.platform.runs.add({"id": "weekly", "job": "weekly", "submitted_by": "ada", **asked}, ["task"])
    below = {"id": "training", "job": "training", "submitted_by": "dev-jobs", "parent_run": above, **asked}
    desk.platform.runs.add(below, ["task"])
    with desk.platform.database.writing() as connection:
        made = "INSERT INTO experiments (experiment_id, name, workspace) VALUES (7, '/dev/e', 'default')"
        connection.execute(sa.text(made))
        connection.execute(sa.text("INSERT INTO runs (run_uuid, experiment_id) VALUES ('r1', 7)"))
        connection.execute(sa.text("INSERT INTO tags (key, value, run_uuid) VALUES ('boathouse.job_run', 'training', 'r1')"))
    desk.judge(1)
    with pytest.raises(NotPermitted, match=r"ada started run training, which made dev.flights.delay version 1; someone else"):
        desk.delivery.approve(ADA, MODEL, 1, "")
    desk.delivery.approve(Identity("bo", frozenset({"ml-engineers"})), MODEL, 1, "")
    assert desk.stages()[1] == PRODUCTION


def test_a_version_is_tested_with_the_code_of_the_project_that_declares_it(desk: Desk) -> None:
    desk.platform.delivery.test(MODEL, 1)
    (run,) = desk.platform.runs.newest(job="deliver-flights.delay")
    assert (run.project, run.source, run.dirty) == ("p", ".", True)
    RunHooks(desk.platform).ended(replace(run, state="FAILED"))
    assert "ended without evidence" in desk.registry.verdicts(MODEL, 1)[0].verdict["reasons"][0]


@pytest.mark.parametrize("evidence", [replace(GOOD, rows=5), replace(GOOD, has_signature=False)])
def test_an_approval_overrules_no_other_check(desk: Desk, evidence: Evidence) -> None:
    desk.declare(approval={"by": ["ml-engineers"]})
    desk.judge(1, evidence)
    with pytest.raises(Conflict):
        desk.delivery.approve(ADA, MODEL, 1, "")
    assert desk.stages()[1] != PRODUCTION


def test_what_was_rejected_superseded_or_never_tested_is_not_approved(desk: Desk) -> None:
    desk.declare(approval={"by": ["ml-engineers"]})
    with pytest.raises(Conflict, match="version 3 is in None"):
        desk.delivery.approve(ADA, MODEL, 3, "")
    desk.judge(1)
    desk.delivery.reject(ADA, MODEL, 1, "no")
    with pytest.raises(Conflict, match="version 1 is in Archived"):
        desk.delivery.approve(ADA, MODEL, 1, "after all")
    with pytest.raises(Conflict, match="version 1 is in Archived"):
        desk.delivery.reject(ADA, MODEL, 1, "again")
    assert desk.stages()[1] == ARCHIVED


def test_a_champion_is_not_rejected(desk: Desk) -> None:
    desk.judge(1)
    with pytest.raises(Conflict, match="version 1 is in Production"):
        desk.delivery.reject(ADA, MODEL, 1, "")


def test_by_hand_only_what_passed_is_promoted_where_tests_are_declared(desk: Desk) -> None:
    with pytest.raises(Conflict, match="has no verdict yet"):
        desk.delivery.promote(ADA, MODEL, 1, "")
    desk.judge(1, BAD)
    with pytest.raises(Conflict, match=r"has not passed its tests: roc_auc 0.5 is below"):
        desk.delivery.promote(ADA, MODEL, 1, "")
    with pytest.raises(NotPermitted):
        desk.delivery.promote(EVE, MODEL, 1, "")
    desk.platform.deployments.destroy(ADA, "dev", "p")
    desk.delivery.promote(ADA, MODEL, 1, "no tests are declared")
    assert desk.stages()[1] == PRODUCTION


def test_a_rollback_brings_the_former_champion_back(desk: Desk) -> None:
    desk.judge(1)
    with pytest.raises(Conflict, match="nothing to roll"):
        desk.delivery.rollback(ADA, MODEL, "")
    desk.judge(2, replace(GOOD, champion={"roc_auc": 0.8}, champion_version="1"))
    with pytest.raises(NotPermitted):
        desk.delivery.rollback(EVE, MODEL, "")
    assert desk.delivery.rollback(ADA, MODEL, "p99 rose") == 1
    assert desk.stages() == {1: PRODUCTION, 2: ARCHIVED, 3: NONE}


def test_every_move_is_in_the_audit_and_the_chain_is_whole(desk: Desk) -> None:
    desk.judge(1)
    actions = [entry.action for entry in desk.platform.audit.entries(subject=MODEL)]
    assert actions == ["model.promote", "model.transition"]
    assert desk.platform.audit.verify() is None


def test_a_model_without_a_plan_cannot_be_judged(desk: Desk) -> None:
    desk.platform.deployments.destroy(ADA, "dev", "p")
    desk.registry.transition(MODEL, 1, STAGING, principal="ada")
    desk.asked.append(("dev", MODEL, 1))
    for ask in (lambda: desk.delivery.task(MODEL, 1), lambda: desk.delivery.conclude(TESTER, MODEL, 1, GOOD)):
        with pytest.raises(NotFound, match="no deployed bundle says how to"):
            ask()


@pytest.mark.parametrize(
    ("body", "approvers", "mode"),
    [
        ({}, (), "automatic"),
        ({"approval": "none", "mode": "manual"}, (), "manual"),
        ({"approval": {"by": "ml-engineers"}}, ("ml-engineers",), "automatic"),
        ({"approval": {"by": ["a", "b"]}}, ("a", "b"), "automatic"),
    ],
)
def test_a_plan_is_read_from_the_bundle(
    body: Mapping[str, Any], approvers: tuple[str, ...], mode: str
) -> None:
    plan = Plan.from_dict(body)
    assert (plan.approvers, plan.mode) == (approvers, mode)


PASSED, FAILED = Check("load", "pass", "it bears the load"), Check("load", "fail", "it broke down")


def test_partly_automatic_tests_by_itself_and_is_promoted_by_hand(desk: Desk) -> None:
    desk.declare(mode="partly_automatic")
    desk.delivery.on_event(created())
    assert desk.asked == [("dev", MODEL, 1)]
    assert (desk.judge(1), desk.stages()[1]) == ("pass", STAGING)
    desk.delivery.promote(ADA, MODEL, 1, "after a look")
    assert desk.stages()[1] == PRODUCTION


def test_manual_promotes_nothing_by_itself(desk: Desk) -> None:
    desk.declare(mode="manual")
    assert (desk.judge(1), desk.stages()[1]) == ("pass", STAGING)


def test_what_waits_is_tested_again_once_the_champion_changed(desk: Desk) -> None:
    desk.declare(mode="partly_automatic")
    desk.judge(1)
    desk.judge(2)
    desk.delivery.promote(ADA, MODEL, 2, "")
    with pytest.raises(Conflict, match="was compared with version none, and version 2 is Production by now"):
        desk.delivery.promote(ADA, MODEL, 1, "")


def test_a_system_outside_is_told_all_it_must_know(desk: Desk) -> None:
    desk.declare(mode="external", approval={"by": "ml-engineers"})
    desk.delivery.on_event(created())
    [(kind, subject, data)] = desk.told
    assert (kind, subject, data["version"], data["environment"]) == ("model_version.delivery_requested", MODEL, 1, "dev")
    assert data["paths"]["verdict"] == f"/api/v1/models/{MODEL}/versions/1/verdicts"
    assert data["approval"]["by"] == ["ml-engineers"]
    assert (desk.asked, desk.stages()[1]) == ([], NONE)


def test_a_verdict_from_outside_lets_a_version_be_promoted(desk: Desk) -> None:
    desk.declare(mode="external")
    with pytest.raises(Conflict, match="no verdict yet"):
        desk.delivery.promote(ADA, MODEL, 1, "")
    assert desk.delivery.judge(ADA, MODEL, 1, [PASSED], "https://cd.example.org/1").outcome == "pass"
    assert desk.stages()[1] == STAGING
    desk.delivery.promote(ADA, MODEL, 1, "run 12")
    assert desk.stages()[1] == PRODUCTION
    actions = [(e.principal, e.action) for e in desk.platform.audit.entries(subject=MODEL)]
    assert actions == [("ada", "model.promote"), ("ada", "verdict"), ("ada", "model.transition")]


def test_a_fail_from_outside_archives_and_approvals_stay_ours(desk: Desk) -> None:
    desk.declare(mode="external", approval={"by": "ml-engineers"})
    assert desk.delivery.judge(ADA, MODEL, 1, [FAILED]).outcome == "fail"
    assert desk.delivery.judge(ADA, MODEL, 2, [PASSED]).outcome == "hold"
    with pytest.raises(Conflict, match="asks for an approval"):
        desk.delivery.promote(ADA, MODEL, 2, "")
    desk.delivery.approve(ADA, MODEL, 2, "seen")
    assert desk.stages() == {1: ARCHIVED, 2: PRODUCTION, 3: NONE}


@pytest.mark.parametrize("checks", [[], [Check("approval", "pass", "trust me")]])
def test_a_verdict_from_outside_needs_checks_and_gives_no_approval(desk: Desk, checks: list[Check]) -> None:
    desk.declare(mode="external")
    with pytest.raises(InvalidInput, match="at least one check, and `approval` is given with"):
        desk.delivery.judge(ADA, MODEL, 1, checks)


def test_verdicts_from_outside_take_the_privilege_and_the_mode(desk: Desk) -> None:
    with pytest.raises(Conflict, match="delivered in mode automatic"):
        desk.delivery.judge(ADA, MODEL, 1, [PASSED])
    desk.declare(mode="external")
    with pytest.raises(NotPermitted):
        desk.delivery.judge(EVE, MODEL, 1, [PASSED])


def test_nobody_promotes_what_they_made_where_duties_are_separate(desk: Desk) -> None:
    desk.declare(mode="partly_automatic", approval={"by": "ml-engineers", "separation_of_duties": True})
    desk.platform.access.grant("root", ["dev-jobs"], ["PROMOTE"], "catalog", "dev")
    desk.judge(1)
    desk.delivery.approve(ADA, MODEL, 1, "")
    maker = Identity("dev-jobs", frozenset({"ml-engineers"}))
    with pytest.raises(NotPermitted, match="dev-jobs made"):
        desk.delivery.promote(maker, MODEL, 1, "")


def test_a_testing_run_that_broke_holds_the_version_and_says_so(desk: Desk) -> None:
    desk.delivery.test(MODEL, 1)
    for _ in range(2):
        desk.delivery.run_failed(MODEL, 1, "r9", "FAILED")
    [verdict] = desk.registry.verdicts(MODEL, 1)
    assert "`boathouse runs logs r9` shows why" in verdict.verdict["reasons"][0]
    assert desk.stages()[1] == STAGING


def test_the_testing_run_is_told_whose_code_it_is_and_what_to_replay(desk: Desk) -> None:
    desk.declare(replay={"days": 3, "metrics": {"roc_auc": {"min": 0.6}}}, artifact={"trusted": ["shop.*"]})
    task = desk.delivery.task(MODEL, 1)
    assert (task["ran_here"], task["artifact"]) == (True, {"trusted": ["shop.*"]})
    assert task["replay"] == {"days": 3, "metrics": ["roc_auc"], "labels": None}
    assert desk.delivery.watched(MODEL) == {"dev.features.labelled", f"{MODEL}_inference", f"{MODEL}_payload"}
