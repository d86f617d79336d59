"""Who is asking, on PostgreSQL: what holds on SQLite holds here, several writers at once included."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import TooManyRequests, Unauthenticated
from boathouse.identity import Attempts, Codes, Identities, Sessions
from boathouse.identity.attempts import PAIR


@pytest.fixture
def elsewhere(database: Database) -> Iterator[Database]:
    """The same database, as another process has it."""
    other = Database(database.url)
    yield other
    other.close()


def test_what_another_process_takes_away_is_gone_at_once(database: Database, elsewhere: Database) -> None:
    here, there, sessions = Identities(database), Identities(elsewhere), Sessions(database)
    for name in ("ada", "bob"):
        here.create(name, "user")
    here.create("team", "group")
    tokens = {name: here.issue(name, lifetime=timedelta(days=1)) for name in ("ada", "bob")}
    cookie = sessions.open("bob", "password")
    assert here.authenticate(tokens["ada"]).groups == frozenset()
    there.add_member("team", "ada")
    assert here.authenticate(tokens["ada"]).groups == {"team"}
    assert sessions.find(cookie).principal == "bob"
    there.revoke(there.tokens("ada")[0].id)
    there.disable("bob")
    for secret in tokens.values():
        with pytest.raises(Unauthenticated):
            here.authenticate(secret)
    with pytest.raises(Unauthenticated):
        sessions.find(cookie)


def test_many_tries_at_once_are_all_counted(database: Database) -> None:
    attempts = Attempts(database)

    def counted(_: int) -> bool:
        try:
            attempts.begin("ada", "10.0.0.1")
        except TooManyRequests:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(counted, range(24))) == PAIR.free


def test_a_code_that_many_bring_at_once_is_good_once(database: Database) -> None:
    codes = Codes(database)
    code = codes.make("link", timedelta(hours=1), {"principal": "ada"})
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: codes.redeem("link", code), range(16)))
    assert [f for f in found if f] == [{"principal": "ada"}]


def test_a_home_of_before_gets_new_columns(database: Database) -> None:
    Identities(database).create("ada", "user")
    with database.writing() as connection:
        connection.execute(sa.text("ALTER TABLE bh_principals DROP COLUMN disabled_at"))
    database.create_tables()
    assert not Identities(database).get("ada").disabled
