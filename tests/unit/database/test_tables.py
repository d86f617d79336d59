"""A home of before gets what is new, and keeps what it holds."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import sqlalchemy as sa

from boathouse.database import Database, Moment
from boathouse.identity import Identities


def test_a_column_that_is_new_is_added_to_a_home_of_before(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'old.db'}")
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE bh_principals (name VARCHAR(255) PRIMARY KEY, kind VARCHAR(32) NOT NULL)"))
        connection.execute(sa.text("INSERT INTO bh_principals VALUES ('ada', 'user')"))
    for _ in range(2):
        database.create_tables()
    ada = Identities(database).get("ada")
    assert (ada.name, ada.kind, ada.disabled) == ("ada", "user", False)
    database.close()


def test_moments_come_back_in_utc_with_their_zone_however_they_were_given(database: Database) -> None:
    paris = timezone(timedelta(hours=2))
    given = [datetime(2026, 7, 1, 12, tzinfo=paris), datetime(2026, 7, 1, 10), datetime(2026, 7, 1, 10, tzinfo=UTC)]
    table = sa.Table("moments", sa.MetaData(), sa.Column("at", Moment))
    with database.writing() as connection:
        table.create(connection)
        connection.execute(table.insert(), [{"at": moment} for moment in given])
        found = connection.execute(sa.select(table.c.at)).scalars().all()
    assert [moment.isoformat() for moment in found] == ["2026-07-01T10:00:00+00:00"] * 3
