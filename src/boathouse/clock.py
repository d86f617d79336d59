"""The real time. Simulated time is data (`as_of`) and never comes from here."""

import re
from datetime import UTC, datetime, timedelta

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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


def parse_span(text: str) -> timedelta:
    """A length of time such as `90d`, `12h`, `30m`, `45s` or `2w`. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no length of time: write 90d, 12h, 30m or 45s")
    try:
        return timedelta(**{_UNITS[found[2]]: float(found[1])})
    except OverflowError as error:
        raise ValueError(f"{text!r} is longer than any calendar") from error
