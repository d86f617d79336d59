"""Users' webhooks: each keeps a place in the outbox, so a receiver that is down for hours loses nothing, and hears in order."""

import hashlib
import hmac
import logging
import secrets
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound
from boathouse.events.addresses import check_address
from boathouse.events.outbox import Event, Outbox
from boathouse.events.patience import due, next_try
from boathouse.events.signed import KINDS, body_of, headers_of, kind_of
from boathouse.events.store import deliveries, webhooks
from boathouse.names import nearest

_log = logging.getLogger(__name__)
_CHUNK = 100
_TIMEOUT = 15.0
_EVENTS = (*KINDS, "*", "notification")
"""The last is for a webhook that notifications alone are sent to."""


@dataclass(frozen=True)
class Webhook:
    """Who is told of what; `place` is the number of the last event that is done with."""

    id: str
    environment: str
    name: str
    url: str
    events: Sequence[str]
    creator: str
    created_at: datetime
    place: int
    attempts: int
    failing_since: datetime | None
    next_try: datetime | None


class Webhooks:
    """Makes webhooks and delivers to them in the background, each at its own pace, at least once and in order."""

    def __init__(self, database: Database, events: Outbox, key: str, private: bool = False) -> None:
        self._database = database
        self._outbox = events
        self._key = key
        self._private = private
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None

    def create(self, environment: str, name: str, url: str, events: Sequence[str], creator: str) -> tuple[Webhook, str]:
        """A webhook that hears of what happens from now on, and its signing secret. Raises InvalidInput, AlreadyExists."""
        check_address(url, self._private)
        if not name or not events:
            raise InvalidInput("a webhook needs a name and at least one event, such as model_version.transitioned, or *")
        for wrong in [event for event in events if event not in _EVENTS]:
            near = nearest(wrong, KINDS)
            meant = f": do you mean {near}?" if near else f": there are {', '.join(KINDS)}, and * for all of them"
            raise InvalidInput(f"no event is called {wrong!r}{meant}")
        made = secrets.token_hex(8)
        row = {"id": made, "environment": environment, "name": name, "url": url, "events": list(events),
               "creator": creator, "created_at": clock.now(), "place": self._outbox.newest(), "attempts": 0}  # fmt: skip
        with self._database.writing() as connection:
            if self._rows(connection, webhooks.c.environment == environment, webhooks.c.name == name):
                raise AlreadyExists(f"{environment} has a webhook {name}; delete it first")
            connection.execute(webhooks.insert().values(**row))
        return self.get(environment, name), self._secret(made)

    def all(self, environment: str) -> list[Webhook]:
        """The webhooks of an environment, by name."""
        with self._database.reading() as connection:
            return self._rows(connection, webhooks.c.environment == environment)

    def get(self, environment: str, name: str) -> Webhook:
        """One webhook. Raises NotFound."""
        for found in self.all(environment):
            if found.name == name:
                return found
        raise NotFound(f"{environment} has no webhook {name}; `boathouse webhooks list` shows those there are")

    def signing(self, environment: str, name: str) -> tuple[str, str]:
        """(url, signing secret) of a webhook, for telling it of other things than events of models. Raises NotFound."""
        found = self.get(environment, name)
        return found.url, self._secret(found.id)

    def delete(self, environment: str, name: str) -> None:
        """Tell it no more, and forget its deliveries. Raises NotFound."""
        found = self.get(environment, name)
        with self._database.writing() as connection:
            connection.execute(webhooks.delete().where(webhooks.c.id == found.id))
            connection.execute(deliveries.delete().where(deliveries.c.webhook == found.id))

    def deliveries(self, environment: str, name: str, limit: int = 100) -> list[dict[str, Any]]:
        """Tries at telling it, newest first. Raises NotFound."""
        which = deliveries.c.webhook == self.get(environment, name).id
        query = sa.select(deliveries).where(which).order_by(deliveries.c.number.desc()).limit(limit)
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def redeliver(self, environment: str, name: str, delivery: str) -> dict[str, Any]:
        """Send an earlier delivery's event again, now. Raises NotFound."""
        found = self.get(environment, name)
        with self._database.reading() as connection:
            which = (deliveries.c.webhook == found.id, deliveries.c.id == delivery)
            number = connection.execute(sa.select(deliveries.c.event).where(*which)).scalar()
        if number is None:
            raise NotFound(f"webhook {name} has no delivery {delivery}; `boathouse webhooks deliveries {name}` lists them")
        self._send(found, self._outbox.after(number - 1, 1)[0], 1, delivery)
        return self.deliveries(environment, name, 1)[0]

    def start(self) -> None:
        """Deliver in the background until `stop`."""
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look now: something happened."""
        self._wake.set()

    def stop(self) -> None:
        """End the background delivery."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(_TIMEOUT + 5)

    def deliver(self) -> None:
        """Tell each webhook what it has not heard, as far as it answers."""
        with self._busy:
            with self._database.reading() as connection:
                waiting = self._rows(connection, due(webhooks.c.next_try))
            if waiting:
                with ThreadPoolExecutor(4, thread_name_prefix="webhook") as pool:
                    list(pool.map(self._catch_up, waiting))

    def _catch_up(self, webhook: Webhook) -> None:
        attempts, failing = webhook.attempts, webhook.failing_since
        for event in self._outbox.after(webhook.place, _CHUNK):
            if not _wants(webhook, event):
                self._put(webhook, place=event.id)
                continue
            attempts += 1
            if not self._send(webhook, event, attempts, str(uuid.uuid5(uuid.NAMESPACE_OID, f"{webhook.id}.{event.id}"))):
                failing = failing or clock.now()
                if again := next_try(attempts):
                    self._put(webhook, attempts=attempts, failing_since=failing, next_try=again)
                    return
            self._put(webhook, place=event.id, attempts=0, failing_since=None, next_try=None)
            attempts, failing = 0, None

    def _send(self, webhook: Webhook, event: Event, attempt: int, delivery: str) -> bool:
        body, status, error = body_of(event), None, None
        try:
            check_address(webhook.url, self._private)  # again: the name may lead elsewhere by now
            headers = headers_of(delivery, int(clock.now().timestamp()), body, self._secret(webhook.id))
            answer = httpx.post(webhook.url, content=body, headers=headers, timeout=_TIMEOUT, follow_redirects=False)
            status, error = answer.status_code, None if answer.is_success else answer.text[:300]
        except (httpx.HTTPError, InvalidInput) as caught:
            error = f"{type(caught).__name__}: {caught}"
        row = {"id": delivery, "webhook": webhook.id, "event": event.id, "kind": kind_of(event), "subject": event.subject,
               "at": clock.now(), "attempt": attempt, "status": status, "error": error}  # fmt: skip
        with self._database.writing() as connection:
            connection.execute(deliveries.insert().values(**row))
        return status is not None and 200 <= status < 300

    def _secret(self, webhook: str) -> str:
        return hmac.new(self._key.encode(), f"webhook:{webhook}".encode(), hashlib.sha256).hexdigest()

    def _put(self, webhook: Webhook, **values: Any) -> None:
        with self._database.writing() as connection:
            connection.execute(webhooks.update().where(webhooks.c.id == webhook.id).values(**values))

    @staticmethod
    def _rows(connection: sa.Connection, *which: sa.ColumnElement[bool]) -> list[Webhook]:
        query = sa.select(webhooks).where(*which).order_by(webhooks.c.name)
        return [Webhook(**row) for row in connection.execute(query).mappings()]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            try:
                if not self._stop.is_set():
                    self.deliver()
            except Exception:
                _log.exception("webhooks are late; the next try comes in a second")


def _wants(webhook: Webhook, event: Event) -> bool:
    kinds = {event.kind, kind_of(event), "*"}
    ours = event.kind.startswith(("registered_model.", "model_version."))
    return ours and event.subject.startswith(f"{webhook.environment}.") and not kinds.isdisjoint(webhook.events)
