"""A rollout is judged by rows: it goes on, finishes with one promotion, or rolls back with one entry."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse import clock
from boathouse.delivery import Delivery, Health, Plan, Reading, Rollout, Rollouts, bin_of, judge
from boathouse.errors import Conflict
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.registry import ARCHIVED, NONE, PRODUCTION, STAGING, Actor, mlflow_stores

MODEL = "dev.flights.delay"
ADA = Identity("ada", frozenset({"ml-engineers"}))
ASKED = {"canary_percent": 10, "for": "1m", "min_requests": 20, "rollback_on": {"error_rate": 0.1, "p99_ms": 250}}


def health(requests: int, errors: int = 0, milliseconds: float = 10) -> Health:
    return Health(requests, errors, {bin_of(milliseconds): requests})


def going(seconds: float = 0, **more: Any) -> Rollout:
    return Rollout(1, MODEL, 2, 1, "canary", 10, 60, "ada", "", "RUNNING", clock.now(), seconds,
                   {"error_rate": 0.1, "p99_ms": 250, "min_requests": 20}, **more)  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "seen", "course", "word"),
    [
        (0, health(19, 19), "go_on", "19 of the 20 requests"),
        (90, health(19), "go_on", "19 of the 20 requests"),
        (0, health(20, 2), "go_on", "within its limits"),
        (0, health(20, 3), "roll_back", "3 of 20 requests failed (15.0%), and 0.1 is the limit of error_rate"),
        (0, health(100, milliseconds=300), "roll_back", "250 is the limit of p99_ms"),
        (59, health(500), "go_on", "within its limits"),
        (60, health(500, 5), "finish", "500 requests in 60 s, 1.00% failed"),
    ],
)
def test_a_verdict_takes_requests_time_and_limits(seconds: float, seen: Health, course: str, word: str) -> None:
    found, reason = judge(going(seconds), seen)
    assert (found, word in reason) == (course, True), reason


def test_a_version_that_does_not_come_up_is_rolled_back_without_a_request() -> None:
    assert judge(going(fault="it does not load"), Health()) == ("roll_back", "it does not load")


def test_quantiles_are_off_by_few_percent() -> None:
    seen = Health(100, 0, {bin_of(10): 90, bin_of(400): 10})
    assert (seen.quantile(0.5), seen.quantile(0.99)) == (pytest.approx(10, rel=0.03), pytest.approx(400, rel=0.03))


def test_a_shadow_is_asked_for_by_its_mode_or_its_percent() -> None:
    by_mode, by_percent = (Plan.from_dict({"rollout": r}).rollout for r in ({"mode": "shadow"}, {"shadow_percent": 20}))
    assert by_mode
    assert by_percent
    assert (by_mode.mode, by_mode.percent, by_percent.mode, by_percent.percent) == ("shadow", 100, "shadow", 20)


@pytest.fixture
def delivery(platform: Platform, register: Callable[..., None]) -> Delivery:
    """Version 1 is Production, an endpoint follows the champion, and the bundle asks for a rollout."""
    register(MODEL)
    platform.access.grant("root", ["ada"], ["USE CATALOG", "USE SCHEMA", "APPROVE", "PROMOTE"], "catalog", "dev")
    body = {"schema_name": "flights", "name": "delay", "delivery": {"mode": "external", "rollout": ASKED}}
    endpoint = {"config": {"served_entities": [{"entity_name": "flights.delay"}]}}
    platform.deployments.replace(
        ADA, environment="dev", project="p", source=".", commit=None, dirty=True,
        wanted=[("registered_model", "delay", body), ("model_serving_endpoint", "delay", endpoint)],
    )  # fmt: skip
    platform.registry.promote(MODEL, 1, principal="ada")
    for version in (2, 3):
        platform.registry.record_verdict(MODEL, version, "dev", {"outcome": "pass", "checks": []})
    return platform.delivery


def stages(platform: Platform) -> dict[int, str]:
    return {v.version: v.stage for v in platform.registry.versions(MODEL)}


def seen(rollouts: Rollouts, version: int, what: Health) -> None:
    rollouts.note([Reading("dev", "delay", MODEL, version, "canary", clock.millis() + 1, what)])


def test_a_promotion_begins_a_rollout_and_keeps_the_champion(platform: Platform, delivery: Delivery) -> None:
    begun = delivery.promote(ADA, MODEL, 2, "better")
    assert begun
    assert (begun.version, begun.champion, begun.percent) == (2, 1, 10)
    assert stages(platform) == {1: PRODUCTION, 2: STAGING, 3: NONE}
    assert platform.audit.entries(subject=MODEL, action="begin rollout")
    with pytest.raises(Conflict, match="is being rolled out"):
        delivery.promote(ADA, MODEL, 2, "again")


def test_it_finishes_with_one_promotion(platform: Platform, delivery: Delivery) -> None:
    begun = delivery.promote(ADA, MODEL, 2, "better")
    assert begun
    seen(delivery.rollouts, 2, health(100))
    assert delivery.rollouts.step() == []
    delivery.rollouts.served([begun.id], 61)
    assert [r.id for r in delivery.rollouts.step()] == [begun.id]
    assert stages(platform) == {1: ARCHIVED, 2: PRODUCTION, 3: NONE}
    assert platform.registry.history(MODEL)[-1].reason.startswith("better; rolled out: 100 requests")
    assert delivery.rollouts.step() == []


def test_it_rolls_back_with_one_entry(platform: Platform, delivery: Delivery) -> None:
    delivery.promote(ADA, MODEL, 2, "better")
    before = len(platform.registry.history(MODEL))
    seen(delivery.rollouts, 2, health(50, 10))
    delivery.rollouts.step()
    [entry] = platform.registry.history(MODEL)[before:]
    assert (entry.version, entry.to_stage, entry.principal) == (2, ARCHIVED, "delivery")
    assert entry.reason.startswith("rolled back at 10 % of the requests: 10 of 50 requests failed")
    assert stages(platform)[1] == PRODUCTION
    told = delivery.rollouts.told(MODEL)
    assert told
    assert (told["state"], told["health"]["requests"]) == ("ROLLED_BACK", 50)


def test_a_rollback_by_hand_ends_it(platform: Platform, delivery: Delivery) -> None:
    delivery.promote(ADA, MODEL, 2, "better")
    assert delivery.rollback(ADA, MODEL, "complaints") == 1
    assert stages(platform) == {1: PRODUCTION, 2: ARCHIVED, 3: NONE}


def test_the_next_version_takes_the_place_of_one_that_is_rolled_out(platform: Platform, delivery: Delivery) -> None:
    delivery.promote(ADA, MODEL, 2, "better")
    delivery.promote(ADA, MODEL, 3, "better still")
    assert stages(platform) == {1: PRODUCTION, 2: ARCHIVED, 3: STAGING}
    assert [r.version for r in delivery.rollouts.running()] == [3]


def test_a_champion_that_changes_meanwhile_ends_it(platform: Platform, delivery: Delivery) -> None:
    delivery.promote(ADA, MODEL, 2, "better")
    platform.registry.promote(MODEL, 3, principal="by MLflow's client")
    delivery.rollouts.step()
    assert stages(platform) == {1: ARCHIVED, 2: ARCHIVED, 3: PRODUCTION}
    assert delivery.rollouts.running() == []


def test_a_client_of_the_registry_skips_no_rollout_and_may_go_back(
    platform: Platform, delivery: Delivery, tmp_path: Path
) -> None:
    actor = Actor("ada", lambda _privilege, _name: True, "dev")
    runs, store = mlflow_stores(platform.registry, actor, str(tmp_path / "files"))
    for move in (lambda: store.transition_model_version_stage("flights.delay", "2", "Production", True),
                 lambda: store.set_registered_model_alias("flights.delay", "champion", "2")):  # fmt: skip
        with pytest.raises(Exception, match=f"boathouse models promote {MODEL} 2"):
            move()
    assert stages(platform) == {1: PRODUCTION, 2: NONE, 3: NONE}
    platform.registry.promote(MODEL, 2, principal="delivery")  # as a rollout ends
    store.transition_model_version_stage("flights.delay", "1", "Production", False)
    assert stages(platform)[1] == PRODUCTION
    store.set_registered_model_alias("flights.delay", "champion", "2")
    assert stages(platform)[2] == PRODUCTION
    for opened in (runs, store):
        opened._dispose_engine()


def test_without_an_endpoint_that_follows_there_is_nothing_to_share(platform: Platform, delivery: Delivery) -> None:
    body = {"schema_name": "flights", "name": "delay", "delivery": {"mode": "external", "rollout": ASKED}}
    platform.deployments.replace(ADA, environment="dev", project="p", source=".", commit=None, dirty=True,
                                 wanted=[("registered_model", "delay", body)])  # fmt: skip
    assert delivery.promote(ADA, MODEL, 2, "better") is None
    assert stages(platform)[2] == PRODUCTION


def test_a_model_that_is_gone_leaves_no_rollout_to_the_next_of_its_name(delivery: Delivery) -> None:
    delivery.promote(ADA, MODEL, 2, "better")
    seen(delivery.rollouts, 2, health(5))
    delivery.rollouts.forget(MODEL)
    assert (delivery.rollouts.told(MODEL), delivery.rollouts.readings(MODEL, 0)) == (None, [])


def test_what_was_seen_before_a_rollout_does_not_count(delivery: Delivery) -> None:
    old = Reading("dev", "delay", MODEL, 2, "canary", clock.millis() - 60_000, health(500, 500))
    delivery.rollouts.note([old])
    begun = delivery.promote(ADA, MODEL, 2, "better")
    assert begun
    assert delivery.rollouts.health(begun).requests == 0
