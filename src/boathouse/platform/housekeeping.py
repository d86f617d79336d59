"""What has to be done every minute: counted reads into the audit log, its head out, system tables up to date.

And every hour: Python environments that nobody uses go. Of several servers the one that leads does what concerns all,
and each home's owner what lies in it.
"""

import logging
import threading
import time
from collections.abc import Callable

from boathouse.catalog import Audit, SystemTables

_log = logging.getLogger(__name__)
_SECONDS = 60.0
_HOUR = 3600.0


class Housekeeping:
    """A background thread; `tidy` does it at once."""

    def __init__(self, audit: Audit, tables: SystemTables, hourly: Callable[[], object],
                 leads: Callable[[], bool] = lambda: True, owned: Callable[[], bool] = lambda: True) -> None:  # fmt: skip
        self._audit = audit
        self._tables = tables
        self._hourly = hourly
        self._leads = leads
        self._owned = owned
        self._hour = float("-inf")
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Tidy every minute until `stop`."""
        self._thread = threading.Thread(target=self._run, name="housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop; what was counted and not yet written is written now."""
        self._stop.set()
        if self._thread:
            self._thread.join(30)
        self._audit.write_reads()
        if self._leads():
            self._audit.publish_head()

    def tidy(self) -> int:
        """Do it now; how many rows the system tables gained."""
        with self._busy:
            self._audit.write_reads()
            if not self._leads():
                return 0
            self._audit.publish_head()
            return self._tables.export()

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                self.tidy()
                if self._owned() and time.monotonic() >= self._hour:
                    self._hour = time.monotonic() + _HOUR
                    self._hourly()
            except Exception:
                _log.exception("the audit log is kept, its copies are late; the next try comes in a minute")
