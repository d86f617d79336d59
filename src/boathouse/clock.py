"""The real time. Simulated time is data (`as_of`) and never comes from here."""

from datetime import UTC, datetime


def now() -> datetime:
    """This moment, in UTC."""
    return datetime.now(UTC)


def millis() -> int:
    """Milliseconds since 1970, UTC."""
    return int(now().timestamp() * 1000)


def parse_instant(text: str | datetime) -> datetime:
    """An ISO 8601 date or time; without a zone it is UTC. Raises ValueError."""
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
