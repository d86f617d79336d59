"""A home of before gets what is new, and keeps what it holds."""

from pathlib import Path

import sqlalchemy as sa

from boathouse.database import Database
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
