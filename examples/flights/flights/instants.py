"""Instants of the simulated year: read from arguments, written into SQL. All are UTC."""

from datetime import UTC, datetime

BEGINNING = datetime(2012, 12, 1, tzinfo=UTC)
"""Before anything was known: the first flight plans of 2013 come out on 31 December 2012."""


def instant(text: str | datetime) -> datetime:
    """An ISO 8601 date or time; without a zone it is UTC. Raises ValueError."""
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def literal(moment: datetime) -> str:
    """The instant as SQL."""
    return f"timestamptz '{moment.astimezone(UTC).isoformat(sep=' ')}'"
