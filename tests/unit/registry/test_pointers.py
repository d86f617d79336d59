"""Stages, aliases and the Production pointer move together."""

import sqlite3
from collections.abc import Callable

import pytest

from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.registry import Registry

MODEL = "dev.flights.delay"
ME = "ada"


@pytest.fixture(autouse=True)
def three_versions(register: Callable[..., None]) -> None:
    register(MODEL)


def stages(registry: Registry) -> dict[int, str]:
    return {v.version: v.stage for v in registry.versions(MODEL)}


def test_promoting_moves_stage_alias_and_pointer_together(registry: Registry) -> None:
    promoted = registry.promote(MODEL, 2, principal=ME, reason="better")
    assert (promoted.stage, promoted.aliases) == ("Production", ("champion",))
    model = registry.model(MODEL)
    assert model.production == model.aliases["champion"] == registry.resolve(MODEL, "Production") == 2


def test_the_former_production_is_archived_and_loses_champion(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME)
    registry.promote(MODEL, 2, principal=ME)
    assert stages(registry) == {1: "Archived", 2: "Production", 3: "None"}
    assert registry.version(MODEL, 1).aliases == ()


def test_staging_hands_out_challenger_and_promoting_takes_it_back(registry: Registry) -> None:
    registry.transition(MODEL, 3, "staging", principal=ME)
    assert registry.model(MODEL).aliases == {"challenger": 3}
    registry.promote(MODEL, 3, principal=ME)
    assert registry.model(MODEL).aliases == {"champion": 3}


def test_the_challenger_keeps_its_alias_when_another_version_is_promoted(registry: Registry) -> None:
    registry.transition(MODEL, 3, "Staging", principal=ME)
    registry.promote(MODEL, 2, principal=ME)
    assert registry.model(MODEL).aliases == {"challenger": 3, "champion": 2}


def test_leaving_production_clears_the_pointer_and_champion(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME)
    registry.transition(MODEL, 1, "Archived", principal=ME)
    model = registry.model(MODEL)
    assert (model.production, model.aliases) == (None, {})


def test_pointing_champion_promotes_and_deleting_it_archives(registry: Registry) -> None:
    registry.set_alias(MODEL, "Champion", 2, principal=ME)
    assert registry.version(MODEL, 2).stage == "Production"
    registry.delete_alias(MODEL, "champion", principal=ME)
    assert registry.version(MODEL, 2).stage == "Archived"
    assert registry.model(MODEL).production is None


def test_an_alias_of_ones_own_moves_freely(registry: Registry) -> None:
    registry.set_alias(MODEL, "shadow", 1, principal=ME)
    registry.set_alias(MODEL, "shadow", 3, principal=ME)
    assert registry.resolve(MODEL, "@shadow") == 3
    registry.delete_alias(MODEL, "shadow", principal=ME)
    with pytest.raises(NotFound, match="no alias shadow"):
        registry.delete_alias(MODEL, "shadow", principal=ME)


@pytest.mark.parametrize("alias", ["Production", "none", "latest", "v3", "7", "a.b", "", "with space"])
def test_an_alias_that_could_mean_something_else_is_refused(registry: Registry, alias: str) -> None:
    with pytest.raises(InvalidInput, match="is no alias"):
        registry.set_alias(MODEL, alias, 1, principal=ME)


def test_rollback_brings_back_the_version_before(registry: Registry) -> None:
    for version in (1, 2, 3):
        registry.promote(MODEL, version, principal=ME)
    assert registry.rollback(MODEL, principal=ME, reason="errors").version == 2
    assert registry.rollback(MODEL, principal=ME).version == 1
    assert stages(registry) == {1: "Production", 2: "Archived", 3: "Archived"}


def test_rollback_after_a_rollback_and_a_new_promotion_returns_to_what_served(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME)
    registry.promote(MODEL, 2, principal=ME)
    registry.rollback(MODEL, principal=ME)
    registry.promote(MODEL, 3, principal=ME)
    assert registry.rollback(MODEL, principal=ME).version == 1


def test_rollback_revives_the_last_production_when_there_is_none(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME)
    registry.transition(MODEL, 1, "Archived", principal=ME)
    assert registry.rollback(MODEL, principal=ME).version == 1


def test_rollback_without_a_former_version_says_what_to_do(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME)
    with pytest.raises(Conflict, match=r"nothing to roll dev.flights.delay back to: version 1 is in Production"):
        registry.rollback(MODEL, principal=ME)


def test_a_decision_on_an_outdated_production_is_refused(registry: Registry) -> None:
    registry.promote(MODEL, 1, principal=ME, expected_production=None)
    with pytest.raises(Conflict, match=r"version 1 of dev.flights.delay is in Production, not 2"):
        registry.promote(MODEL, 3, principal=ME, expected_production=2)
    assert registry.promote(MODEL, 3, principal=ME, expected_production=1).stage == "Production"


def test_archive_existing_clears_the_rest_of_staging(registry: Registry) -> None:
    registry.transition(MODEL, 1, "Staging", principal=ME)
    registry.transition(MODEL, 2, "Staging", principal=ME, archive_existing=True)
    assert stages(registry) == {1: "Archived", 2: "Staging", 3: "None"}


def test_a_version_that_is_not_ready_cannot_enter_production(registry: Registry, register: Callable[..., None]) -> None:
    register("dev.flights.half", 1, status="PENDING_REGISTRATION")
    with pytest.raises(Conflict, match="PENDING_REGISTRATION, not READY"):
        registry.promote("dev.flights.half", 1, principal=ME)


def test_the_database_itself_refuses_a_second_production(registry: Registry, database: Database) -> None:
    registry.promote(MODEL, 1, principal=ME)
    plain = sqlite3.connect(database.url.removeprefix("sqlite:///"))
    with pytest.raises(sqlite3.IntegrityError):
        plain.execute("UPDATE model_versions SET current_stage = 'Production' WHERE version = 2")
    plain.close()


@pytest.mark.parametrize(("name", "version"), [("dev.flights.other", 1), (MODEL, 9)])
def test_what_is_missing_is_named(registry: Registry, name: str, version: int) -> None:
    with pytest.raises(NotFound, match=r"no model dev.flights.other|no version 9"):
        registry.promote(name, version, principal=ME)
