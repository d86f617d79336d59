"""Lets rollouts move: what endpoints saw becomes rows, and delivery judges by them, every second."""

import logging
import threading
import time

from boathouse.delivery import Rollouts
from boathouse.serving import Endpoints

_log = logging.getLogger(__name__)
_SECONDS = 1.0


class Rolling:
    """A thread of its own: endpoints that load for minutes must not keep a bad version in the traffic."""

    def __init__(self, endpoints: Endpoints, rollouts: Rollouts) -> None:
        self._endpoints = endpoints
        self._rollouts = rollouts
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Look every second until `stop`."""
        self._thread = threading.Thread(target=self._run, name="rollouts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write what is not written yet, and end."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    def step(self, seconds: float) -> None:
        """One look, so many seconds after the one before."""
        self._endpoints.report(seconds)
        if self._rollouts.step():
            self._endpoints.reroute()
            self._endpoints.wake()

    def _run(self) -> None:
        last = time.monotonic()
        over = False
        while not over:
            over = self._stop.wait(_SECONDS)  # what was seen until the end is written, too
            now = time.monotonic()
            try:
                self.step(now - last)
            except Exception:
                _log.exception("rollouts were not looked at; the next look comes soon")
            last = now
