"""A reader of the outbox with a place of its own, so that a receiver that is down holds up nobody and loses nothing.

The place moves on only when the receiver has taken an event, so each comes at least once, in order. What the
receiver says is wrong is set aside with a word in the log: it would never be taken.
"""

import logging
import threading
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.events import Outbox
from boathouse.platform.openlineage.store import places
from boathouse.platform.openlineage.telling import Teller
from boathouse.platform.openlineage.transport import Refused, Send

_log = logging.getLogger(__name__)
_AT_ONCE = 100
_IDLE, _SHORT, _LONG = 5.0, 1.0, 60.0


@dataclass(frozen=True)
class FeedState:
    """How far a receiver has been told; `trouble` is why it is not further."""

    receiver: str
    place: int
    told: int
    refused: int
    trouble: str | None


class Feed:
    """Tells one receiver. A receiver that is new is told from now on."""

    def __init__(self, database: Database, outbox: Outbox, teller: Teller, receiver: str, send: Send) -> None:
        self._database = database
        self._outbox = outbox
        self._teller = teller
        self._receiver = receiver
        self._send = send
        self._wake, self._stop = threading.Event(), threading.Event()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None
        with database.writing() as connection:
            known = connection.execute(sa.select(places.c.place).where(places.c.receiver == receiver)).first()
            if known is None:
                begin = {"receiver": receiver, "place": outbox.newest(), "told": 0, "refused": 0, "at": clock.now()}
                connection.execute(places.insert().values(**begin))

    def start(self) -> None:
        """Tell in the background until `stop`."""
        self._thread = threading.Thread(target=self._run, name="openlineage", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; the place is kept."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(20)
        self._send.close()

    def wake(self) -> None:
        """Something happened."""
        self._wake.set()

    def state(self) -> FeedState:
        """How far it is."""
        query = sa.select(places).where(places.c.receiver == self._receiver)
        with self._database.reading() as connection:
            row = connection.execute(query).one()
        return FeedState(row.receiver, row.place, row.told, row.refused, row.trouble)

    def deliver(self) -> int:
        """Tell all that waits; how many run events were taken. Raises what the receiver's absence raises."""
        told = 0
        with self._busy:
            state = self.state()
            while events := self._outbox.after(state.place, _AT_ONCE):
                for event in events:
                    taken, refused = self._tell(event)
                    told += taken
                    self._note(place=event.id, told=places.c.told + taken, refused=places.c.refused + refused, trouble=None)
                state = self.state()
        return told

    def _tell(self, event: Any) -> tuple[int, int]:
        """(taken, refused)."""
        try:
            body = self._teller.tell(event)
        except Exception:  # an event that cannot be put into words must not hold up the others
            _log.exception("event %s %s has no OpenLineage event", event.kind, event.subject)
            return 0, 1
        if body is None:
            return 0, 0
        try:
            self._send(body)
        except Refused as error:
            _log.error("%s refuses event %s %s: %s", self._receiver, event.kind, event.subject, error)
            return 0, 1
        return 1, 0

    def _note(self, **values: Any) -> None:
        with self._database.writing() as connection:
            row = places.update().where(places.c.receiver == self._receiver)
            connection.execute(row.values(**values, at=clock.now()))

    def _run(self) -> None:
        wait = _IDLE
        while not self._stop.is_set():
            self._wake.wait(wait)
            if self._stop.is_set():
                return
            try:
                self._wake.clear()
                self.deliver()
                wait = _IDLE
            except Exception as error:
                self._note(trouble=f"{type(error).__name__}: {error}"[:500])
                _log.warning("%s takes no OpenLineage events now (%s); they wait", self._receiver, error)
                wait = min(_LONG, _SHORT if wait == _IDLE else wait * 2)
                self._stop.wait(wait)
