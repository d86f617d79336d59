"""Online stores under names of their own, beside each environment's default one."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Catalog
from boathouse.database import Database
from boathouse.environments import seal, unseal
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, MissingExtra, NotFound, Unavailable
from boathouse.features.online.opening import at_store, open_online_store
from boathouse.features.online.store import OnlineStore
from boathouse.features.online.table import DEFAULT_STORE, OnlineTable
from boathouse.features.store import online_stores
from boathouse.identity import Identity
from boathouse.names import parse

CAPACITIES = ("CU_1", "CU_2", "CU_4", "CU_8")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class OnlineStoreInfo:
    """A named online store: `url` is its address without user and password, `state` AVAILABLE or UNAVAILABLE.

    `capacity` and `read_replica_count` are kept as they were given and size nothing: LMDB is as large as its disk, and a
    Redis server as its operator made it.
    """

    name: str
    environment: str
    url: str
    capacity: str = CAPACITIES[0]
    read_replica_count: int = 0
    creator: str = ""
    creation_time: datetime | None = None
    state: str = "AVAILABLE"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "creation_time": self.creation_time.isoformat() if self.creation_time else None}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "OnlineStoreInfo":
        """From `to_dict`."""
        made = body["creation_time"]
        return cls(**{**body, "creation_time": datetime.fromisoformat(made) if made else None})


class OnlineStores:
    """Makes, shows, changes and forgets named stores. Addresses rest encrypted: whoever has one may write all rows there.

    `default` gives the location of an environment's default store, `folder` that of an embedded store of a name.
    """

    def __init__(self, database: Database, catalog: Catalog, key: str, default: Callable[[str], str],
                 folder: Callable[[str, str], str]) -> None:  # fmt: skip
        self._database, self._catalog, self._key = database, catalog, key
        self._default, self._folder = default, folder

    def create(self, identity: Identity, environment: str, name: str, *, url: str | None = None,
               capacity: str | None = None, read_replica_count: int | None = None) -> OnlineStoreInfo:  # fmt: skip
        """A store of an environment; needs MANAGE on it. `embedded`, the address of a Redis server, or where the default one is.

        Raises InvalidInput, AlreadyExists, and Unavailable where nothing answers at the address.
        """
        self._catalog.access.authorize(identity, "MANAGE", "catalog", environment)
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name!r} cannot name an online store: use letters, digits, - and _")
        if name == DEFAULT_STORE or self._row(environment, name) is not None:
            raise AlreadyExists(f"an online store {name} exists in {environment} already")
        row = {"environment": environment, "name": name, "url": seal(self._key, url or ""), "created_at": clock.now(),
               "created_by": identity.principal, **_sizes(capacity or CAPACITIES[0], read_replica_count or 0)}  # fmt: skip
        open_online_store(self._at(environment, name, url or ""), environment).check()
        with self._database.writing() as connection:
            connection.execute(online_stores.insert().values(row))
            self._catalog.audit.write(connection, identity.principal, "create online store", f"{environment}.{name}")
        return self.get(identity, environment, name)

    def get(self, identity: Identity, environment: str, name: str) -> OnlineStoreInfo:
        """One store; needs USE CATALOG. Raises NotFound."""
        self._catalog.access.authorize(identity, "USE CATALOG", "catalog", environment)
        if name == DEFAULT_STORE:
            at = self._default(environment)
            return OnlineStoreInfo(DEFAULT_STORE, environment, shown(at), state=self._state(at, environment))
        return self._info(self._required(environment, name))

    def stores(self, identity: Identity, environment: str) -> list[OnlineStoreInfo]:
        """The environment's stores, the default one first; needs USE CATALOG."""
        return [self.get(identity, environment, name) for name in self.locations(environment)]

    def update(self, identity: Identity, environment: str, name: str, *, capacity: str | None = None,
               read_replica_count: int | None = None) -> OnlineStoreInfo:  # fmt: skip
        """Keep other sizes; needs MANAGE. Raises NotFound, InvalidInput for the default store, which the settings describe."""
        self._catalog.access.authorize(identity, "MANAGE", "catalog", environment)
        if name == DEFAULT_STORE:
            raise InvalidInput("the default online store is what BOATHOUSE_ONLINE_STORE says: change the setting")
        row = self._required(environment, name)
        replicas = row["read_replica_count"] if read_replica_count is None else read_replica_count
        sizes = _sizes(capacity or row["capacity"], replicas)
        with self._database.writing() as connection:
            connection.execute(online_stores.update().where(_is(environment, name)).values(sizes))
            self._catalog.audit.write(connection, identity.principal, "update online store", f"{environment}.{name}", sizes)
        return self.get(identity, environment, name)

    def delete(self, identity: Identity, environment: str, name: str, force: bool = False) -> None:
        """Forget a store; needs MANAGE. Raises NotFound, InvalidInput for the default one, Conflict while tables are
        published there; with `force` they go with it, and one that does not answer any more is forgotten."""
        self._catalog.access.authorize(identity, "MANAGE", "catalog", environment)
        if name == DEFAULT_STORE:
            raise InvalidInput("the default online store cannot be deleted: drop its tables")
        self._required(environment, name)
        self._empty(environment, name, force)
        with self._database.writing() as connection:
            connection.execute(online_stores.delete().where(_is(environment, name)))
            self._catalog.audit.write(connection, identity.principal, "delete online store", f"{environment}.{name}")

    def locations(self, environment: str) -> dict[str, str]:
        """Name -> location of an environment's stores, the default one first, for the platform's own use."""
        wanted = sa.select(online_stores).where(online_stores.c.environment == environment).order_by(online_stores.c.name)
        with self._database.reading() as connection:
            rows = connection.execute(wanted).mappings().all()
        named = {row["name"]: self._at(environment, row["name"], unseal(self._key, row["url"])) for row in rows}
        return {DEFAULT_STORE: self._default(environment), **named}

    def sockets(self, environment: str) -> list[str]:
        """Sockets on this machine of Redis servers that keep an environment's stores."""
        return sorted({urlsplit(at).path for at in self.locations(environment).values() if at.startswith("unix://")})

    def open(self, environment: str, name: str) -> OnlineStore:
        """A store by its name. Raises NotFound."""
        found = self.locations(environment).get(name)
        if found is None:
            raise _unknown(environment, name)
        return open_online_store(found, environment)

    def tables(self, environment: str) -> list[tuple[str, OnlineTable]]:
        """(store, table) of all that is published in an environment's stores."""
        stores = self.locations(environment)
        return [(name, table) for name, at in stores.items() for table in open_online_store(at, environment).tables()]

    def holding(self, environment: str, table: str) -> str:
        """The store in which a table, by its name or its source's, was published last; the default one where nowhere."""
        found = [(of.published_at, name) for name, of in self.tables(environment) if table in (of.table, of.source)]
        return max(found)[1] if found else DEFAULT_STORE

    def withdraw(self, sources: Collection[str], force: bool = False) -> None:
        """Stop serving what was published of these tables, under any name and in every store of their environments.

        Raises Unavailable where a store does not answer; with `force` what it holds stays there.
        """
        for environment in {parse(source).catalog for source in sources}:
            for name, at in self.locations(environment).items():
                try:
                    store = open_online_store(at, environment)
                    for table in store.tables():
                        if table.source in sources:
                            store.withdraw(table.table)
                except (Unavailable, MissingExtra) as error:
                    if not force:
                        raise Unavailable(
                            f"the online store {name} may serve {', '.join(sorted(sources))} and cannot be asked: {error}; "
                            "nothing was dropped. Mend or delete the store, or carry on with --force (force=True), which leaves "
                            "there what it holds"
                        ) from error

    def _empty(self, environment: str, name: str, force: bool) -> None:
        try:
            store = self.open(environment, name)
            there = [table.table for table in store.tables()]
            if there and not force:
                raise Conflict(f"the online store {name} serves {', '.join(there)}: drop them first, or force it")
            for table in there:
                store.withdraw(table)
        except Unavailable:
            if not force:
                raise

    def _at(self, environment: str, name: str, url: str) -> str:
        url = url or self._default(environment)
        return at_store(url, name) if "://" in url else self._folder(environment, name)

    def _row(self, environment: str, name: str) -> Any:
        with self._database.reading() as connection:
            return connection.execute(sa.select(online_stores).where(_is(environment, name))).mappings().first()

    def _required(self, environment: str, name: str) -> Any:
        row = self._row(environment, name)
        if row is None:
            raise _unknown(environment, name)
        return row

    def _info(self, row: Any) -> OnlineStoreInfo:
        at = self._at(row["environment"], row["name"], unseal(self._key, row["url"]))
        return OnlineStoreInfo(row["name"], row["environment"], shown(at), row["capacity"], row["read_replica_count"],
                               row["created_by"], clock.parse_instant(row["created_at"]),
                               self._state(at, row["environment"]))  # fmt: skip

    @staticmethod
    def _state(location: str, environment: str) -> str:
        try:
            open_online_store(location, environment).check()
        except (Unavailable, MissingExtra):
            return "UNAVAILABLE"
        return "AVAILABLE"


def shown(location: str) -> str:
    """A location for everyone's eyes: `embedded`, or an address without user, password and options."""
    if "://" not in location:
        return "embedded"
    parts = urlsplit(location)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _sizes(capacity: str, read_replica_count: int) -> dict[str, Any]:
    if capacity not in CAPACITIES:
        raise InvalidInput(f"the capacity {capacity!r} is unknown; use one of {', '.join(CAPACITIES)}")
    if read_replica_count < 0:
        raise InvalidInput(f"read_replica_count {read_replica_count} is below 0")
    return {"capacity": capacity, "read_replica_count": read_replica_count}


def _is(environment: str, name: str) -> Any:
    return (online_stores.c.environment == environment) & (online_stores.c.name == name)


def _unknown(environment: str, name: str) -> NotFound:
    return NotFound(f"no online store is named {name} in {environment}; `boathouse features stores list` shows those there are")
