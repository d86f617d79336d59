"""Of several servers of a home one leads: its owner. Where the owner ends, however it ends, another takes over."""

import logging
import threading
from collections.abc import Callable

from boathouse.home import Home

_log = logging.getLogger(__name__)
_SECONDS = 1.0


class Leading:
    """Waits, in a process that joined a home, for its turn to own it."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, begin: Callable[[], None], take_over: Callable[[], None]) -> None:
        """Begin now in the owner; others take over as soon as they are it."""
        if self._home.owned:
            begin()
            return
        self._thread = threading.Thread(target=self._wait, args=(take_over,), name="leading", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Wait no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def _wait(self, take_over: Callable[[], None]) -> None:
        while not self._stop.wait(_SECONDS):
            if self._home.own():
                _log.warning("the server that owned %s is gone: this one leads now", self._home.path)
                take_over()
                return
