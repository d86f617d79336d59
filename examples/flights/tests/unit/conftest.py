from collections.abc import Iterator

import duckdb
import pytest


@pytest.fixture(scope="session")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    """The raw schema in memory."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema raw")
        leg = "carrier text, flight int, origin text, dest text, ts_dep timestamptz, tailnum text"
        plan = "flight_date date, hour int, minute int, distance int, scheduled_minutes int"
        connection.execute(f"create table raw.flights ({leg}, {plan}, known_time timestamptz)")
        connection.execute(f"create table raw.departures ({leg}, dep_delay int, known_time timestamptz)")
        arrival = "arr_delay int, air_time int, known_time timestamptz"
        connection.execute(f"create table raw.arrivals ({leg}, {arrival})")
        yield connection


@pytest.fixture
def lake(database: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The raw schema in memory, empty: what a test writes is rolled back."""
    database.begin()
    yield database
    database.rollback()
