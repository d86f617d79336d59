"""Who somebody is, is kept in memory, and forgotten at once in every process when it is no longer true."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import Unauthenticated
from boathouse.identity import Identities, Sessions


@pytest.fixture
def identities(database: Database) -> Identities:
    made = Identities(database)
    made.create("ada", "user")
    made.create("team", "group")
    return made


@pytest.fixture
def elsewhere(database: Database) -> Iterator[Database]:
    """The same database, as another process has it."""
    other = Database(database.url)
    yield other
    other.close()


def test_a_second_question_takes_no_query_but_the_glance(identities: Identities, database: Database) -> None:
    secret = identities.issue("ada")
    identities.authenticate(secret)
    asked: list[str] = []
    sa.event.listen(database.engine, "before_cursor_execute", lambda *a: asked.append(str(a[2])))
    assert identities.authenticate(secret).principal == "ada"
    assert [q for q in asked if "bh_identity_epoch" not in q] == []


def test_what_was_kept_expires_with_its_token(identities: Identities, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = identities.issue("ada", lifetime=timedelta(hours=1))
    identities.authenticate(secret)
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)


CHANGES: list[Callable[[Identities], object]] = [
    lambda others: others.revoke(others.tokens("ada")[0].id),
    lambda others: others.disable("ada"),
    lambda others: others.delete("ada"),
]


@pytest.mark.parametrize("change", CHANGES, ids=["revoke", "disable", "delete"])
def test_what_another_process_takes_away_is_gone_at_once(
    identities: Identities, elsewhere: Database, change: Callable[[Identities], object]
) -> None:
    secret = identities.issue("ada")
    identities.authenticate(secret)
    change(Identities(elsewhere))
    with pytest.raises(Unauthenticated):
        identities.authenticate(secret)


def test_membership_that_another_process_changes_holds_at_once(identities: Identities, elsewhere: Database) -> None:
    others = Identities(elsewhere)
    secret = identities.issue("ada")
    assert identities.authenticate(secret).groups == frozenset()
    others.add_member("team", "ada")
    assert identities.authenticate(secret).groups == {"team"}
    others.remove_member("team", "ada")
    assert identities.authenticate(secret).groups == frozenset()
    assert identities.groups_of("ada") == frozenset()


@pytest.mark.usefixtures("identities")
def test_a_session_that_another_process_ends_is_over_at_once(database: Database, elsewhere: Database) -> None:
    here, there = Sessions(database), Sessions(elsewhere)
    cookies = [here.open("ada", "password") for _ in range(3)]
    for cookie in cookies:
        here.find(cookie)
    there.end(cookies[0])
    there.end_one("ada", there.find(cookies[1]).id)
    for cookie in cookies[:2]:
        with pytest.raises(Unauthenticated):
            here.find(cookie)
    there.end_all("ada")
    with pytest.raises(Unauthenticated):
        here.find(cookies[2])


def test_a_transaction_sees_its_own_changes_and_keeps_nothing_of_them(identities: Identities, database: Database) -> None:
    secret = identities.issue("ada")
    with database.writing() as connection:
        identities.add_member("team", "ada")
        assert identities.authenticate(secret).groups == {"team"}
        connection.rollback()
    assert identities.authenticate(secret).groups == frozenset()
