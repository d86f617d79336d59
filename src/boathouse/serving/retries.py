"""When what does not come up is tried again: at once it would take the processor from those that answer."""

import time
from collections.abc import Hashable
from dataclasses import dataclass

_FIRST_SECONDS, _MOST_SECONDS = 1.0, 60.0


@dataclass(frozen=True)
class _Failed:
    what: Hashable
    times: int
    until: float


class Retries:
    """By the place where something was tried: after 1 s, then 2, 4 and so on to a minute. Something else is tried at once."""

    def __init__(self) -> None:
        self._failed: dict[Hashable, _Failed] = {}

    def wait(self, place: Hashable, what: Hashable) -> bool:
        """Whether it is too early to try that there again."""
        known = self._failed.get(place)
        return known is not None and known.what == what and time.monotonic() < known.until

    def failed(self, place: Hashable, what: Hashable) -> None:
        """It failed just now."""
        known = self._failed.get(place)
        times = known.times if known is not None and known.what == what else 0
        pause = min(_MOST_SECONDS, _FIRST_SECONDS * 2 ** min(times, 10))
        self._failed[place] = _Failed(what, times + 1, time.monotonic() + pause)

    def forget(self, place: Hashable) -> None:
        """It came up, or is not wanted any more."""
        self._failed.pop(place, None)
