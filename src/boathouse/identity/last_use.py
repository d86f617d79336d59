"""When tokens and sessions were used last: noted in memory, written by the minute, never by the request."""

import logging
import threading
from collections.abc import Callable
from datetime import datetime

from sqlalchemy.exc import SQLAlchemyError

from boathouse import clock

_log = logging.getLogger(__name__)
_SECONDS = 60.0


class LastUse:
    """Moments of use on their way to `write(id -> moment)`. What a killed process had not written is lost."""

    def __init__(self, write: Callable[[dict[str, datetime]], None]) -> None:
        self._write = write
        self._lock = threading.Lock()
        self._noted: dict[str, datetime] = {}
        self._timer: threading.Timer | None = None

    def note(self, name: str) -> None:
        """It was used now."""
        now = clock.now()
        with self._lock:
            self._noted[name] = now
            if self._timer is None:
                self._timer = threading.Timer(_SECONDS, self._on_time)
                self._timer.daemon = True
                self._timer.start()

    def of(self, name: str) -> datetime | None:
        """When it was used last, if that is not written yet."""
        return self._noted.get(name)

    def flush(self) -> None:
        """Write what was noted."""
        with self._lock:
            noted, self._noted = self._noted, {}
            if self._timer:
                self._timer.cancel()
                self._timer = None
        if noted:
            self._write(noted)

    def _on_time(self) -> None:
        try:
            self.flush()
        except SQLAlchemyError as error:
            _log.info("when tokens were used last could not be written: %s", error)
