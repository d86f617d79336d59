"""Tokens in a list, in time, and across processes."""

import subprocess
import sys
from datetime import UTC, timedelta

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput, Unauthenticated
from boathouse.identity import Identities, Lifetime


@pytest.fixture
def identities(database: Database) -> Identities:
    made = Identities(database)
    made.create("ada", "user")
    made.create("team", "group")
    return made


def test_a_list_tells_tokens_apart_by_how_they_begin(identities: Identities) -> None:
    secrets = [identities.issue("ada", comment=c, by="root") for c in ("laptop", "server")]
    found = {t.comment: t for t in identities.tokens("ada")}
    assert [found[c].prefix for c in ("laptop", "server")] == [s[:8] for s in secrets]
    assert found["laptop"].created_by == "root"
    assert found["laptop"].last_used_at is None


def test_use_is_noted_and_not_written_by_the_request(identities: Identities, database: Database) -> None:
    secret = identities.issue("ada")
    writes: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *a: writes.append(str(a[2])))
    for _ in range(3):
        identities.authenticate(secret)
    assert not [w for w in writes if w.startswith("UPDATE")]
    (token,) = identities.tokens()
    assert token.last_used_at is not None
    assert abs(token.last_used_at.replace(tzinfo=UTC) - clock.now()) < timedelta(seconds=10)


def test_a_process_that_ends_writes_what_it_had_noted(identities: Identities, database: Database) -> None:
    identities.authenticate(identities.issue("ada"))
    identities.close()
    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT last_used_at FROM bh_tokens")).scalar()


def test_a_token_revoked_in_one_process_is_worthless_in_another(identities: Identities, database: Database) -> None:
    secret = identities.issue("ada")
    identities.authenticate(secret)
    (token,) = identities.tokens()
    revoke = (
        "import sys; from boathouse.database import Database; from boathouse.identity import Identities;"
        "Identities(Database(sys.argv[1])).revoke(sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", revoke, database.url, token.id], check=True)
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)


def test_groups_and_the_disabled_have_no_tokens(identities: Identities) -> None:
    with pytest.raises(InvalidInput, match="'team' is a group: tokens are for users"):
        identities.issue("team")
    identities.disable("ada")
    with pytest.raises(Conflict, match="ada is disabled; `boathouse users enable ada` first"):
        identities.issue("ada")


def test_disabling_ends_every_token_for_good(identities: Identities) -> None:
    secrets = [identities.issue("ada"), identities.issue("ada", run_id="r1")]
    identities.disable("ada")
    identities.enable("ada")
    for secret in secrets:
        with pytest.raises(Unauthenticated):
            identities.authenticate(secret)
    assert identities.authenticate(identities.issue("ada")).principal == "ada"


def test_who_comes_back_under_a_deleted_name_finds_nothing_of_it(identities: Identities) -> None:
    secret = identities.issue("ada")
    identities.add_member("team", "ada")
    identities.delete("ada")
    identities.create("ada", "user")
    assert (identities.groups_of("ada"), identities.tokens("ada")) == (frozenset(), [])
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)


def test_tokens_long_expired_leave_the_list(identities: Identities, database: Database) -> None:
    identities.issue("ada", comment="old", lifetime=timedelta(days=1))
    identities.issue("ada", comment="exchanged", lifetime=timedelta(seconds=-1), origin="workload")
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE bh_tokens SET expires_at = '2020-01-01 00:00:00' WHERE comment = 'old'"))
    identities.issue("ada", comment="new")
    assert [t.comment for t in identities.tokens()] == ["new"]


@pytest.mark.parametrize(("asked", "days"), [(None, 90), (timedelta(days=7), 7), (timedelta(days=365), 365)])
def test_a_lifetime_is_what_was_asked_for_or_the_default(asked: timedelta | None, days: int) -> None:
    assert Lifetime().choose(asked) == timedelta(days=days)


@pytest.mark.parametrize(("asked", "reason"), [(timedelta(days=366), "365 days at most"), (timedelta(0), "some time")])
def test_a_lifetime_beyond_the_maximum_is_refused(asked: timedelta, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        Lifetime().choose(asked)


@pytest.mark.parametrize(
    ("text", "span"),
    [("90d", timedelta(days=90)), ("12h", timedelta(hours=12)), ("1.5h", timedelta(minutes=90)), (" 2W ", timedelta(weeks=2))],
)
def test_lengths_of_time_are_a_number_and_a_unit(text: str, span: timedelta) -> None:
    assert clock.parse_span(text) == span


@pytest.mark.parametrize("text", ["", "90", "d", "-1d", "1y", "9" * 400 + "d"])
def test_other_words_are_no_length_of_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no length of time|is longer than"):
        clock.parse_span(text)
