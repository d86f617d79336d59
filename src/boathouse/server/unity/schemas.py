"""Schemas."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import Securable
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.altering import Altered, altered
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import common, identifier, seen

router = APIRouter(route_class=UnityRoute)


class NewSchema(BaseModel):
    """CreateSchema."""

    name: str
    catalog_name: str
    comment: str | None = None


def schema_info(found: Securable) -> dict[str, Any]:
    """SchemaInfo."""
    catalog, _, name = found.name.partition(".")
    return {
        "name": name, "catalog_name": catalog, "full_name": found.name, "schema_id": identifier("schema", found.name),
        "properties": {}, "catalog_type": "MANAGED_CATALOG", "securable_type": "SCHEMA", **common(found),
    }  # fmt: skip


@router.get("/schemas")
def list_schemas(catalog_name: str, who: Caller, platform: Served, page: Paged) -> dict[str, Any]:
    """Schemas of a catalog that the caller may use."""
    catalog = platform.catalog.require("catalog", seen(who, platform, "catalog", catalog_name)).name

    def fetch(after: str | None, limit: int) -> list[Securable]:
        return platform.catalog.listed(who, "schema", catalog=catalog, limit=limit, after=after)

    return page.read("schemas", fetch, lambda s: s.name, schema_info)


@router.post("/schemas")
def create_schema(body: NewSchema, who: Caller, platform: Served) -> dict[str, Any]:
    """A new schema; needs CREATE SCHEMA."""
    seen(who, platform, "catalog", body.catalog_name)
    return schema_info(platform.catalog.create_schema(who, f"{body.catalog_name}.{body.name}", body.comment or ""))


@router.get("/schemas/{full_name}")
def get_schema(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One schema."""
    return schema_info(platform.catalog.require("schema", seen(who, platform, "schema", full_name)))


@router.patch("/schemas/{full_name}")
def update_schema(full_name: str, body: Altered, who: Caller, platform: Served) -> dict[str, Any]:
    """Change comment or owner; needs MANAGE."""
    return schema_info(altered(who, platform, "schema", full_name, body))


@router.delete("/schemas/{full_name}")
def delete_schema(full_name: str, who: Caller, platform: Served, force: bool = False) -> dict[str, Any]:
    """Remove a schema; with `force` all that is in it. Needs MANAGE."""
    platform.catalog.drop_schema(who, seen(who, platform, "schema", full_name), cascade=force)
    return {}
