"""Who is asking: principals, groups and tokens."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, Unauthenticated
from boathouse.identity import EVERYBODY, Identities


@pytest.fixture
def identities(database: Database) -> Identities:
    made = Identities(database)
    made.create("ada", "user")
    for group in ("team", "division", "crowd"):
        made.create(group, "group")
    return made


def test_a_token_says_who_its_owner_is_and_where_it_works(identities: Identities) -> None:
    identities.add_member("team", "ada")
    secret = identities.issue("ada", environment="dev", run_id="r1", commit="abc", scratch="mr7")
    who = identities.authenticate(secret)
    assert (who.principal, who.groups, who.names) == ("ada", {"team"}, {"ada", "team", EVERYBODY})
    assert (who.environment, who.run_id, who.commit, who.scratch) == ("dev", "r1", "abc", "mr7")


@pytest.mark.parametrize("secret", [None, "", "bh_guess", "' OR 1=1 --"])
def test_what_is_no_token_is_refused(identities: Identities, secret: str | None) -> None:
    identities.issue("ada")
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(seconds=-1)])
def test_a_token_ends_when_its_time_is_over(identities: Identities, lifetime: timedelta) -> None:
    secret = identities.issue("ada", lifetime=lifetime)
    with pytest.raises(Unauthenticated, match="expired"):
        identities.authenticate(secret)
    assert identities.authenticate(identities.issue("ada", lifetime=timedelta(hours=1))).principal == "ada"


def test_a_token_is_stored_as_its_digest_only(identities: Identities, database: Database) -> None:
    secret = identities.issue("ada", comment="laptop")
    with database.reading() as connection:
        rows = connection.execute(sa.text("SELECT * FROM bh_tokens")).all()
    assert secret not in str(rows)
    (shown,) = identities.tokens("ada")
    assert (shown.principal, shown.comment) == ("ada", "laptop")
    assert secret not in str(shown)


def test_a_revoked_token_is_worthless_at_once(identities: Identities) -> None:
    identities.create("bob", "user")
    secret = identities.issue("ada")
    (token,) = identities.tokens()
    with pytest.raises(NotFound):
        identities.revoke(token.id, "bob")
    identities.revoke(token.id, "ada")
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)
    with pytest.raises(NotFound):
        identities.revoke(token.id)


def test_a_runs_tokens_die_with_the_run_and_are_not_listed(identities: Identities) -> None:
    secret, other = identities.issue("ada", run_id="r1"), identities.issue("ada", run_id="r2")
    assert identities.tokens() == []
    identities.revoke_run("r1")
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)
    assert identities.authenticate(other).run_id == "r2"


def test_groups_hold_groups_even_in_circles(identities: Identities) -> None:
    identities.add_member("team", "ada")
    identities.add_member("division", "team")
    identities.add_member("team", "division")
    assert identities.groups_of("ada") == {"team", "division"}
    identities.remove_member("team", "ada")
    assert identities.groups_of("ada") == frozenset()


def test_membership_holds_for_tokens_that_are_out_already(identities: Identities) -> None:
    secret = identities.issue("ada")
    identities.add_member("crowd", "ada")
    assert "crowd" in identities.authenticate(secret).groups


def test_principals_are_listed_with_their_members(identities: Identities) -> None:
    for _ in range(2):
        identities.add_member("team", "ada")
    assert [p.name for p in identities.principals("group")] == ["crowd", "division", "team"]
    assert identities.get("team").members == ("ada",)


def test_names_are_taken_once_and_must_be_names(identities: Identities) -> None:
    with pytest.raises(AlreadyExists, match="'ada'"):
        identities.create("ada", "user")
    assert identities.ensure("ada", "user").name == "ada"
    for name in ("", "x" * 256):
        with pytest.raises(InvalidInput, match="needs a name"):
            identities.create(name, "user")
    with pytest.raises(InvalidInput, match="'robot' is no kind of principal"):
        identities.create("r2", "robot")  # type: ignore[arg-type]


def test_who_is_unknown_gets_no_token_and_joins_no_group(identities: Identities) -> None:
    with pytest.raises(NotFound, match="no principal is named 'eve'"):
        identities.issue("eve")
    with pytest.raises(NotFound):
        identities.add_member("team", "eve")
    with pytest.raises(InvalidInput, match="'ada' is no group"):
        identities.add_member("ada", "team")


@pytest.mark.parametrize("name", ["o'brien", 'a"b', "x; DROP TABLE bh_tokens", "ü@example.org"])
def test_names_may_hold_any_characters(identities: Identities, name: str) -> None:
    identities.create(name, "user")
    identities.add_member("team", name)
    assert identities.authenticate(identities.issue(name)).names == {name, "team", EVERYBODY}
