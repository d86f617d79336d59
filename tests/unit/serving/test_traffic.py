"""Shares of traffic: weighted, sticky by key, and never to a version that is not ready."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from boathouse.delivery import Rollout
from boathouse.environments import ServedEntity, served_entities
from boathouse.serving.router import Asked
from boathouse.serving.traffic import Target, Wanted, desired, route

MODEL = "dev.shop.price"
CHAMPION = ServedEntity("champion", MODEL, "champion", 100.0)


def rollout(mode: str = "canary", percent: float = 10.0, champion: int = 1, **limits: float) -> Rollout:
    at = datetime(2024, 1, 1, tzinfo=UTC)
    return Rollout(7, MODEL, 2, champion, mode, percent, 60, "ada", "", "RUNNING", at, limits=limits)


def targets(*wanted: Wanted) -> dict[str, Target]:
    return {w.slot: Target(w.slot, w.version, 1000 + w.version, w.role) for w in wanted}


def answered(wanted: list[Wanted], keys: int = 2000) -> Counter[int]:
    made = route("dev", "price", MODEL, wanted, targets(*wanted))
    return Counter(found.version for k in range(keys) if (found := made.choose(str(k))))


def test_a_canary_takes_its_share_from_its_champion() -> None:
    wanted = desired([(CHAMPION, 1)], [rollout()])
    assert wanted == [Wanted("rollout-7", 2, 10.0, "canary", 7), Wanted("champion", 1, 90.0)]
    assert 150 < answered(wanted)[2] < 250


def test_a_shadow_takes_nothing() -> None:
    wanted = desired([(CHAMPION, 1)], [rollout("shadow", 100)])
    assert answered(wanted) == {1: 2000}
    made = route("dev", "price", MODEL, wanted, targets(*wanted))
    assert made.shadowed("a") == Target("rollout-7", 2, 1002, "shadow")


def test_a_rollout_beside_another_champion_or_a_fixed_version_changes_nothing() -> None:
    fixed = ServedEntity("one", MODEL, "1", 100.0)
    assert desired([(CHAMPION, 3)], [rollout()]) == [Wanted("champion", 3, 100.0)]
    assert desired([(fixed, 1)], [rollout()]) == [Wanted("one", 1, 100.0)]


def test_a_share_that_grows_keeps_its_keys() -> None:
    def canaries(percent: float) -> set[int]:
        wanted = desired([(CHAMPION, 1)], [rollout(percent=percent)])
        made = route("dev", "price", MODEL, wanted, targets(*wanted))
        return {k for k in range(500) if (found := made.choose(str(k))) and found.version == 2}

    assert canaries(10) < canaries(30) < canaries(60)
    assert canaries(30) == canaries(30)


def test_what_is_not_ready_leaves_its_share_to_the_others() -> None:
    wanted = desired([(CHAMPION, 1)], [rollout()])
    made = route("dev", "price", MODEL, wanted, targets(wanted[1]))
    assert {made.choose(str(k)) for k in range(50)} == {Target("champion", 1, 1001)}
    assert route("dev", "price", MODEL, wanted, {}).choose("a") is None


def test_a_canary_falls_back_on_the_champion_beside_it() -> None:
    wanted = desired([(CHAMPION, 1)], [rollout()])
    assert route("dev", "price", MODEL, wanted, targets(*wanted)).champion == Target("champion", 1, 1001)


@pytest.mark.parametrize(("limit", "seconds"), [({}, 60), ({"p99_ms": 250}, 2.5), ({"p99_ms": 5}, 1), ({"p99_ms": 30_000}, 60)])
def test_a_canary_that_takes_long_is_given_up(limit: dict[str, float], seconds: float) -> None:
    assert desired([(CHAMPION, 1)], [rollout(**limit)])[0].patience == seconds


def test_entities_of_a_definition_have_the_shares_of_their_routes() -> None:
    entities = [{"name": "a", "entity_name": "shop.price"}, {"name": "b", "entity_name": "shop.price", "entity_version": "4"}]
    routes = [{"served_entity_name": "a", "traffic_percentage": 80}, {"served_model_name": "b", "traffic_percentage": 20}]
    found = served_entities("dev", {"config": {"served_entities": entities, "traffic_config": {"routes": routes}}})
    assert found == (ServedEntity("a", MODEL, "champion", 80.0), ServedEntity("b", MODEL, "4", 20.0))
    assert answered(desired([(e, n) for n, e in enumerate(found, 1)], []))[2] == pytest.approx(400, abs=80)


@pytest.mark.parametrize(
    ("body", "header", "key"),
    [
        (b'{"client_request_id": "a", "inputs": [1]}', None, "a"),
        (b'{"client_request_id": "a", "routing_key": 7, "inputs": [1]}', None, "7"),
        (b'{"client_request_id": "a"}', "h", "h"),
        (b'{"inputs": [1]}', None, None),
        (b"no json", None, None),
    ],
)
def test_the_key_is_that_of_the_header_or_the_body(body: bytes, header: str | None, key: str | None) -> None:
    assert Asked(body, "application/json", "ada", header).routing_key == key
