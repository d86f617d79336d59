"""What a deployed bundle gives, and what it takes back: schemas, volumes, grants and permissions."""

from pathlib import Path

import pytest

from boathouse.errors import NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, environment: dev}}
resources:
"""
PLACES = """
  schemas:
    sales: {name: sales, comment: What was sold, grants: [{principal: analysts, privileges: [USE_SCHEMA, SELECT]}]}
  volumes:
    incoming: {schema_name: sales, name: incoming, grants: [{principal: analysts, privileges: [WRITE_VOLUME]}]}
"""
JOB = """
  jobs:
    load:
      permissions: [{level: CAN_MANAGE_RUN, group_name: analysts}]
      tasks: [{task_key: load, sql_task: {query: "select 1"}}]
"""


@pytest.fixture
def admin(platform: Platform) -> Identity:
    """A member of admins; the group `analysts` is there, too, with one member."""
    platform.identities.create("analysts", "group")
    platform.identities.create("eve", "user")
    platform.identities.add_member("analysts", "eve")
    platform.access.grant("admin", ["analysts"], ["USE CATALOG"], "catalog", "dev")
    return Identity("admin", frozenset({"admins"}))


def deploy(platform: Platform, who: Identity, folder: Path, resources: str) -> tuple[str, ...]:
    (folder / "boathouse.yml").write_text(BUNDLE + (resources or "  {}"))
    return platform.code.deploy(who, "dev", path=str(folder)).notes


def eve(platform: Platform) -> Identity:
    return Identity("eve", platform.identities.groups_of("eve"))


def test_schemas_and_volumes_come_with_the_bundle_and_grants_hold(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    assert deploy(platform, admin, tmp_path, PLACES) == ()
    assert platform.catalog.require("schema", "dev.sales").comment == "What was sold"
    platform.volumes.put(eve(platform), "dev.sales.incoming", "a.txt", [b"a"])
    assert platform.access.allows(eve(platform), "SELECT", "schema", "dev.sales")


def test_who_may_run_a_job_is_said_in_the_bundle_and_taken_back_by_it(
    platform: Platform, admin: Identity, tmp_path: Path
) -> None:
    deploy(platform, admin, tmp_path, JOB)
    assert platform.access.allows(eve(platform), "RUN", "job", "dev.load")
    deploy(platform, admin, tmp_path, JOB.replace("CAN_MANAGE_RUN", "CAN_VIEW"))
    assert not platform.access.allows(eve(platform), "RUN", "job", "dev.load")
    assert platform.access.sees(eve(platform), "job", "dev.load")


def test_what_was_granted_by_hand_stays(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    deploy(platform, admin, tmp_path, PLACES.replace("USE_SCHEMA, SELECT", "USE_SCHEMA"))
    platform.access.grant("admin", ["analysts"], ["SELECT"], "schema", "dev.sales")
    deploy(platform, admin, tmp_path, PLACES)
    deploy(platform, admin, tmp_path, PLACES.replace("USE_SCHEMA, SELECT", "BROWSE"))
    held = {g.privilege for g in platform.access.grants("schema", "dev.sales", "analysts")}
    assert held == {"SELECT", "BROWSE"}


def test_a_grant_that_was_taken_away_comes_back_with_the_next_deploy(
    platform: Platform, admin: Identity, tmp_path: Path
) -> None:
    deploy(platform, admin, tmp_path, PLACES)
    platform.access.revoke("admin", "analysts", "SELECT", "schema", "dev.sales")
    deploy(platform, admin, tmp_path, PLACES)
    assert platform.access.allows(eve(platform), "SELECT", "schema", "dev.sales")


def test_destroy_takes_back_grants_drops_what_is_empty_and_keeps_what_holds_data(
    platform: Platform, admin: Identity, tmp_path: Path
) -> None:
    deploy(platform, admin, tmp_path, PLACES)
    platform.volumes.put(admin, "dev.sales.incoming", "a.txt", [b"a"])
    removed, notes = platform.code.destroy(admin, "dev", "shop")
    assert removed == 2
    assert [note.split(" is not empty")[0] for note in notes] == ["the volume dev.sales.incoming", "the schema dev.sales"]
    assert platform.access.grants("schema", "dev.sales") == []
    assert platform.volumes.stat(admin, "dev.sales.incoming", "a.txt").size == 1


def test_an_empty_schema_goes_with_its_bundle(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    deploy(platform, admin, tmp_path, PLACES)
    deploy(platform, admin, tmp_path, JOB)
    assert not platform.catalog.exists("schema", "dev.sales")


def test_a_bundle_grants_nothing_on_what_others_made(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    platform.catalog.create_schema(admin, "dev.sales")
    platform.identities.create("ann", "user")
    platform.access.grant("admin", ["ann"], ["USE CATALOG", "DEPLOY"], "catalog", "dev")
    with pytest.raises(NotPermitted, match=r"ann lacks .*MANAGE.* on dev\.sales"):
        deploy(platform, Identity("ann"), tmp_path, PLACES)
    assert platform.deployments.resources(environment="dev", project="shop") == []
    assert not platform.catalog.exists("volume", "dev.sales.incoming")


def test_a_name_that_nobody_has_is_told_and_granted_nothing(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    notes = deploy(platform, admin, tmp_path, JOB.replace("analysts", "strangers"))
    assert notes == ("strangers is no principal here, so nothing was granted to it: create it and deploy again",)
    assert platform.access.grants("job", "dev.load") == []


def test_grants_on_a_model_wait_for_its_first_version(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    model = "  registered_models: {m: {schema_name: sales, name: m, grants: [{principal: analysts, privileges: [EXECUTE]}]}}\n"
    deploy(platform, admin, tmp_path, model)
    platform.catalog.adopt("model", "dev.sales.m", "someone")
    assert {g.privilege for g in platform.access.grants("model", "dev.sales.m")} == {"EXECUTE"}


def test_users_are_everybody_unless_a_group_has_that_name(platform: Platform, admin: Identity, tmp_path: Path) -> None:
    job = JOB.replace("analysts", "users")
    assert deploy(platform, admin, tmp_path, job) == ()
    platform.identities.create("new", "user")
    platform.access.grant("admin", ["new"], ["USE CATALOG"], "catalog", "dev")
    new = Identity("new", platform.identities.groups_of("new"))
    assert platform.access.allows(new, "RUN", "job", "dev.load")
    platform.identities.create("users", "group")
    deploy(platform, admin, tmp_path, job)
    assert not platform.access.allows(new, "RUN", "job", "dev.load")
