"""Instants: read from arguments, written into SQL, looked up in tables. All are UTC."""

from datetime import UTC, datetime
from typing import Any

BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)
"""Before there was any data."""


def instant(text: str) -> datetime:
    """An ISO 8601 date or time; without a zone it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def literal(moment: datetime) -> str:
    """The instant as SQL."""
    return f"timestamptz '{moment.astimezone(UTC).isoformat(sep=' ')}'"


def newest(lake: Any, table: str, column: str, where: str = "true") -> datetime:
    """How far a table has come: its newest `column`, or BEGINNING where it is missing or has no such row."""
    if not lake.table_exists(table):
        return BEGINNING
    [row] = lake.sql(f"select max({column}) as newest from {table} where {where}").to_dicts()
    return row["newest"] or BEGINNING
