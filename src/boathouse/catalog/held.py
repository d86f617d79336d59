"""What is known of securables, kept in memory: read when first asked for, dropped when it changed, in every process."""

import threading
from collections.abc import Iterable

import sqlalchemy as sa

from boathouse.catalog.privileges import Chain, Held, Line
from boathouse.catalog.store import changes, grants, securables
from boathouse.database import Database

_KEPT_CHANGES = 10_000
_KEPT_ENTRIES = 250_000
_AT_ONCE = 500

Key = tuple[str, str]
"""(kind, name)."""


class HeldSecurables:
    """Owners and grants by securable.

    Each change adds a row to `bh_access_changes` in its own transaction. Every question first reads the rows
    that are new, so what was taken away is gone at once for every process on the database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news = database.glance("SELECT epoch, kind, name FROM bh_access_changes WHERE epoch > ? ORDER BY epoch")
        self._lock = threading.Lock()
        self._epoch = -1
        self._generation = 0
        self._known: dict[Key, Held] = {}

    def line(self, chain: Chain) -> Line:
        """What is known of a securable and its parents, as it is now."""
        if self._database.in_transaction:  # what this transaction changed is seen by nobody else, so it is not kept
            return self._in_order(chain, self._read(chain))
        self._catch_up()
        known = self._known
        try:
            return [known[key] for key in chain]
        except KeyError:
            return self._in_order(chain, self._load(chain))

    def at_hand(self, chain: Chain) -> Line | None:
        """As `line`, where that waits for nothing: on SQLite, and once all of it was read."""
        if not self._database.is_sqlite or self._database.in_transaction or self._epoch < 0:
            return None
        self._catch_up()
        known = self._known
        try:
            return [known[key] for key in chain]
        except KeyError:
            return None

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Read many at once, for the questions that follow."""
        if self._database.in_transaction:
            return
        self._catch_up()
        absent = [key for key in keys if key not in self._known]
        for start in range(0, len(absent), _AT_ONCE):
            self._load(absent[start : start + _AT_ONCE])

    def _catch_up(self) -> None:
        if self._epoch < 0:
            self._begin()
            return
        news = self._news.rows(self._epoch)
        if not news:
            return
        with self._lock:
            self._generation += 1
            newest = int(news[-1][0])
            if int(news[0][0]) > self._epoch + 1:
                self._known = {}  # what happened in between is no longer told
            for _, kind, name in news:
                self._known.pop((kind, name), None)
            self._epoch = max(self._epoch, newest)

    def _begin(self) -> None:
        with self._database.reading() as connection:
            newest = connection.execute(sa.select(sa.func.max(changes.c.epoch))).scalar()
        with self._lock:
            self._generation += 1
            self._known = {}
            self._epoch = newest or 0

    def _load(self, keys: Iterable[Key]) -> dict[Key, Held]:
        generation = self._generation
        found = self._read(keys)
        with self._lock:
            if generation == self._generation:  # else it may be of before a change that was already dropped
                if len(self._known) > _KEPT_ENTRIES:
                    self._known = {}
                self._known.update(found)
        return found

    def _read(self, keys: Iterable[Key]) -> dict[Key, Held]:
        by_kind: dict[str, list[str]] = {}
        for kind, name in keys:
            by_kind.setdefault(kind, []).append(name)
        owned = sa.or_(*(sa.and_(securables.c.kind == k, securables.c.name.in_(n)) for k, n in by_kind.items()))
        granted = sa.or_(*(sa.and_(grants.c.kind == k, grants.c.securable.in_(n)) for k, n in by_kind.items()))
        with self._database.reading() as connection:
            columns = (securables.c.kind, securables.c.name, securables.c.owner, securables.c.parent)
            rows = {(r.kind, r.name): r for r in connection.execute(sa.select(*columns).where(owned))}
            holders: dict[Key, dict[str, set[str]]] = {}
            for row in connection.execute(sa.select(grants).where(granted)):
                holders.setdefault((row.kind, row.securable), {}).setdefault(row.privilege, set()).add(row.principal)
        found = {}
        for key in ((kind, name) for kind, names in by_kind.items() for name in names):
            of_key, held = rows.get(key), {p: frozenset(w) for p, w in holders.get(key, {}).items()}
            project = of_key.parent if of_key and of_key.kind == "job" and "." in of_key.parent else None
            found[key] = Held(*key, of_key.owner if of_key else None, held, project)
        return found

    @staticmethod
    def _in_order(chain: Chain, found: dict[Key, Held]) -> Line:
        return [found[key] for key in chain]


def note_change(connection: sa.Connection, kind: str, name: str) -> None:
    """Tell every process that a securable's owner or grants changed, inside the transaction of the change."""
    newest = connection.execute(sa.select(sa.func.max(changes.c.epoch))).scalar() or 0
    connection.execute(changes.insert().values(epoch=newest + 1, kind=kind, name=name))
    connection.execute(changes.delete().where(changes.c.epoch <= newest + 1 - _KEPT_CHANGES))
