"""Catalogs: the environments', and those for data alone."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import Securable
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.altering import Altered, altered
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import common, identifier, metastore_id, seen

router = APIRouter(route_class=UnityRoute)


class NewCatalog(BaseModel):
    """CreateCatalog."""

    name: str
    comment: str | None = None


def catalog_info(found: Securable, platform: Platform) -> dict[str, Any]:
    """CatalogInfo."""
    return {
        "name": found.name, "id": identifier("catalog", found.name), "full_name": found.name, "properties": {},
        "catalog_type": "MANAGED_CATALOG", "securable_type": "CATALOG", "metastore_id": metastore_id(platform), **common(found),
    }  # fmt: skip


@router.get("/catalogs")
def list_catalogs(who: Caller, platform: Served, page: Paged) -> dict[str, Any]:
    """Catalogs that the caller may use."""
    found = [c for c in platform.catalog.securables("catalog") if platform.catalog.visible(who, "catalog", c.name)]
    return page.of("catalogs", found, lambda c: c.name, lambda c: catalog_info(c, platform))


@router.post("/catalogs")
def create_catalog(body: NewCatalog, who: Caller, platform: Served) -> dict[str, Any]:
    """A catalog for data alone; needs CREATE CATALOG."""
    return catalog_info(platform.securables.create_catalog(who, body.name, body.comment or ""), platform)


@router.get("/catalogs/{name}")
def get_catalog(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One catalog."""
    return catalog_info(platform.catalog.require("catalog", seen(who, platform, "catalog", name)), platform)


@router.patch("/catalogs/{name}")
def update_catalog(name: str, body: Altered, who: Caller, platform: Served) -> dict[str, Any]:
    """Change comment or owner; needs MANAGE."""
    return catalog_info(altered(who, platform, "catalog", name, body), platform)


@router.delete("/catalogs/{name}")
def delete_catalog(name: str, who: Caller, platform: Served, force: bool = False) -> dict[str, Any]:
    """Remove a catalog that is no environment; with `force` all that is in it."""
    platform.securables.drop_catalog(who, seen(who, platform, "catalog", name), cascade=force)
    return {}
