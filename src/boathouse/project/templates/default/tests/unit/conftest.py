from collections.abc import Iterator

import duckdb
import pytest


@pytest.fixture
def lake() -> Iterator[duckdb.DuckDBPyConnection]:
    """The raw tables in memory, empty: customer 1 joined on 1 January 2025."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute("create schema raw")
        connection.execute(
            "create table raw.orders "
            "(order_id int, customer_id int, ordered_at timestamptz, amount double, known_time timestamptz)"
        )
        connection.execute("create table raw.customers (customer_id int, known_time timestamptz)")
        connection.execute("insert into raw.customers values (1, '2025-01-01')")
        yield connection
