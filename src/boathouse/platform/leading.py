"""Of several servers on one database one leads. Where that one ends, however it ends, another takes over.

Who leads holds a lock in the database, and who owns a home one in the home: the database and the kernel pass them on.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from sqlalchemy.exc import DBAPIError

from boathouse.database import Database, Held
from boathouse.errors import HomeInUse
from boathouse.home import Home
from boathouse.jobs import Executors

_log = logging.getLogger(__name__)
_LEADING = 0x626F6177
_SECONDS = 1.0
_START_SECONDS = 3.0


class Leading:
    """Whether this process leads, and its turn to."""

    def __init__(self, home: Home, database: Database) -> None:
        self._home = home
        self._database = database
        self._held = Held(database, _LEADING)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.leads = False
        self._leader: str | None = None
        """Where the one that leads was last seen to answer."""

    def begin(self, join: bool) -> None:
        """Lead where nobody does. Raises HomeInUse where another does, unless we `join` it."""
        limit = time.monotonic() + _START_SECONDS  # the database may not have heard yet of the end of one before
        while not self._held.take():
            if join:
                return
            if time.monotonic() > limit:
                raise HomeInUse("another server leads on this database: end it, or start this one with `boathouse up --join`")
            time.sleep(0.1)
        self.leads = True

    def start(self, executors: Executors, url: str, clear: Callable[[], None], lead: Callable[[], None]) -> None:
        """Tell that we lead; where we do not, `clear` what another left and `lead` as soon as it is our turn."""
        if not self._database.is_sqlite:
            if self.leads:
                executors.lead()
            self._thread = threading.Thread(target=self._run, args=(executors, url, clear, lead), name="leading", daemon=True)
            self._thread.start()

    def leader(self) -> str | None:
        """Where the server that leads answers; None where this one does."""
        return None if self.leads else self._leader or "nobody"

    def stop(self) -> None:
        """Lead no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)
        self._held.release()

    def _run(self, executors: Executors, url: str, clear: Callable[[], None], lead: Callable[[], None]) -> None:
        while True:
            try:
                self._look(executors, url, clear, lead)
            except DBAPIError as error:
                _log.warning("the database does not say who leads: %s", error.orig)
            except Exception:
                _log.exception("this server could not take over; the next try comes in a moment")
            if self._stop.wait(_SECONDS):
                return

    def _look(self, executors: Executors, url: str, clear: Callable[[], None], lead: Callable[[], None]) -> None:
        if not self._home.owned and self._home.own():
            self._home.publish(url)
            clear()
        held = self._held.take()
        if held and not self.leads:
            _log.warning("the server that led is gone: this one leads now")
            executors.lead()
            self.leads = True
            try:
                clear()
            except BaseException:
                self.leads = False  # for the next try
                raise
            lead()
        elif self.leads and not held:
            _log.error("another server leads by now, since the database did not hear of this one: it ends")
            os.kill(os.getpid(), signal.SIGTERM)
            self._stop.set()
        elif not held:
            self._leader = executors.leader()
