"""How long and how often something outside is tried again. What is counted are tries, so that a clock that is set loses none."""

from datetime import datetime, timedelta
from itertools import accumulate, count, takewhile

import sqlalchemy as sa

from boathouse import clock

_LONGEST_PAUSE = 900.0
_DAY = 86_400.0


def _pause(attempts: int) -> float:
    """Seconds to wait after so many tries: 2, 4, 8 …, a quarter of an hour at most."""
    return min(_LONGEST_PAUSE, 2.0 ** min(attempts, 10))


MOST = sum(1 for _ in takewhile(lambda waited: waited < _DAY, accumulate(map(_pause, count(1))))) + 1
"""Tries within about a day of trying."""


def next_try(attempts: int) -> datetime | None:
    """When to try again what failed so often; None after a day of tries: then it is left, and tried again by hand."""
    return clock.now() + timedelta(seconds=_pause(attempts)) if attempts < MOST else None


def due(next_try: sa.ColumnElement[datetime]) -> sa.ColumnElement[bool]:
    """What is to be tried now. What is due later than any pause was noted before the clock was set back, and is due, too."""
    now = clock.now()
    return sa.or_(next_try.is_(None), next_try <= now, next_try > now + timedelta(seconds=_LONGEST_PAUSE))
