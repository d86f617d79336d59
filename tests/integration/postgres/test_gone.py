"""A PostgreSQL that goes away is told of as such, and connected to again when it is back."""

from pathlib import Path

import pytest
from postgres_servers import PostgresServer
from sqlalchemy.exc import DBAPIError

from boathouse.database import Database, gone
from boathouse.jobs.executors import Executors


def test_a_database_that_is_gone_is_told_of_and_found_again(postgres: PostgresServer, database: Database, tmp_path: Path) -> None:
    executors = Executors(database, "one", tmp_path)
    executors.enter()
    postgres.stop()
    try:
        for _ in range(2):  # by a connection that was cut, then by one that is not made
            with pytest.raises(DBAPIError) as told:
                executors.beat()
            assert gone(told.value)
    finally:
        postgres.start()
    executors.beat()
    with pytest.raises(DBAPIError) as wrong, database.reading() as connection:
        connection.exec_driver_sql("SELECT nothing FROM nowhere")
    assert not gone(wrong.value)
