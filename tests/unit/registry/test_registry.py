"""What the registry lists and tells."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound
from boathouse.registry import Registry, local_artifacts, prepare_mlflow, search

MODEL = "dev.flights.delay"
ME = "ada"


def test_models_are_listed_by_environment(registry: Registry, register: Callable[..., None]) -> None:
    for name in ("dev.flights.delay", "dev_2.flights.delay", "prod.flights.delay"):
        register(name, 2)
    assert [m.name for m in registry.models("dev")] == ["dev.flights.delay"]
    assert len(registry.models()) == 3
    assert registry.models("prod")[0].latest_version == 2


def test_versions_come_newest_first_with_their_aliases(registry: Registry, register: Callable[..., None]) -> None:
    register(MODEL, 3)
    registry.set_alias(MODEL, "shadow", 2, principal=ME)
    assert [v.version for v in registry.versions(MODEL)] == [3, 2, 1]
    assert registry.versions(MODEL, limit=2)[1].aliases == ("shadow",)
    assert registry.version(MODEL, 1).location == "mlflow-artifacts:/1/models/m-1/artifacts"


@pytest.mark.parametrize(("ref", "version"), [(1, 1), ("1", 1), ("latest", 3), ("none", 3), ("production", 2)])
def test_a_reference_may_be_a_number_a_stage_or_latest(
    registry: Registry, register: Callable[..., None], ref: int | str, version: int
) -> None:
    register(MODEL, 3)
    registry.promote(MODEL, 2, principal=ME)
    assert registry.resolve(MODEL, ref) == version


def test_an_unknown_reference_names_the_known_ones(registry: Registry, register: Callable[..., None]) -> None:
    register(MODEL, 1)
    registry.promote(MODEL, 1, principal=ME)
    with pytest.raises(NotFound, match="it has @champion, Production, latest and versions up to 1"):
        registry.resolve(MODEL, "@challenger")


def test_every_step_is_kept_with_its_reason(registry: Registry, register: Callable[..., None]) -> None:
    register(MODEL, 2)
    registry.promote(MODEL, 1, principal=ME, reason="first", evidence="run-7")
    registry.promote(MODEL, 2, principal="bob", reason="better")
    registry.rollback(MODEL, principal=ME, reason="errors")
    steps = [(s.version, s.to_stage, s.action, s.principal) for s in registry.history(MODEL)]
    assert steps == [
        (1, "Production", "promote", "ada"),
        (1, "Archived", "supersede", "bob"),
        (2, "Production", "promote", "bob"),
        (2, "Archived", "supersede", "ada"),
        (1, "Production", "rollback", "ada"),
    ]
    assert registry.history(MODEL)[0].evidence == "run-7"


def test_a_promotion_tells_its_events_and_one_audit_entry(registry: Registry, register: Callable[..., None], log: object) -> None:
    register(MODEL, 2)
    registry.promote(MODEL, 1, principal=ME)
    assert log.events() == ["model_version.transitioned", "model_version.alias_set"]  # type: ignore[attr-defined]
    assert log.entries() == [(ME, "model.promote")]  # type: ignore[attr-defined]
    registry.promote(MODEL, 1, principal=ME)  # nothing moves, nothing is told
    assert len(log.rows()) == 3  # type: ignore[attr-defined]


def test_a_change_whose_audit_fails_never_happened(database: Database, register: Callable[..., None]) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("the audit log is full")

    registry = Registry(database, lambda *_: None, refuse)
    registry.install()
    register(MODEL, 1)
    with pytest.raises(RuntimeError):
        registry.promote(MODEL, 1, principal=ME)
    assert registry.model(MODEL).production is None
    assert registry.history(MODEL) == []


def test_verdicts_are_kept_newest_first(registry: Registry, register: Callable[..., None]) -> None:
    register(MODEL, 2)
    registry.record_verdict(MODEL, 1, "staging", {"passed": False, "why": ["roc_auc"]})
    registry.record_verdict(MODEL, 1, "staging", {"passed": True})
    assert [v.verdict["passed"] for v in registry.verdicts(MODEL, 1)] == [True, False]
    assert registry.verdicts(MODEL, 2) == []


def test_before_mlflow_made_its_tables_nothing_is_registered(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'new.db'}")
    database.create_tables()
    registry = Registry(database, lambda *_: None, lambda *_: None)
    assert registry.models() == []
    with pytest.raises(NotFound, match=r"no model dev.flights.delay"):
        registry.promote(MODEL, 1, principal=ME)
    database.close()


def test_an_unknown_stage_names_the_four(registry: Registry, register: Callable[..., None]) -> None:
    register(MODEL, 1)
    with pytest.raises(InvalidInput, match="None, Staging, Production, Archived"):
        registry.transition(MODEL, 1, "Canary", principal=ME)


def test_preparing_a_prepared_database_does_nothing(database: Database, tmp_path: Path) -> None:
    assert prepare_mlflow(database.url, str(tmp_path / "artifacts")) is False


def test_our_index_survives_being_installed_twice(registry: Registry, database: Database) -> None:
    registry.install()
    with database.reading() as connection:
        names = [index["name"] for index in sa.inspect(connection).get_indexes("model_versions")]
    assert names.count("bh_one_production") == 1


def test_locations_are_found_below_the_artifact_root() -> None:
    assert local_artifacts("mlflow-artifacts:/1/models/m-1", "/home/a/") == "/home/a/1/models/m-1"
    assert local_artifacts("s3://bucket/x", "/home/a") == "s3://bucket/x"


def test_a_part_of_a_name_or_description_is_found_in_any_case_whoever_wrote_it(
    registry: Registry, register: Callable[..., None], database: Database
) -> None:
    for name in ("dev.flights.delay", "dev.flights.taxi_time", "prod.shop.reorder"):
        register(name, 1)
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE registered_models SET description = 'Minutes of \"DELAY\"' WHERE name LIKE '%taxi%'"))

    def found(part: str, environment: str | None = None) -> list[str]:
        return [m.name.rpartition(".")[2] for m in registry.models(environment, part=part)]

    assert found("ELA") == ["delay", "taxi_time"]
    assert found('"delay"') == found("i_t") == ["taxi_time"]
    assert (found("re", "prod"), found("%"), found("i%t")) == (["reorder"], [], [])
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE registered_models SET description = '' WHERE name LIKE '%taxi%'"))
    registry.delete("dev.flights.delay", principal="ada")
    assert found("delay") == []


def test_what_many_names_hold_is_found_in_pages_as_well(
    registry: Registry, register: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        register(f"dev.flights.delay{number}", 1)
    for few in (2, 500):
        monkeypatch.setattr(search, "_FEW", few)
        first = registry.models(part="delay", limit=4)
        rest = registry.models(part="delay", limit=4, after=first[-1].name)
        assert [m.name[-1] for m in [*first, *rest]] == list("012345")
