"""Online stores, what is published in them, and where they are, for those who publish."""

from typing import Any, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.errors import InvalidInput, NotFound
from boathouse.features import OnlineTable
from boathouse.names import parse
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["features"])


class StoreSizes(BaseModel):
    """What is kept about a store's size."""

    capacity: str | None = None
    read_replica_count: int | None = None


class Publishing(BaseModel):
    """What to publish of a table, under which name and in which store; `condition` is SQL on the newest rows."""

    name: str
    features: list[str] = []
    condition: str | None = None
    ttl_seconds: float | None = None
    store: str
    mode: Literal["SNAPSHOT", "TRIGGERED"] = "TRIGGERED"


class NewStore(StoreSizes):
    """A store to make: `embedded`, at the address of a Redis server, or (no `url`) where the default one is."""

    name: str
    url: str | None = None


@router.get("/online-stores/{environment}")
def online_stores(environment: str, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """An environment's online stores, the default one first; needs USE CATALOG. No address holds a password."""
    return [store.to_dict() for store in platform.online_stores.stores(who, environment)]


@router.get("/online-stores/{environment}/locations")
def online_locations(environment: str, who: Caller, platform: Served) -> dict[str, str]:
    """Where the stores are, with passwords, for model servers; needs MODIFY on the environment."""
    platform.access.authorize(who, "MODIFY", "catalog", environment)
    return platform.online_stores.locations(environment)


@router.post("/online-stores/{environment}")
def create_online_store(environment: str, body: NewStore, who: Caller, platform: Served) -> dict[str, Any]:
    """Make a named store; needs MANAGE on the environment."""
    sizes = body.model_dump(exclude={"name"})
    return platform.online_stores.create(who, environment, body.name, **sizes).to_dict()


@router.get("/online-stores/{environment}/{name}")
def online_store(environment: str, name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One store; needs USE CATALOG."""
    return platform.online_stores.get(who, environment, name).to_dict()


@router.patch("/online-stores/{environment}/{name}")
def update_online_store(environment: str, name: str, body: StoreSizes, who: Caller, platform: Served) -> dict[str, Any]:
    """Keep other sizes; needs MANAGE on the environment."""
    return platform.online_stores.update(who, environment, name, **body.model_dump()).to_dict()


@router.delete("/online-stores/{environment}/{name}")
def delete_online_store(environment: str, name: str, who: Caller, platform: Served, force: bool = False) -> None:
    """Forget a store; needs MANAGE on the environment. Refused while tables are published there, unless forced."""
    platform.online_stores.delete(who, environment, name, force)


@router.get("/online-tables")
def online_tables(who: Caller, platform: Served, environment: str = "dev") -> list[dict[str, Any]]:
    """Which version of which table is online since when, of tables the caller may read."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    return [
        {**_shown(table), "store": store} for store, table in platform.online_stores.tables(environment)
        if platform.access.allows(who, "SELECT", "table", table.source)
    ]  # fmt: skip


@router.get("/online-tables/{name}/location")
def online_location(name: str, who: Caller, platform: Served, write: bool = False, store: str | None = None,
                    open: bool = False) -> dict[str, Any]:  # fmt: skip
    """Where a store, or the one that holds a table, is; needs MODIFY on the table, to read an embedded store SELECT.

    With `open` also where the table's files are, as `/tables/{name}/open` tells whoever may SELECT, but for its version.
    """
    environment = parse(name).catalog
    platform.access.authorize(who, "MODIFY" if write else "SELECT", "table", name)
    holding = store or platform.online_stores.holding(environment, name)
    if (found := platform.online_stores.locations(environment).get(holding)) is None:
        platform.online_stores.get(who, environment, holding)
        raise NotFound(f"the online store {holding} is gone")
    if "://" in found:  # a Redis server's address lets everyone write who has it
        platform.access.authorize(who, "MODIFY", "table", name)
    table = {"table": platform.catalog.open_table(who, name, ["SELECT"], versioned=False).to_dict()} if open else {}
    return {"location": found, **table}


@router.post("/online-tables/{name}/publish")
def publish(name: str, body: Publishing, who: Caller, platform: Served) -> dict[str, Any]:
    """Publish a table where its store is, for a caller on another machine; needs MODIFY, with a condition also RUN.

    It is done by a task of the environment, which this waits for. Refused for tables with masks or a filter, which hold for
    the caller and not for the environment.
    """
    return platform.publishing.publish(who, name, body.model_dump())


@router.delete("/online-tables/{name}")
def drop_online_table(name: str, who: Caller, platform: Served, store: str | None = None,
                      force: bool = False) -> None:  # fmt: skip
    """End serving a table in a store, or in the only one that has it; needs MODIFY on its source.

    Refused while an endpoint answers from it and nothing else serves the source, unless forced.
    """
    environment = parse(name).catalog
    there = platform.online_stores.tables(environment)
    found = {at: table for at, table in there if table.table == name and store in (None, at)}
    for source in sorted({table.source for table in found.values()} or {name}):
        platform.access.authorize(who, "MODIFY", "table", source)
    if len(found) > 1:
        raise InvalidInput(f"{name} is published in the online stores {', '.join(found)}: say in which to drop it")
    if not found:
        raise NotFound(f"{name} is not published in the online store{f' {store}' if store else ''}")
    (at, table), = found.items()
    if not any(other.source == table.source and (where, other.table) != (at, name) for where, other in there):
        platform.catalog.protection.check(who, "stop serving", "table", table.source, kinds=("endpoint",), force=force)
    platform.online_stores.open(environment, at).withdraw(name)


def _shown(table: OnlineTable) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(table)
    return {key: value for key, value in shown.items() if key not in ("generation", "source_id")}
