"""Raw tables: what the shop's systems hand over every midnight. Here they are two CSV files in `data/`.

To use your own data, change the queries; what follows needs the columns only.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from shop.instants import literal

DATA = Path(__file__).parents[1] / "data"


@dataclass(frozen=True)
class RawTable:
    """One raw table, and the query that reads all its rows; `known_time` says when each row reached us."""

    name: str
    description: str
    primary_keys: tuple[str, ...]
    event_time: str | None
    query: str

    def rows(self, since: datetime, until: datetime) -> pa.Table:
        """The rows that became known in (since, until]."""
        with duckdb.connect() as connection:
            connection.execute("set TimeZone = 'UTC'")
            period = f"known_time > {literal(since)} and known_time <= {literal(until)}"
            return connection.sql(f"select * from ({self.query}) where {period}").to_arrow_table()


ORDERS = RawTable(
    "raw.orders",
    "One row an order, known at the midnight after it.",
    ("order_id", "ordered_at"),
    "ordered_at",
    f"""
    select order_id, customer_id, ordered_at::timestamptz as ordered_at, amount,
        date_trunc('day', ordered_at::timestamptz) + interval '1 day' as known_time
    from read_csv('{DATA / "orders.csv"}')
    """,
)
CUSTOMERS = RawTable(
    "raw.customers",
    "One row a customer, known from the day they joined.",
    ("customer_id",),
    None,
    f"""
    select customer_id, city, newsletter, joined_on::timestamptz as known_time
    from read_csv('{DATA / "customers.csv"}')
    """,
)
TABLES = (ORDERS, CUSTOMERS)
