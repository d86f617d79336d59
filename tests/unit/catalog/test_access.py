"""Grants are given, taken and asked for; a refusal leaves a trace."""

from typing import Any

import pytest

from boathouse.errors import InvalidInput, NotPermitted
from boathouse.identity import Identity

ADA = Identity("ada", frozenset({"team"}))


def test_a_grant_holds_at_once_and_so_does_its_end(world: Any) -> None:
    world.access.grant("root", ["team"], ["USE CATALOG", "CREATE SCHEMA"], "catalog", "dev")
    world.access.authorize(ADA, "create_schema", "catalog", "dev")
    world.access.revoke("root", "team", "CREATE SCHEMA", "catalog", "dev")
    assert not world.access.allows(ADA, "CREATE SCHEMA", "catalog", "dev")


def test_a_refusal_names_what_is_missing_and_how_to_get_it(world: Any) -> None:
    with pytest.raises(NotPermitted, match=r"grants add 'USE CATALOG' --catalog prod --to ada") as refused:
        world.access.authorize(ADA, "SELECT", "table", "prod.raw.events")
    assert refused.value.details["missing"] == {"privilege": "USE CATALOG", "securable": "prod"}
    world.access.grant("root", ["ada"], ["USE CATALOG"], "catalog", "prod")
    with pytest.raises(NotPermitted, match=r"'USE SCHEMA' --schema prod\.raw --to ada"):
        world.access.authorize(ADA, "SELECT", "table", "prod.raw.events")


def test_refusals_are_recorded_and_questions_are_not(world: Any) -> None:
    assert not world.access.allows(ADA, "SELECT", "table", "prod.raw.events")
    assert world.denials() == []
    with pytest.raises(NotPermitted):
        world.access.authorize(ADA, "SELECT", "table", "prod.raw.events")
    assert world.denials() == [("ada", "denied SELECT", "prod.raw.events")]


def test_every_change_of_grants_is_recorded_once(world: Any) -> None:
    before = len(world.audit.entries())
    for _ in range(2):
        world.access.grant("root", ["ada", "bob"], ["SELECT"], "catalog", "dev")
    world.access.revoke("root", "ada", "SELECT", "catalog", "dev")
    entries = world.audit.entries()[: len(world.audit.entries()) - before]
    assert [(e.action, e.details["principal"]) for e in entries] == [
        ("revoke", "ada"), ("grant", "bob"), ("grant", "ada"),
    ]  # fmt: skip


def test_an_unknown_privilege_cannot_be_granted(world: Any) -> None:
    with pytest.raises(InvalidInput, match="'READ' is no privilege"):
        world.access.grant("root", ["ada"], ["READ"], "catalog", "dev")
    assert all(grant.principal != "ada" for grant in world.access.grants())


def test_grants_are_listed_by_securable(world: Any) -> None:
    world.access.grant("root", ["ada"], ["SELECT"], "schema", "dev.raw")
    (grant,) = world.access.grants("schema", "dev.raw")
    assert (grant.principal, grant.privilege, grant.kind, grant.securable) == (
        "ada",
        "SELECT",
        "schema",
        "dev.raw",
    )


def test_code_under_test_reaches_its_own_throw_away_schemas_and_nothing_else(world: Any) -> None:
    guest = Identity("request-7", environment="dev", run_id="r1", scratch="mr7")
    world.access.grant("root", ["request-7"], ["ALL PRIVILEGES", "MANAGE"], "catalog", "dev")
    assert world.access.allows(guest, "MODIFY", "table", "dev.mr7__raw.events")
    assert world.access.allows(guest, "USE CATALOG", "catalog", "dev")
    for privilege, kind, name in [
        ("SELECT", "table", "dev.raw.events"), ("SELECT", "table", "dev.mr70__raw.events"),
        ("SELECT", "table", "prod.mr7__raw.events"), ("MANAGE", "schema", "dev.mr7__raw"),
        ("SELECT", "catalog", "dev"), ("USE CATALOG", "catalog", "prod"),
    ]:  # fmt: skip
        assert not world.access.allows(guest, privilege, kind, name), name
