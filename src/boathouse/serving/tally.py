"""Counts what endpoints answer: for the rows that rollouts are judged by, and for `/metrics`."""

import bisect
import threading
from collections import Counter
from dataclasses import dataclass, field

from boathouse import clock
from boathouse.delivery import Health, Reading, bin_of
from boathouse.serving.traffic import Route, Target

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper ends of the latency histogram's buckets, in seconds."""
_OPEN_MILLISECONDS = 300_000
BUSY = 429
"""The status of what is turned away since too many wait."""


@dataclass
class _Window:
    opened_at: int
    requests: int = 0
    errors: int = 0
    latencies: Counter[int] = field(default_factory=Counter)
    fresh: bool = True


@dataclass
class Series:
    """What happened since this process began: answers by status, and the histogram of their latencies."""

    statuses: Counter[int] = field(default_factory=Counter)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0


Labels = tuple[str, str, int, str]
"""Environment, endpoint, version, role."""


class Tally:
    """Safe under threads; `readings` gives what is new since the last time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, str, str, int, str, str], _Window] = {}
        self._series: dict[Labels, Series] = {}

    def note(self, route: Route, target: Target, status: int, seconds: float, failed: bool | None = None) -> None:
        """An answer; `failed` where that is another question than whether the status is 400 or more.

        What is turned away says nothing of a version: no rollout is judged by it.
        """
        key = (route.environment, route.endpoint, route.model, target.version, target.role, target.slot)
        labels = (route.environment, route.endpoint, target.version, target.role)
        with self._lock:
            if status != BUSY:
                self._count(key, seconds, status >= 400 if failed is None else failed)
            series = self._series.setdefault(labels, Series())
            series.statuses[status] += 1
            series.buckets[bisect.bisect_left(BOUNDS, seconds)] += 1
            series.seconds += seconds

    def _count(self, key: tuple[str, str, str, int, str, str], seconds: float, failed: bool) -> None:
        window = self._windows.get(key)
        if window is None or window.opened_at + _OPEN_MILLISECONDS < clock.millis():
            if window is not None and window.fresh:
                self._windows[*key[:5], f"{key[5]} {window.opened_at}"] = window  # read once more, then let go
            window = self._windows[key] = _Window(clock.millis())
        window.requests += 1
        window.errors += failed
        window.latencies[bin_of(seconds * 1000)] += 1
        window.fresh = True

    def readings(self) -> list[Reading]:
        """What changed since the last time, each whole since its window opened."""
        found = []
        with self._lock:
            limit = clock.millis() - _OPEN_MILLISECONDS
            for key, window in list(self._windows.items()):
                if window.fresh:
                    health = Health(window.requests, window.errors, dict(window.latencies))
                    found.append(Reading(*key[:5], window.opened_at, health))
                    window.fresh = False
                elif window.opened_at < limit:
                    del self._windows[key]
        return found

    def series(self) -> dict[Labels, Series]:
        """All series as they stand."""
        with self._lock:
            return {k: Series(Counter(s.statuses), list(s.buckets), s.seconds) for k, s in self._series.items()}
