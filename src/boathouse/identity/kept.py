"""What was found out about tokens, sessions and groups, kept in memory for as long as it is true in every process."""

import threading
from typing import Generic, TypeVar

import sqlalchemy as sa

from boathouse.database import Database
from boathouse.identity.store import epoch

_MOST = 10_000
T = TypeVar("T")


class Kept(Generic[T]):
    """Answers by key. Whatever takes something away counts `bh_identity_epoch` up in its own transaction.

    Each question first looks at that number (a few µs on SQLite); when it has changed, all that was kept is dropped.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._glance = database.glance("SELECT epoch FROM bh_identity_epoch")
        self._lock = threading.Lock()
        self._epoch = -1
        self._answers: dict[str, T] = {}

    def get(self, key: str) -> tuple[T | None, int]:
        """(the answer if one is kept, the epoch to keep a new one under)."""
        if self._database.in_transaction:  # what this transaction changed is seen by nobody else, so nothing is kept
            return None, -1
        rows = self._glance.rows()
        now = int(rows[0][0]) if rows else 0
        if now != self._epoch:
            with self._lock:
                self._epoch, self._answers = now, {}
        return self._answers.get(key), now

    def put(self, key: str, answer: T, asked_in: int) -> None:
        """Keep an answer that was found after `get` had told the epoch."""
        with self._lock:
            if asked_in == self._epoch:  # else it may be of before a change
                if len(self._answers) >= _MOST:
                    self._answers = {}
                self._answers[key] = answer


def note_change(connection: sa.Connection) -> None:
    """Tell every process, inside the transaction of the change, that something was taken away."""
    if not connection.execute(epoch.update().values(epoch=epoch.c.epoch + 1)).rowcount:
        connection.execute(epoch.insert().values(one=1, epoch=1))
