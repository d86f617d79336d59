"""Tests held versions again as what they waited for arrives: hears of verdicts and tables, and looks at the clock."""

import logging
import threading
from collections.abc import Callable, Collection
from typing import Any

from boathouse import clock
from boathouse.delivery import Delivery, Held, held, touched
from boathouse.errors import BoathouseError
from boathouse.events import Event
from boathouse.registry import STAGING, Registry

_log = logging.getLogger(__name__)
_SECONDS = 5.0


class HeldVersions:
    """What is held stands in the registry; this remembers it between events, and forgets it with the process."""

    def __init__(self, registry: Registry, delivery: Delivery, going: Callable[[str], Collection[int]]) -> None:
        """`going` tells the versions of a model whose tests have not ended."""
        self._registry = registry
        self._delivery = delivery
        self._going = going
        self._waiting: dict[tuple[str, int], Held] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def on_event(self, event: Event) -> None:
        """A verdict, a move out of Staging, or a new version of a table."""
        with self._lock:
            if event.kind == "table.updated":
                self._waiting = {key: touched(one, event.subject) for key, one in self._waiting.items()}
            elif event.kind == "model_version.verdict":
                self._note(event.subject, int(event.data["version"]), event.data["verdict"])
            elif event.kind == "model_version.transitioned" and event.data["to_stage"] != STAGING:
                self._waiting.pop((event.subject, int(event.data["version"])), None)

    def recall(self) -> None:
        """Find what an earlier process left held; what changed since is not known, so each is tested once."""
        for model in self._delivery.models():
            newest: dict[int, Any] = {}
            for verdict in self._registry.verdicts(model):
                newest.setdefault(verdict.version, verdict.verdict)
            with self._lock:
                for version, body in newest.items():
                    if self._registry.version(model, version).stage == STAGING:
                        self._note(model, version, body, changed=True)

    def start(self) -> None:
        """Look every few seconds until `stop`."""
        self.recall()
        threading.Thread(target=self._run, name="held-versions", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def test_due(self) -> list[str]:
        """Test what is due now; the ids of the runs."""
        now, started = clock.now(), []
        with self._lock:
            due = [key for key, one in self._waiting.items() if one.due(now)]
            for key in due:
                del self._waiting[key]  # its next verdict brings it back, or its run's failure does
        for model, version in due:
            if self._delivery.overtaken(model, version):
                continue  # nothing would come of it; who wants it all the same tests it by hand
            if version in self._going(model):
                continue  # by hand, or since before a restart
            try:
                started.append(self._delivery.test(model, version))
            except BoathouseError as error:
                _log.warning("%s version %s is not tested again: %s", model, version, error)
        return started

    def _note(self, model: str, version: int, body: Any, changed: bool = False) -> None:
        tries = len(self._registry.verdicts(model, version))
        waiting = held(body, clock.now(), tries)
        if waiting is None:
            self._waiting.pop((model, version), None)
            return
        tables = waiting.tables | self._delivery.watched(model)
        self._waiting[model, version] = Held(waiting.at, tables, tries, waiting.soon, changed)

    def _run(self) -> None:
        while not self._stop.wait(_SECONDS):
            try:
                self.test_due()
            except Exception:
                _log.exception("held versions wait on; the next look comes in a moment")
