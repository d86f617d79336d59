"""Lookups in all stores of an environment: each table is asked for in the store that it was published in last."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from boathouse.errors import NotFound, Unavailable
from boathouse.features.online.opening import open_online_store
from boathouse.features.online.store import OnlineStore, not_published
from boathouse.features.online.table import Found, Key

_FRESH = 10.0  # seconds for which a table is asked for where it was, when there are several stores


class Lookups(Protocol):
    """What completes rows: one store, or the stores of an environment."""

    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        """As `OnlineStore.lookup_many`."""


class RoutedStores:
    """The stores whose locations `locations` tells, by name; it is asked again for a table that none of them has.

    A lookup costs one round trip for each store that it needs, and tables of one store are of one moment.
    """

    def __init__(self, environment: str, locations: Callable[[], Mapping[str, str]]) -> None:
        self._environment, self._locations = environment, locations
        self._stores: list[OnlineStore] = []
        self._routes: dict[str, tuple[float, OnlineStore]] = {}
        self._learned = 0.0

    def lookup_many(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        """As `OnlineStore.lookup_many`. Raises NotFound, InvalidInput, Unavailable."""
        if not self._stores:
            self._learn()
        try:
            return self._ask(wanted)
        except NotFound:  # published elsewhere since, perhaps in a store that was made since
            self._routes = {}
            if time.monotonic() - self._learned > 1:
                self._learn()
            return self._ask(wanted)

    def _ask(self, wanted: Sequence[tuple[str, Sequence[Key]]]) -> list[Found]:
        if len(self._stores) == 1:
            return self._stores[0].lookup_many(wanted)
        routes = [self._route(table) for table, _ in wanted]
        found: dict[int, Found] = {}
        for store in dict.fromkeys(routes):
            mine = [i for i, of in enumerate(routes) if of is store]
            found |= zip(mine, store.lookup_many([wanted[i] for i in mine]), strict=True)
        return [found[i] for i in range(len(wanted))]

    def _route(self, table: str) -> OnlineStore:
        until, store = self._routes.get(table, (0.0, None))
        if store is None or until < time.monotonic():
            store = self._holding(table, store)
            self._routes[table] = time.monotonic() + _FRESH, store
        return store

    def _holding(self, table: str, before: OnlineStore | None) -> OnlineStore:
        there, silent = [], None
        for store in self._stores:
            try:
                there.append((store.describe(table).published_at, store))
            except NotFound:
                continue
            except Unavailable as error:  # matters only where the table may be in there
                if store is before:
                    raise
                silent = error
        if there:
            return max(there, key=lambda of: of[0])[1]
        raise silent or not_published(table)

    def _learn(self) -> None:
        self._stores = [open_online_store(at, self._environment) for at in self._locations().values()]
        self._learned = time.monotonic()
