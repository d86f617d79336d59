"""On one database one server leads, from whatever home; where it ends, another does."""

from pathlib import Path

import pytest
from postgres_servers import PostgresServer

from boathouse import settings
from boathouse.database import Database, Held
from boathouse.errors import HomeInUse
from boathouse.home import Home
from boathouse.platform.leading import Leading


def test_one_holds_a_lock_until_it_ends(database: Database) -> None:
    first, second = Held(database, 1), Held(database, 1)
    assert (first.take(), first.take(), second.take()) == (True, True, False)
    first.release()
    assert (second.take(), first.take()) == (True, False)
    second.release()


def test_a_lock_is_lost_with_the_database_and_taken_by_whoever_comes_first(postgres: PostgresServer, database: Database) -> None:
    first, second = Held(database, 1), Held(database, 1)
    assert first.take()
    postgres.stop()
    postgres.start()
    assert (second.take(), first.take()) == (True, False)
    second.release()


def test_a_server_from_another_home_does_not_lead_beside_one_that_does(database: Database, tmp_path: Path) -> None:
    first, second = (Leading(Home(settings.load({}, home=str(tmp_path / name))), database) for name in "ab")
    first.begin(join=False)
    with pytest.raises(HomeInUse, match="--join"):
        second.begin(join=False)
    second.begin(join=True)
    assert (first.leads, second.leads, first.leader()) == (True, False, None)
    first.stop()
    second.begin(join=False)
    assert second.leads
    second.stop()
