"""Time windows of declared features: which rows count for a moment, and at which moments that changes.

All are one rule. For a moment t a window ends at the newest of its steps not later than t - lag, and holds the rows
with start <= time < end. A rolling window steps by the microsecond, a tumbling one by its own length.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from boathouse.errors import InvalidInput

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Rule:
    """A window in microseconds since 1970; `length` None goes back for ever, no row before `since` counts."""

    length: int | None
    step: int
    anchor: int = 0
    lag: int = 0
    since: int | None = None

    def bounds(self, at: int) -> tuple[int | None, int]:
        """[start, end) of the rows that count at a moment."""
        shifted = at - self.lag - self.anchor
        end = shifted - shifted % self.step + self.anchor
        start = None if self.length is None else end - self.length
        if self.since is not None:
            start = self.since if start is None else max(start, self.since)
        return start, end

    def last(self, at: str) -> str:
        """SQL: the last microsecond that counts at a moment, both in microseconds."""
        return f"({self._floor(f'({at} - {self.lag})')} - 1)"

    @property
    def frame(self) -> str:
        """SQL: the frame of a window over rows in order of time, from the first that counts up to the current."""
        first = "UNBOUNDED" if self.length is None else str(self.length - 1)
        return f"RANGE BETWEEN {first} PRECEDING AND CURRENT ROW"

    def entry(self, time: str) -> str:
        """SQL: the first moment at which a row of this time counts."""
        return f"({self._floor(time)} + {self.step + self.lag})"

    def exit(self, time: str) -> str | None:
        """SQL: the first moment at which it counts no more; None for never."""
        return None if self.length is None else f"({self._floor(f'({time} + {self.length})')} + {self.step + self.lag})"

    @property
    def reach(self) -> int | None:
        """How long before a moment a row may lie that counts then, or that counted just before."""
        return None if self.length is None else self.length + 2 * self.step + abs(self.lag)

    def _floor(self, value: str) -> str:
        if self.step == 1:
            return value
        shifted = f"({value} - {self.anchor})"
        return f"({value} - (({shifted} % {self.step}) + {self.step}) % {self.step})"


@dataclass(frozen=True, kw_only=True)
class TimeWindow:
    """What all windows share. Durations are timedeltas; `window_duration` None is an entity's whole history.

    `delay` evaluates the window that far in the past, `offset` shifts it (back, where it is negative), and no row
    before `start_time` counts. Raises InvalidInput.
    """

    window_duration: timedelta | None = None
    delay: timedelta | None = None
    offset: timedelta | None = None
    start_time: datetime | None = None
    kind: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for name, given in vars(self).items():
            if name != "start_time" and given is not None and not isinstance(given, timedelta):
                raise InvalidInput(f"{name} of a {self.kind} window is {given!r}: give a timedelta, such as timedelta(days=7)")
        if self.start_time is not None and not isinstance(self.start_time, datetime):
            raise InvalidInput(f"start_time of a {self.kind} window is {self.start_time!r}: give a datetime")
        if self.window_duration is not None and self.window_duration <= timedelta(0):
            raise InvalidInput(f"a window's duration must be positive, not {self.window_duration}")
        if self.delay is not None and self.delay < timedelta(0):
            raise InvalidInput(f"a window's delay cannot be negative: {self.delay}")

    def rule(self, settling: timedelta = timedelta(0)) -> Rule:
        """The window in microseconds; `settling` is how long the source takes to be complete."""
        if self.offset is not None and self.offset > timedelta(0):
            raise InvalidInput(f"an offset of {self.offset} would look into the future; give a negative one")
        lag = (self.delay or timedelta(0)) + settling - (self.offset or timedelta(0))
        return Rule(_micros(self.window_duration), 1, 0, lag // _MICROSECOND, _instant(self.start_time))

    def _stepped(self, step: timedelta, settling: timedelta) -> Rule:
        since = _instant(self.start_time)
        anchor = (since or 0) + (self.offset or timedelta(0)) // _MICROSECOND
        lag = ((self.delay or timedelta(0)) + settling) // _MICROSECOND
        return Rule(_micros(self.window_duration), step // _MICROSECOND, anchor, lag, since)

    def to_dict(self) -> dict[str, Any]:
        """As JSON; durations in seconds."""
        body: dict[str, Any] = {"kind": self.kind}
        for name, value in vars(self).items():
            if isinstance(value, timedelta):
                body[name] = value.total_seconds()
            elif value is not None:
                body[name] = value.isoformat()
        return body

    def text(self) -> str:
        """For a feature's own name: `rolling_7d`."""
        return f"{self.kind}_{_short(self.window_duration)}"


class RollingWindow(TimeWindow):
    """The `window_duration` before each moment, to the microsecond."""

    kind = "rolling"


class SawtoothWindow(TimeWindow):
    """A long rolling window (two days at least): daily sums and the newest rows. Its values are a rolling window's."""

    kind = "sawtooth"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_duration is not None and self.window_duration < timedelta(days=2):
            raise InvalidInput(f"a sawtooth window spans two days at least, not {self.window_duration}; use a RollingWindow")


class TumblingWindow(TimeWindow):
    """Windows that neither overlap nor leave gaps; a moment sees the last one that has ended."""

    kind = "tumbling"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window_duration is None:
            raise InvalidInput("a tumbling window needs its window_duration")

    def rule(self, settling: timedelta = timedelta(0)) -> Rule:
        """The window in microseconds."""
        assert self.window_duration is not None
        return self._stepped(self.window_duration, settling)


@dataclass(frozen=True, kw_only=True)
class SlidingWindow(TimeWindow):
    """Windows that end every `slide_duration` (a day, or the duration where that is shorter)."""

    slide_duration: timedelta | None = None
    kind = "sliding"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slide_duration is not None and self.slide_duration <= timedelta(0):
            raise InvalidInput(f"a sliding window's slide_duration must be positive, not {self.slide_duration}")

    @property
    def slide(self) -> timedelta:
        """How far apart windows end."""
        day = timedelta(days=1)
        return self.slide_duration or (min(self.window_duration, day) if self.window_duration else day)

    def rule(self, settling: timedelta = timedelta(0)) -> Rule:
        """The window in microseconds."""
        return self._stepped(self.slide, settling)

    def text(self) -> str:
        """For a feature's own name."""
        return f"{super().text()}_{_short(self.slide)}"


_KINDS: dict[str, type[TimeWindow]] = {
    w.kind: w for w in (RollingWindow, SawtoothWindow, TumblingWindow, SlidingWindow)
}


def window_of(body: dict[str, Any]) -> TimeWindow:
    """From `to_dict`. Raises InvalidInput for a kind that there is not."""
    given = {**body}
    kind = given.pop("kind", "")
    if kind not in _KINDS:
        raise InvalidInput(f"{kind!r} is no kind of window; use one of {', '.join(_KINDS)}")
    if given.get("start_time"):
        given["start_time"] = datetime.fromisoformat(given["start_time"])
    for name in ("window_duration", "delay", "offset", "slide_duration"):
        if given.get(name) is not None:
            given[name] = timedelta(seconds=given[name])
    return _KINDS[kind](**given)


NEWEST = Rule(None, 1, 0, -1)
"""Everything up to the moment itself: what a column selection sees."""


def _micros(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MICROSECOND


def _instant(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def _short(duration: timedelta | None) -> str:
    if duration is None:
        return "all"
    seconds = duration.total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s".replace(".", "_")
