"""Granularities and their windows: half-open `[start, end)`, in UTC, weeks from Monday."""

import difflib
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from boathouse.clock import parse_instant
from boathouse.errors import InvalidInput

Window = tuple[str, datetime]
"""A granularity and the start of one of its windows."""

# Every fixed width is counted from this Monday, so weeks start on Monday and days at midnight.
_ORIGIN = datetime(1970, 1, 5, tzinfo=UTC)
_WIDEST = {
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
    "month": timedelta(days=31),
    "year": timedelta(days=366),
}
_FIXED = ((5, "minute"), (30, "minute"), (1, "hour"), (1, "day"), (1, "month"), (1, "year"))
_SHAPE = re.compile(r"(\d{1,3})\s+(minute|hour|day|week|month|year)s?")


@dataclass(frozen=True)
class Granularity:
    """The width of windows, as in "1 day" or "2 weeks"; `str()` gives the published spelling."""

    count: int
    unit: str

    def __str__(self) -> str:
        return f"{self.count} {self.unit}{'s' if self.count > 1 else ''}"

    @property
    def width(self) -> timedelta:
        """The length of a window; of the longest one for months and years."""
        return self.count * _WIDEST[self.unit]

    def start(self, moment: datetime) -> datetime:
        """The start of the window that holds `moment`; without a zone it is UTC."""
        moment = parse_instant(moment).astimezone(UTC)
        if self.unit in ("month", "year"):
            month = moment.month if self.unit == "month" else 1
            return datetime(moment.year, month, 1, tzinfo=UTC)
        return _ORIGIN + (moment - _ORIGIN) // self.width * self.width

    def end(self, start: datetime) -> datetime:
        """The end of the window that starts at `start`, which is the start of the next."""
        return self.start(start + self.width)

    def previous(self, start: datetime) -> datetime:
        """The start of the window before the one that starts at `start`."""
        return self.start(start - timedelta(microseconds=1))

    def start_sql(self, timestamp: str) -> str:
        """DuckDB SQL: the start of the window of a date or timestamp, as a TIMESTAMP in UTC."""
        utc = f"make_timestamp(epoch_us({timestamp}))"
        if self.unit in ("month", "year"):
            return f"date_trunc('{self.unit}', {utc})"
        return f"time_bucket(INTERVAL '{self}', {utc}, TIMESTAMP '{_ORIGIN:%Y-%m-%d}')"

    def end_sql(self, start: str) -> str:
        """DuckDB SQL: the end of the window that starts at `start`, a TIMESTAMP in UTC."""
        return f"({start} + INTERVAL '{self}')"


GRANULARITIES = (
    *(Granularity(count, unit) for count, unit in _FIXED[:4]),
    *(Granularity(weeks, "week") for weeks in range(1, 5)),
    *(Granularity(count, unit) for count, unit in _FIXED[4:]),
)
"""The published granularities; more than four weeks are understood too."""


def parse_granularity(text: str) -> Granularity:
    """A granularity from its spelling: "5 minutes", "30 minutes", "1 hour", "1 day", "<n> week(s)",
    "1 month", "1 year".

    Raises InvalidInput, which names the nearest one.
    """
    match = _SHAPE.fullmatch(text.strip().lower())
    found = Granularity(int(match[1]), match[2]) if match else None
    if found and found.count and ((found.count, found.unit) in _FIXED or found.unit == "week"):
        return found
    raise InvalidInput(
        f"{text!r} is not a granularity; the nearest is {_nearest(text, found)!r}"
        f" (any of {', '.join(map(str, GRANULARITIES))})"
    )


def _nearest(text: str, found: Granularity | None) -> str:
    if found:
        wanted = found.width or Granularity(1, found.unit).width
        return str(min(GRANULARITIES, key=lambda g: abs(math.log(g.width / wanted))))
    return difflib.get_close_matches(text, [str(g) for g in GRANULARITIES], n=1, cutoff=0)[0]


def touched(timestamps: Iterable[datetime], granularities: Iterable[str]) -> list[Window]:
    """The windows that hold any of the timestamps, per granularity in the order given, oldest first."""
    moments = set(timestamps)
    parsed = [parse_granularity(text) for text in granularities]
    return [(str(g), start) for g in parsed for start in sorted({g.start(m) for m in moments})]
