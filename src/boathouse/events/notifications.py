"""Notifications: rows first, sending after; each is tried for a day, and what became of it is kept."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import BoathouseError, NotFound
from boathouse.events.channels import Channel, Message
from boathouse.events.patience import due, next_try
from boathouse.events.store import notifications

_log = logging.getLogger(__name__)
_STOP_SECONDS = 35.0
_AT_ONCE = 4


@dataclass(frozen=True)
class Notice:
    """Who is told of what. `key` names the reason: however often it is seen, one notification is sent.

    `address` may hold `{{secrets/scope/key}}`, which is read as `principal` when it is sent.
    """

    key: str
    environment: str
    occasion: str
    subject: str
    channel: str
    address: str
    principal: str
    title: str
    text: str
    body: Mapping[str, Any]


class Notifications:
    """Sends in the background, at least once, each at its own pace."""

    def __init__(self, database: Database, channels: Mapping[str, Channel], resolve: Callable[[str, str, str], str]) -> None:
        """`resolve`: (environment, principal, address) -> the address with its secrets. May raise BoathouseError."""
        self._database = database
        self._channels = channels
        self._resolve = resolve
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._busy = threading.Lock()
        self._thread: threading.Thread | None = None

    def add(self, notices: Iterable[Notice]) -> None:
        """Keep notifications, which are sent soon; those whose key is there already stay as they are."""
        with self._database.writing() as connection:
            for notice in notices:
                there = sa.select(notifications.c.id).where(notifications.c.key == notice.key)
                if not connection.execute(there).first():
                    row = {**notice.__dict__, "body": dict(notice.body), "created_at": clock.now(), "state": "WAITING"}
                    connection.execute(notifications.insert().values(**row, attempts=0))
        self._wake.set()

    def all(self, environment: str, state: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What was and is to be sent, newest first."""
        query = sa.select(notifications).where(notifications.c.environment == environment)
        if state:
            query = query.where(notifications.c.state == state)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(notifications.c.id.desc()).limit(limit)).mappings().all()
        return [{k: v for k, v in row.items() if k not in ("key", "body")} for row in rows]

    def again(self, environment: str, number: int) -> dict[str, Any]:
        """Send one again, now; how it went. Raises NotFound."""
        which = (notifications.c.environment == environment, notifications.c.id == number)
        with self._database.reading() as connection:
            row = connection.execute(sa.select(notifications).where(*which)).mappings().first()
        if row is None:
            raise NotFound(f"{environment} has no notification {number}; `boathouse notifications list` shows those there are")
        self._send(row)
        with self._database.reading() as connection:
            row = connection.execute(sa.select(notifications).where(*which)).mappings().one()
        return {k: v for k, v in row.items() if k not in ("key", "body")}

    def deliver(self) -> None:
        """Send what is due."""
        with self._busy:
            which = (notifications.c.state == "WAITING", due(notifications.c.next_try))
            query = sa.select(notifications).where(*which).order_by(notifications.c.id)
            with self._database.reading() as connection:
                rows = connection.execute(query.limit(100)).mappings().all()
            if rows:
                with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="notification") as pool:
                    list(pool.map(self._send, rows))

    def start(self) -> None:
        """Send in the background until `stop`."""
        self._thread = threading.Thread(target=self._run, name="notifications", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the background sending."""
        self._stop.set()
        self._wake.set()
        if self._thread:
            self._thread.join(_STOP_SECONDS)

    def _send(self, row: Any) -> None:
        address, attempts = row["address"], row["attempts"] + 1
        try:
            address = self._resolve(row["environment"], row["principal"], row["address"])
            self._channels[row["channel"]](address, Message(row["key"], row["title"], row["text"], row["body"]))
            values: dict[str, Any] = {"state": "SENT", "sent_at": clock.now(), "next_try": None, "last_error": None}
        except (BoathouseError, OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            said = f"{type(error).__name__}: {error}".replace(address, row["address"])
            values = self._failed(attempts, said)
        with self._database.writing() as connection:
            kept = notifications.update().where(notifications.c.id == row["id"])
            connection.execute(kept.values(attempts=attempts, **values))

    @staticmethod
    def _failed(attempts: int, error: str) -> dict[str, Any]:
        again = next_try(attempts)
        return {"state": "WAITING" if again else "FAILED", "next_try": again, "last_error": error[:500]}

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait(1.0)
            self._wake.clear()
            try:
                if not self._stop.is_set():
                    self.deliver()
            except Exception:
                _log.exception("notifications are late; the next try comes in a second")
