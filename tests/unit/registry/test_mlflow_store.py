"""What an MLflow models changes goes through the registry: completed, authorised, told and audited."""

import contextvars
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa

from boathouse.registry import Actor, Registry, acting_as, mlflow_stores

NAME, FULL = "flights.delay", "dev.flights.delay"
SOURCE = "mlflow-artifacts:/1/models/m-1/artifacts"

Grants = set[tuple[str, str]]


def actor(grants: Grants, principal: str = "ada", environment: str | None = "dev") -> Actor:
    def allow(privilege: str, name: str) -> bool:
        return any(p in (privilege, "ALL") and (name == n or name.startswith(f"{n}.")) for p, n in grants)

    return Actor(principal, allow, environment)


def tag(key: str, value: str) -> Any:
    return SimpleNamespace(key=key, value=value)


@pytest.fixture
def stores(registry: Registry) -> Iterator[tuple[Any, Any]]:
    with acting_as(actor({("ALL", "dev"), ("ALL", "prod")})):
        yield mlflow_stores(registry)


@pytest.fixture
def models(stores: tuple[Any, Any]) -> Any:
    return stores[1]


@pytest.fixture
def tracking(stores: tuple[Any, Any]) -> Any:
    return stores[0]


@pytest.fixture
def run(tracking: Any) -> str:
    return str(tracking.create_run("0", "ada", 0, [], None).info.run_id)


@pytest.fixture
def version(models: Any) -> int:
    models.create_registered_model(NAME)
    return int(models.create_model_version(NAME, SOURCE).version)


def refused(call: Callable[[], Any], code: str, message: str) -> None:
    from mlflow.exceptions import MlflowException

    with pytest.raises(MlflowException, match=message) as caught:
        call()
    assert caught.value.error_code == code


def test_two_levels_are_completed_and_answers_are_full(models: Any, registry: Registry, version: int) -> None:
    made = models.get_model_version(NAME, version)
    assert (made.name, made.user_id) == (FULL, "ada")
    assert registry.version(FULL, 1).creator == "ada"
    assert [m.name for m in models.search_registered_models(f"name = '{NAME}'")] == [FULL]
    assert [v.name for v in models.search_model_versions(f"name='{NAME}'")] == [FULL]


def test_what_mlflow_creates_is_told_in_its_transaction(models: Any, log: Any, version: int) -> None:
    models.set_model_version_tag(NAME, version, tag("data", "v3"))
    models.set_registered_model_tag(NAME, tag("owner", "ada"))
    models.update_model_version(NAME, version, "first")
    kinds = ["registered_model.created", "model_version.created", "model_version.tag_set"]
    assert log.events(FULL) == [*kinds, "registered_model.tag_set", "model_version.described"]
    assert log.entries()[0] == ("ada", "registered_model.created")


def test_a_failed_creation_tells_nothing(models: Any, log: Any, version: int) -> None:
    before = len(log.rows())
    refused(lambda: models.create_registered_model(NAME), "RESOURCE_ALREADY_EXISTS", "already exists")
    refused(lambda: models.create_model_version("flights.none", SOURCE), "RESOURCE_DOES_NOT_EXIST", "not found")
    assert len(log.rows()) == before


@pytest.mark.parametrize("source", ["models:/m-0badc0de", "models:/flights.delay"])
def test_a_model_that_was_not_logged_is_not_registered(models: Any, version: int, source: str) -> None:
    refused(lambda: models.create_model_version(NAME, source), "RESOURCE_DOES_NOT_EXIST", "no logged model")
    assert len(models.search_model_versions()) == version == 1


def test_a_stage_transition_through_mlflow_is_a_promotion(models: Any, registry: Registry, version: int) -> None:
    moved = models.transition_model_version_stage(NAME, version, "Production", False)
    assert (moved.current_stage, moved.aliases) == ("Production", ["champion"])
    assert registry.model(FULL).production == version
    assert registry.history(FULL)[0].principal == "ada"


def test_an_alias_through_mlflow_moves_the_stage(models: Any, registry: Registry, version: int) -> None:
    models.set_registered_model_alias(NAME, "champion", version)
    assert models.get_model_version_by_alias(NAME, "champion").current_stage == "Production"
    models.delete_registered_model_alias(NAME, "champion")
    assert registry.version(FULL, version).stage == "Archived"


def test_a_production_version_cannot_be_deleted_or_renamed(models: Any, registry: Registry, version: int) -> None:
    registry.promote(FULL, version, principal="ada")
    for call in (
        lambda: models.delete_model_version(NAME, version),
        lambda: models.delete_registered_model(NAME),
        lambda: models.rename_registered_model(NAME, "flights.late"),
    ):
        refused(call, "RESOURCE_CONFLICT", "is in Production; promote another version")


def test_history_follows_a_renamed_model_and_ends_with_a_deleted_one(
    models: Any, registry: Registry, version: int, log: Any
) -> None:
    registry.transition(FULL, version, "Staging", principal="ada")
    models.rename_registered_model(NAME, "flights.late")
    assert len(registry.history("dev.flights.late")) == 1
    models.delete_model_version("flights.late", version)
    models.delete_registered_model("flights.late")
    assert registry.models() == []
    assert log.events()[-1] == "registered_model.deleted"


def test_promoting_takes_its_own_privilege(models: Any, registry: Registry, version: int) -> None:
    with acting_as(actor({("CREATE MODEL", "dev"), ("EXECUTE", "dev")}, "eve")):
        models.set_registered_model_alias(NAME, "shadow", version)
        promote = lambda: models.set_registered_model_alias(NAME, "champion", version)  # noqa: E731
        refused(promote, "PERMISSION_DENIED", r"eve lacks PROMOTE on dev\.flights\.delay")
    registry.promote(FULL, version, principal="ada")
    with acting_as(actor({("CREATE MODEL", "dev"), ("EXECUTE", "dev")}, "eve")):
        drop = lambda: models.delete_registered_model_alias(NAME, "champion")  # noqa: E731
        refused(drop, "PERMISSION_DENIED", "eve lacks PROMOTE")


def test_models_of_another_environment_are_read_by_full_name_and_never_changed(models: Any, version: int) -> None:
    with acting_as(actor({("ALL", "dev"), ("ALL", "prod")}, "bob", "prod")):
        assert models.get_registered_model(FULL).name == FULL
        refused(lambda: models.get_registered_model(NAME), "RESOURCE_DOES_NOT_EXIST", r"prod\.flights\.delay")
        describe = lambda: models.update_registered_model(FULL, "mine now")  # noqa: E731
        refused(describe, "PERMISSION_DENIED", "works in prod and cannot change")


def test_what_one_may_not_see_is_not_there(models: Any, version: int) -> None:
    with acting_as(actor(set(), "eve")):
        refused(lambda: models.get_model_version(NAME, version), "RESOURCE_DOES_NOT_EXIST", "may see")
        assert models.search_registered_models() == []
        assert models.search_model_versions() == []


def test_a_page_is_filled_past_what_is_hidden(models: Any) -> None:
    for i in range(12):
        models.create_registered_model(f"{'open' if i % 4 == 0 else 'secret'}.m{i:02}")
    with acting_as(actor({("BROWSE", "dev.open")}, "eve")):
        first = models.search_registered_models(max_results=2)
        rest = models.search_registered_models(max_results=2, page_token=first.token)
    assert [m.name for m in [*first, *rest]] == ["dev.open.m00", "dev.open.m04", "dev.open.m08"]
    assert rest.token is None


def test_without_an_identity_nothing_answers(models: Any) -> None:
    search = models.search_registered_models
    refused(lambda: contextvars.Context().run(search), "UNAUTHENTICATED", "no identity")


def test_only_models_logged_here_are_registered(models: Any, tracking: Any, version: int) -> None:
    for source in ("/etc", "file:///etc", "s3://bucket/model"):
        refused(lambda s=source: models.create_model_version(NAME, s), "INVALID_PARAMETER_VALUE", "not logged here")
    elsewhere = lambda: tracking.create_experiment("mine", "/etc")  # noqa: E731
    refused(elsewhere, "INVALID_PARAMETER_VALUE", "leave artifact_location out")


def test_a_version_of_a_logged_model_knows_its_files_and_run(
    models: Any, tracking: Any, registry: Registry, run: str, version: int
) -> None:
    logged = tracking.create_logged_model("0", "delay", run, [], [], None)
    made = models.create_model_version(NAME, f"models:/{logged.model_id}", model_id=logged.model_id)
    assert (made.source, made.run_id) == (f"models:/{logged.model_id}", run)
    assert registry.version(FULL, 2).location == logged.artifact_location
    assert models.get_model_version_download_uri(NAME, 2) == logged.artifact_location


def test_a_run_belongs_to_the_environment_that_made_it(tracking: Any, run: str) -> None:
    from mlflow.entities import Metric, RunTag

    tracking.log_metric(run, Metric("auc", 0.7, 1, 0))
    assert tracking.get_run(run).data.tags["boathouse.environment"] == "dev"
    with acting_as(actor({("EXECUTE", "dev")}, "bob", "prod")):
        log = lambda: tracking.log_metric(run, Metric("auc", 0.9, 2, 0))  # noqa: E731
        refused(log, "RESOURCE_DOES_NOT_EXIST", "not found")
    claim = lambda: tracking.set_tag(run, RunTag("boathouse.environment", "prod"))  # noqa: E731
    refused(claim, "INVALID_PARAMETER_VALUE", "cannot be changed")


def test_only_a_task_says_which_job_run_made_a_run(tracking: Any) -> None:
    """Who started that run may not approve what it made, so nobody takes it away or names another."""
    from mlflow.entities import RunTag

    task = replace(actor({("EXECUTE", "dev"), ("RUN", "dev")}), run_id="r7")
    with acting_as(task):
        made = tracking.create_run("0", "", 0, [RunTag("boathouse.job_run", "r8")], "train").info.run_id
        tracking.log_batch(made, [], [], [RunTag("boathouse.job_run", "r7")])
    assert tracking.get_run(made).data.tags["boathouse.job_run"] == "r7"
    tag = lambda: tracking.set_tag(made, RunTag("boathouse.job_run", "r8"))  # noqa: E731
    refused(tag, "INVALID_PARAMETER_VALUE", "cannot be changed")
    refused(lambda: tracking.delete_tag(made, "boathouse.job_run"), "INVALID_PARAMETER_VALUE", "cannot be changed")


def test_a_batch_is_one_transaction(tracking: Any, run: str) -> None:
    from mlflow.entities import Metric, Param

    tracking.log_param(run, Param("depth", "3"))
    batch = [Metric("auc", 0.7, 1, 0)], [Param("depth", "4")], []
    refused(lambda: tracking.log_batch(run, *batch), "INVALID_PARAMETER_VALUE", "depth")
    assert tracking.get_run(run).data.metrics == {}


def test_pages_follow_each_other_by_key_while_rows_come_and_go(models: Any) -> None:
    for i in range(6):
        models.create_registered_model(f"flights.m{i}", [tag("owner", "ada" if i % 2 else "bob")])
    first = models.search_registered_models(max_results=2)
    models.delete_registered_model("flights.m0")
    second = models.search_registered_models(max_results=2, page_token=first.token)
    assert [m.name for m in second] == ["dev.flights.m2", "dev.flights.m3"]
    backwards = models.search_registered_models("tags.owner = 'ada'", order_by=["name DESC"])
    assert [m.name for m in backwards] == ["dev.flights.m5", "dev.flights.m3", "dev.flights.m1"]
    refused(lambda: models.search_registered_models(page_token="eyJvZmZzZXQiOiA1fQ=="), "INVALID_PARAMETER_VALUE", "page token")


def test_versions_are_found_by_tag_whoever_wrote_it_and_newest_first(models: Any, registry: Registry, version: int) -> None:
    for i in range(4):
        models.create_model_version(NAME, SOURCE, tags=[tag("team", "a" * 70 if i % 2 else "b")])
    found = lambda where, **more: [int(v.version) for v in models.search_model_versions(where, **more)]  # noqa: E731
    assert found("tags.team = 'b'") == [4, 2]
    assert found(f"tags.team = '{'a' * 70}'") == [5, 3]
    assert found(f"tags.team = '{'a' * 71}'") == []
    models.update_model_version(NAME, 2, "touched last")
    models.set_model_version_tag(NAME, 5, tag("team", "b"))
    models.delete_model_version_tag(NAME, 4, "team")
    assert found("tags.team = 'b'") == found(f"name = '{NAME}' AND tags.team = 'b'") == [2, 5]
    assert found("tags.team LIKE 'b%'", order_by=["version_number ASC"]) == [2, 5]
    models.rename_registered_model(NAME, "flights.late")  # which touches all versions at one moment
    assert found("tags.team = 'b'") == [5, 2]
    models.delete_model_version("flights.late", 5)
    page = models.search_model_versions("tags.team != 'c'", 1)
    rest = models.search_model_versions("tags.team != 'c'", 5, page_token=page.token)
    assert [int(v.version) for v in [*page, *rest]] == [3, 2]


def test_the_newest_version_of_each_stage_is_known_without_the_others(models: Any, registry: Registry, version: int) -> None:
    for _ in range(3):
        models.create_model_version(NAME, SOURCE)
    registry.promote(FULL, 2, principal="ada")
    latest = {v.current_stage: int(v.version) for v in models.get_latest_versions(NAME)}
    assert latest == {"None": 4, "Production": 2}
    assert [v.aliases for v in models.get_latest_versions(NAME, ["Production"])] == [["champion"]]
    model = models.search_registered_models(f"name LIKE '{FULL[:-3]}%'")[0]
    assert (sorted(int(v.version) for v in model.latest_versions), model.aliases) == ([2, 4], {"champion": 2})


def test_what_is_hidden_by_absence_is_told_to_the_audit_log(models: Any, version: int) -> None:
    told: list[tuple[str, str, str]] = []
    hidden = Actor("eve", lambda *_: False, "dev", denied=lambda *what: told.append(what))
    with acting_as(hidden):
        refused(lambda: models.get_registered_model(NAME), "RESOURCE_DOES_NOT_EXIST", "may see")
    assert told == [("eve", "EXECUTE", FULL)]


def test_indexes_of_a_home_of_before_are_made_and_the_projection_filled(models: Any, registry: Registry, version: int) -> None:
    models.set_model_version_tag(NAME, version, tag("team", "a"))
    with registry.database.writing() as connection:
        connection.exec_driver_sql("DROP TRIGGER bh_tag_added")
        connection.exec_driver_sql("DROP INDEX bh_versions_updated")
        connection.exec_driver_sql("DELETE FROM bh_tagged_versions")
    assert models.search_model_versions("tags.team = 'a'") == []
    registry.install()
    assert [v.version for v in models.search_model_versions("tags.team = 'a'")] == [version]


def test_what_is_in_use_is_deleted_only_by_force(models: Any, registry: Registry, version: int, log: Any) -> None:
    registry.users = lambda name, number: {"endpoint dev.delay"} if (name, number) in ((FULL, 1), (FULL, None)) else ()
    models.create_model_version(NAME, SOURCE)
    models.set_registered_model_alias(NAME, "shadow", 2)
    for call in (lambda: models.delete_model_version(NAME, 1), lambda: models.delete_registered_model(NAME)):
        refused(call, "RESOURCE_CONFLICT", "it is used by endpoint dev.delay; move them off it first")
    models.delete_model_version(NAME, 2)
    assert registry.model(FULL).aliases == {}
    refused(lambda: models.get_model_version(NAME, 2), "RESOURCE_DOES_NOT_EXIST", "not found")
    registry.delete(FULL, 1, principal="ada", force=True)
    assert "used_by" in log.rows()[-1].data
    assert int(models.create_model_version(NAME, SOURCE).version) == 3  # a number is never given again
    registry.delete(FULL, principal="ada", force=True)
    assert registry.models() == []


def test_pages_and_changes_ask_a_few_statements_however_many_models_and_tags_there_are(models: Any, registry: Registry) -> None:
    for number in range(3):
        models.create_registered_model(f"{NAME}{number}", [tag("owner", "ada"), tag("team", "air")])
        models.create_model_version(f"{NAME}{number}", SOURCE, tags=[tag("data", "v3")])
        models.set_registered_model_alias(f"{NAME}{number}", "best", 1)
    asked: list[str] = []
    sa.event.listen(registry.database.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def cost(call: Callable[[], Any]) -> int:
        asked.clear()
        call()
        return len([statement for statement in asked if not statement.startswith("BEGIN")])

    assert cost(lambda: models.get_model_version(f"{NAME}0", 1)) == 1
    assert cost(lambda: models.get_latest_versions(f"{NAME}0")) == 1
    assert cost(models.search_model_versions) == 2
    assert cost(models.search_registered_models) == 3
    created = cost(lambda: models.create_model_version(f"{NAME}0", SOURCE, tags=[tag("a", "1"), tag("b", "2")]))
    assert created <= 7  # the model, its last number, the version, its tags, event, audit, what is answered
    found = models.search_registered_models()[0]
    assert (found.tags, found.aliases) == ({"owner": "ada", "team": "air"}, {"best": 1})
    assert [v.tags for v in found.latest_versions] == [{"a": "1", "b": "2"}]
    assert models.get_latest_versions(f"{NAME}1")[0].aliases == ["best"]
