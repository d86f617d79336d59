"""The metastore: this installation."""

from typing import Any

from fastapi import APIRouter

from boathouse.catalog import METASTORE
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import common, metastore_id

router = APIRouter(route_class=UnityRoute)


@router.get("/metastore_summary")
def summary(who: Caller, platform: Served) -> dict[str, Any]:
    """Name, id and owner."""
    found = platform.catalog.require("metastore", METASTORE)
    return {"metastore_id": metastore_id(platform), "global_metastore_id": f"boathouse:{metastore_id(platform)}",
            "name": METASTORE, "cloud": "local", **common(found)}  # fmt: skip


@router.get("/current-metastore-assignment")
def assignment(who: Caller, platform: Served) -> dict[str, Any]:
    """The metastore of the only workspace there is."""
    catalog = who.environment or platform.settings.env
    return {"metastore_id": metastore_id(platform), "workspace_id": 0, "default_catalog_name": catalog}
