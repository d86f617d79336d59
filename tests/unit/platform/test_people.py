"""Who may make, let in and show out whom; what those who go leave behind."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted, Unauthenticated
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.settings import load

Person = Callable[..., Identity]


@pytest.fixture
def person(platform: Platform) -> Person:
    """Somebody's identity, as their token gives it."""

    def known(name: str, **options: str) -> Identity:
        return platform.identities.authenticate(platform.identities.issue(name, **options))  # type: ignore[arg-type]

    for name in ("ada", "bob"):
        platform.identities.create(name, "user")
    platform.identities.create("ci", "service_principal")
    return known


@pytest.fixture
def admin(platform: Platform, person: Person) -> Identity:
    return person(platform.operator)


def test_others_than_admins_change_nobody_and_the_try_is_recorded(platform: Platform, person: Person) -> None:
    ada, people = person("ada"), platform.people
    tries: list[Callable[[], object]] = [
        lambda: people.create(ada, "eve", "user"), lambda: people.add_member(ada, "admins", "ada"),
        lambda: people.remove_member(ada, "admins", platform.operator), lambda: people.disable(ada, "bob"),
        lambda: people.enable(ada, "bob"), lambda: people.delete(ada, "bob"), lambda: people.issue(ada, "bob"),
        lambda: people.tokens(ada, "bob"), lambda: people.tokens(ada, everyone=True), lambda: people.issue(ada, "ci"),
    ]  # fmt: skip
    for attempt in tries:
        with pytest.raises(NotPermitted, match="ada lacks MANAGE on"):
            attempt()
    assert len([e for e in platform.audit.entries() if e.outcome == "denied"]) == len(tries)


def test_who_manages_a_service_principal_makes_its_tokens(platform: Platform, person: Person, admin: Identity) -> None:
    platform.access.grant(admin.principal, ["ada"], ["MANAGE"], "service_principal", "ci")
    ada = person("ada")
    secret = platform.people.issue(ada, "ci", comment="pipeline", lifetime=timedelta(days=1))
    assert platform.identities.authenticate(secret).principal == "ci"
    (token,) = platform.people.tokens(ada, "ci")
    assert (token.created_by, token.comment) == ("ada", "pipeline")
    with pytest.raises(NotFound, match="no token has the id"):
        platform.people.revoke(person("bob"), token.id)
    platform.people.revoke(ada, token.id)
    with pytest.raises(Unauthenticated):
        platform.identities.authenticate(secret)
    with pytest.raises(NotPermitted):
        platform.people.issue(ada, "bob")


def test_a_token_for_one_environment_reaches_no_other(platform: Platform, person: Person) -> None:
    here = person(platform.operator, environment="dev")
    assert platform.access.allows(here, "SELECT", "schema", "dev.raw")
    for kind, name in (("catalog", "prod"), ("schema", "prod.raw"), ("table", "prod.raw.t"), ("metastore", "boathouse")):
        with pytest.raises(NotPermitted, match="is for dev alone"):
            platform.access.authorize(here, "MANAGE", kind, name)  # type: ignore[arg-type]
    with pytest.raises(NotPermitted, match="makes tokens for dev only"):
        platform.people.issue(here)
    again = platform.identities.authenticate(platform.people.issue(here, environment="dev"))
    assert again.bound


def test_runs_make_no_tokens(platform: Platform, person: Person) -> None:
    for options in ({"run_id": "r1"}, {"origin": "workload"}):
        with pytest.raises(NotPermitted, match="cannot make tokens"):
            platform.people.issue(person("ci", **options))


def test_a_lifetime_beyond_the_setting_and_a_place_that_is_none_are_refused(platform: Platform, person: Person) -> None:
    with pytest.raises(InvalidInput, match="365 days at most"):
        platform.people.issue(person("ada"), lifetime=timedelta(days=400))
    with pytest.raises(InvalidInput, match="there is no environment 'test'"):
        platform.people.issue(person("ada"), environment="test")


def test_nobody_shows_out_themselves_the_operator_or_what_runs_jobs(
    platform: Platform, person: Person, admin: Identity
) -> None:
    platform.people.add_member(admin, "admins", "ada")
    ada = person("ada")
    for name, reason in (("ada", "you are ada"), (platform.operator, "is its operator"), ("prod-jobs", "needs it")):
        for verb in (platform.people.disable, platform.people.delete):
            with pytest.raises(Conflict, match=reason):
                verb(ada, name)


def test_who_owns_something_is_deleted_only_with_an_heir(platform: Platform, person: Person, admin: Identity) -> None:
    platform.access.grant(admin.principal, ["ada"], ["USE CATALOG", "CREATE SCHEMA"], "catalog", "dev")
    platform.catalog.create_schema(person("ada"), "dev.hers")
    with pytest.raises(Conflict, match=r"ada owns 1 securables \(schema dev\.hers\)") as refused:
        platform.people.delete(admin, "ada")
    assert refused.value.details["owned"] == [{"kind": "schema", "name": "dev.hers"}]
    assert platform.people.delete(admin, "ada", to="bob") == 1
    assert platform.catalog.require("schema", "dev.hers").owner == "bob"
    assert [g for g in platform.access.grants() if g.principal == "ada"] == []
    assert platform.access.allows(person("bob"), "MANAGE", "schema", "dev.hers") is False  # still no way into dev
    assert platform.audit.verify() is None


@pytest.mark.parametrize("heir", ["nobody", "ada"])
def test_an_heir_must_be_another_who_exists(platform: Platform, person: Person, admin: Identity, heir: str) -> None:
    with pytest.raises((NotFound, InvalidInput)):
        platform.people.delete(admin, "ada", to=heir)
    assert platform.identities.get("ada")


def test_opening_the_home_lets_its_operator_in_again(tmp_path: Path) -> None:
    wanted = load({}, home=str(tmp_path))
    with Platform(wanted) as platform:
        for token in platform.identities.tokens(platform.operator):
            platform.identities.revoke(token.id)
        platform.identities.disable(platform.operator)
    with Platform(wanted) as platform:
        who = platform.identities.authenticate(platform.home.operator_token())
        assert (who.principal, "admins" in who.groups) == (platform.operator, True)
