"""The outbox: rows first, delivery after; a crash between the two only delivers again."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import NotFound
from boathouse.events.store import outbox

_log = logging.getLogger(__name__)
_PATIENCE = 10
"""After so many failed tries an event is set aside with its error, so that it blocks no other."""
_GIVEN_UP = sa.and_(outbox.c.last_error.is_not(None), outbox.c.delivered_at.is_not(None), outbox.c.attempts >= _PATIENCE)


@dataclass(frozen=True)
class Event:
    """Something that happened: `kind` as in `model_version.created`, `subject` the full name it happened to."""

    id: int
    kind: str
    subject: str
    data: dict[str, Any]
    at: datetime


@dataclass(frozen=True)
class SetAside:
    """An event that its handlers failed at too often: `error` is what the last of `attempts` tries said."""

    id: int
    kind: str
    subject: str
    at: datetime
    attempts: int
    error: str


Handler = Callable[[Event], None]


class Outbox:
    """Writes events and hands them, oldest first, to whoever subscribed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._handlers: list[tuple[str, Handler]] = []
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None

    def emit(self, connection: sa.Connection, kind: str, subject: str, data: dict[str, Any]) -> None:
        """Write an event inside the caller's transaction."""
        row = {"kind": kind, "subject": subject, "data": data, "at": clock.now(), "attempts": 0}
        connection.execute(outbox.insert(), row)
        self._wake.set()

    def subscribe(self, kind: str, handler: Handler) -> None:
        """Call `handler` for each event whose kind starts with `kind`; it must bear being called twice."""
        self._handlers.append((kind, handler))

    def start(self) -> None:
        """Deliver in the background until `stop`."""
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background delivery."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(5)

    def deliver(self) -> int:
        """Deliver all that waits; how many were delivered."""
        done = 0
        with self._busy:
            while event := self._next():
                if not self._hand_over(event):
                    break
                done += 1
        return done

    def waiting(self) -> int:
        """How many events are undelivered."""
        with self._database.reading() as connection:
            count = sa.select(sa.func.count()).where(outbox.c.delivered_at.is_(None))
            return int(connection.execute(count).scalar_one())

    def lag(self) -> tuple[int, float]:
        """How many events are undelivered, and the age in seconds of the oldest of them."""
        query = sa.select(sa.func.count(), sa.func.min(outbox.c.at)).where(outbox.c.delivered_at.is_(None))
        with self._database.reading() as connection:
            count, oldest = connection.execute(query).one()
        return count, (clock.now() - clock.parse_instant(oldest)).total_seconds() if oldest else 0.0

    def set_aside(self, limit: int = 100) -> list[SetAside]:
        """Events that were given up, oldest first."""
        with self._database.reading() as connection:
            return list_set_aside(connection, limit)

    def redeliver(self, number: int) -> None:
        """Let an event that was set aside be delivered again, with ten tries anew. Raises NotFound."""
        with self._database.writing() as connection:
            row = outbox.update().where(outbox.c.id == number, _GIVEN_UP)
            if not connection.execute(row.values(delivered_at=None, attempts=0, last_error=None)).rowcount:
                raise NotFound(f"no event {number} was set aside; `boathouse events list` shows those that were")
        self._wake.set()

    def newest(self) -> int:
        """The number of the newest event."""
        with self._database.reading() as connection:
            return int(connection.execute(sa.select(sa.func.max(outbox.c.id))).scalar() or 0)

    def after(self, number: int, limit: int = 100) -> list[Event]:
        """Events after one by its number, oldest first, delivered or not: for readers that keep a place of their own."""
        query = sa.select(outbox).where(outbox.c.id > number).order_by(outbox.c.id).limit(limit)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings()
            return [Event(r["id"], r["kind"], r["subject"], r["data"], r["at"]) for r in rows]

    def recent(self, limit: int = 100) -> list[Event]:
        """The newest events, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(outbox).order_by(outbox.c.id.desc()).limit(limit)).mappings()
            return [Event(r["id"], r["kind"], r["subject"], r["data"], r["at"]) for r in rows]

    def _next(self) -> Event | None:
        query = sa.select(outbox).where(outbox.c.delivered_at.is_(None)).order_by(outbox.c.id).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return Event(row["id"], row["kind"], row["subject"], row["data"], row["at"]) if row else None

    def _hand_over(self, event: Event) -> bool:
        error: str | None = None
        for kind, handler in self._handlers:
            if not event.kind.startswith(kind):
                continue
            try:
                handler(event)
            except Exception as caught:
                _log.exception("event %s %s was not taken", event.kind, event.subject)
                error = f"{type(caught).__name__}: {caught}"
        with self._database.writing() as connection:
            attempts = outbox.c.attempts + 1
            row = outbox.update().where(outbox.c.id == event.id)
            if error is None:
                connection.execute(row.values(delivered_at=clock.now(), attempts=attempts, last_error=None))
                return True
            tried = connection.execute(sa.select(outbox.c.attempts).where(outbox.c.id == event.id)).scalar_one()
            given_up: bool = tried + 1 >= _PATIENCE
            connection.execute(
                row.values(attempts=attempts, last_error=error, delivered_at=clock.now() if given_up else None)
            )
            return given_up

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            try:
                self.deliver()
            except Exception:
                _log.exception("the event loop stumbled and goes on")


def list_set_aside(connection: sa.Connection, limit: int = 100) -> list[SetAside]:
    """Events that were given up, oldest first."""
    rows = connection.execute(sa.select(outbox).where(_GIVEN_UP).order_by(outbox.c.id).limit(limit)).mappings()
    return [SetAside(r["id"], r["kind"], r["subject"], r["at"], r["attempts"], r["last_error"]) for r in rows]
