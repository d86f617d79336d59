"""SQLite gives moments without their zone, which is UTC."""

from datetime import UTC, datetime


def utc(moment: datetime) -> datetime:
    """The moment, with its zone."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
