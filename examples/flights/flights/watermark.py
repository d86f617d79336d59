"""How far a table has come: an incremental job continues where its own table ends."""

from datetime import datetime
from typing import Any

from flights.instants import BEGINNING


def watermark(lake: Any, name: str, column: str, where: str = "true") -> datetime:
    """The newest `column` of a table, or BEGINNING where the table is missing or has no such row."""
    if not lake.table_exists(name):
        return BEGINNING
    newest = lake.sql(f"select max({column}) as newest from {name} where {where}").to_arrow()
    return newest["newest"][0].as_py() or BEGINNING


def is_empty(lake: Any, name: str) -> bool:
    """Whether a table is missing or has no rows."""
    return not lake.table_exists(name) or lake.sql(f"select 1 from {name} limit 1").to_arrow().num_rows == 0
