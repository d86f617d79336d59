"""How long and how often something outside is tried again."""

from datetime import datetime, timedelta

from boathouse import clock

_PATIENCE = timedelta(hours=24)
_LONGEST_PAUSE = 900.0


def next_try(since: datetime, attempts: int) -> datetime | None:
    """When to try again what fails since a moment: after 2, 4, 8 … seconds, a quarter of an hour at most.

    None after a day: then it is left, and tried again by hand.
    """
    if clock.now() - clock.parse_instant(since) >= _PATIENCE:
        return None
    return clock.now() + timedelta(seconds=min(_LONGEST_PAUSE, 2.0 ** min(attempts, 10)))
