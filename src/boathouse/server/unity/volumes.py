"""Volumes. Their files are put and got through our API; here they are named, described and granted."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse import names
from boathouse.catalog import VolumeInfo
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.altering import Altered, altered
from boathouse.server.unity.files import empty_credentials, reads_the_disk
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import identifier, metastore_id, millis, named, seen

router = APIRouter(route_class=UnityRoute)
_OPERATIONS = {"READ_VOLUME": ("READ VOLUME",), "WRITE_VOLUME": ("READ VOLUME", "WRITE VOLUME")}


class NewVolume(BaseModel):
    """CreateVolumeRequestContent."""

    name: str
    catalog_name: str
    schema_name: str
    volume_type: str = "MANAGED"
    comment: str | None = None
    storage_location: str | None = None


class ForVolume(BaseModel):
    """GenerateTemporaryVolumeCredential."""

    volume_id: str
    operation: str


def volume_info(info: VolumeInfo, who: Identity, platform: Platform) -> dict[str, Any]:
    """VolumeInfo. The location only for who may open the files there."""
    name = names.parse(info.name)
    shown = info.location.startswith("file:") and reads_the_disk(who, platform)
    return {
        "name": name.object, "catalog_name": name.catalog, "schema_name": name.schema, "full_name": info.name,
        "volume_type": info.volume_type, "volume_id": identifier("volume", info.name), "comment": info.comment or None,
        "storage_location": info.location if shown else "", "owner": info.owner, "created_at": millis(info.created_at),
        "created_by": info.created_by, "updated_at": millis(info.created_at), "updated_by": info.created_by,
        "metastore_id": metastore_id(platform),
    }  # fmt: skip


@router.get("/volumes")
def list_volumes(catalog_name: str, schema_name: str, who: Caller, platform: Served, page: Paged) -> dict[str, Any]:
    """Volumes of a schema that the caller may read or write."""
    schema = platform.catalog.require("schema", seen(who, platform, "schema", f"{catalog_name}.{schema_name}")).name
    found = platform.volumes.list(who, schema=schema)
    return page.of("volumes", found, lambda v: v.name, lambda v: volume_info(v, who, platform))


@router.post("/volumes")
def create_volume(body: NewVolume, who: Caller, platform: Served) -> dict[str, Any]:
    """A new managed volume in a schema that is there; needs CREATE VOLUME."""
    schema = f"{body.catalog_name}.{body.schema_name}"
    if body.volume_type.upper() != "MANAGED" or body.storage_location:
        raise InvalidInput("volumes made here are MANAGED, at a place that the catalog chooses: leave out storage_location")
    platform.access.authorize(who, "CREATE VOLUME", "schema", schema)
    platform.catalog.require("schema", schema)
    return volume_info(platform.volumes.create(who, f"{schema}.{body.name}", body.comment or ""), who, platform)


@router.get("/volumes/{full_name}")
def get_volume(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One volume."""
    return volume_info(platform.volumes.get(who, seen(who, platform, "volume", full_name)), who, platform)


@router.patch("/volumes/{full_name}")
def update_volume(full_name: str, body: Altered, who: Caller, platform: Served) -> dict[str, Any]:
    """Change comment or owner; needs MANAGE."""
    return volume_info(platform.volumes.get(who, altered(who, platform, "volume", full_name, body).name), who, platform)


@router.delete("/volumes/{full_name}")
def delete_volume(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Remove a volume, a managed one with its files; needs MANAGE."""
    platform.volumes.drop(who, seen(who, platform, "volume", full_name))
    return {}


@router.post("/temporary-volume-credentials")
def volume_credentials(body: ForVolume, who: Caller, platform: Served) -> dict[str, Any]:
    """Credentials for a volume on a local disk, for who reads that disk anyway; all others go through our API."""
    if body.operation not in _OPERATIONS:
        raise InvalidInput(f"{body.operation!r} is no volume operation; they are {', '.join(_OPERATIONS)}")
    name = named("volume", body.volume_id)
    access = platform.volumes.access(who, name, _OPERATIONS[body.operation])
    if not (access.info.location.startswith("file:") and reads_the_disk(who, platform)):
        raise NotPermitted(f"files of {name} come through the server: `boathouse volumes get`, or /api/v1/volumes",
                           missing={"access": "files", "on": name})  # fmt: skip
    return empty_credentials(access.info.location)
