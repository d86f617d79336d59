"""Allowed reads, counted in memory: one audit entry for each caller, privilege and securable, not one a read."""

import threading
from collections import Counter
from datetime import datetime

from boathouse import clock

COUNTED = frozenset({"SELECT", "READ VOLUME", "READ FILES", "EXECUTE", "QUERY"})
"""Privileges whose use changes nothing."""

Read = tuple[str, str, str]
"""(principal, privilege, securable)."""


class ReadCounts:
    """Counts until they are taken. A crash loses what was counted since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[Read] = Counter()
        self._since = clock.now()

    def add(self, principal: str, privilege: str, securable: str) -> None:
        """One more."""
        with self._lock:
            self._counts[principal, privilege, securable] += 1

    def take(self) -> tuple[datetime, dict[Read, int]]:
        """The counts so far and since when they were kept; counting begins anew."""
        with self._lock:
            since, counts = self._since, dict(self._counts)
            self._counts.clear()
            self._since = clock.now()
        return since, counts
