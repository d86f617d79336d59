"""What is in the online store, and where it is, for those who publish."""

from typing import Any

import msgspec
from fastapi import APIRouter

from boathouse.errors import NotFound
from boathouse.features import OnlineTable
from boathouse.names import parse
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["features"])


@router.get("/online-tables")
def online_tables(who: Caller, platform: Served, environment: str = "dev") -> list[dict[str, Any]]:
    """Which version of which table is online since when, of tables the caller may read."""
    platform.access.authorize(who, "USE CATALOG", "catalog", environment)
    found = platform.online_store(environment).tables()
    return [_shown(table) for table in found if platform.access.allows(who, "SELECT", "table", table.source)]


@router.get("/online-tables/{name}/location")
def online_location(name: str, who: Caller, platform: Served, write: bool = False) -> dict[str, str]:
    """Where a table's online store is; needs MODIFY on the table, to read the embedded store SELECT."""
    environment = parse(name).catalog
    platform.access.authorize(who, _privilege(platform, write), "table", name)
    return {"location": platform.online_location(environment)}


@router.delete("/online-tables/{name}")
def drop_online_table(name: str, who: Caller, platform: Served) -> None:
    """End serving a table; needs MODIFY on its source."""
    store = platform.online_store(parse(name).catalog)
    found = store.find(name)
    platform.access.authorize(who, "MODIFY", "table", found.source if found else name)
    if found is None:
        raise NotFound(f"{name} is not published in the online store")
    store.withdraw(name)


def _privilege(platform: Any, write: bool) -> str:
    # a Redis server's address lets everyone write who has it
    return "MODIFY" if write or platform.settings.online_store != "embedded" else "SELECT"


def _shown(table: OnlineTable) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.to_builtins(table)
    return {key: value for key, value in shown.items() if key not in ("generation", "source_id")}
