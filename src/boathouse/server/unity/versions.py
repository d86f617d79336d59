"""Versions of registered models."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from boathouse import names
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.registry import VersionInfo, local_artifacts
from boathouse.server.acting import changing
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.files import check_open, empty_credentials, may_open
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import identifier, millis, seen

router = APIRouter(route_class=UnityRoute)


class NewVersion(BaseModel):
    """CreateModelVersion."""

    model_name: str
    catalog_name: str
    schema_name: str
    source: str
    run_id: str | None = None
    comment: str | None = None


class Described(BaseModel):
    """UpdateModelVersion."""

    comment: str | None = None


class ForVersion(BaseModel):
    """GenerateTemporaryModelVersionCredential."""

    catalog_name: str
    schema_name: str
    model_name: str
    version: int
    operation: str


def version_info(found: VersionInfo, who: Identity, platform: Platform) -> dict[str, Any]:
    """ModelVersionInfo. Its stage is told by its aliases: champion is in Production, challenger in Staging."""
    name, location = names.parse(found.model), _location(found, platform)
    where = {"catalog_name": name.catalog, "schema_name": name.schema, "model_name": name.object}
    return {
        **where, "version": found.version, "source": found.source, "run_id": found.run_id, "comment": found.description or None,
        "status": "READY" if found.status == "READY" else "FAILED_REGISTRATION",
        "storage_location": location if may_open(who, platform, location) else None,
        "created_at": millis(found.created_at), "created_by": found.creator, "updated_at": millis(found.updated_at),
        "updated_by": found.creator, "id": identifier("model", f"{found.model}.{found.version}"),
        "aliases": [{"alias_name": alias, "version_num": found.version, **where} for alias in found.aliases],
    }  # fmt: skip


def _location(found: VersionInfo, platform: Platform) -> str:
    return local_artifacts(found.location, platform.settings.artifact_root)


def _found(who: Identity, platform: Platform, full_name: str, version: int) -> VersionInfo:
    return platform.registry.version(seen(who, platform, "model", full_name), version)


@router.post("/models/versions")
def create_version(body: NewVersion, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Register what was logged here with MLflow (`runs:/…`, `models:/m-…`); needs CREATE MODEL. It is READY at once."""
    name = str(names.parse(f"{body.catalog_name}.{body.schema_name}.{body.model_name}"))
    platform.access.authorize(who, "CREATE MODEL", "schema", name.rpartition(".")[0])
    with changing(request, who, platform) as store:
        made = store.create_model_version(name, body.source, body.run_id, description=body.comment)
    return version_info(platform.registry.version(name, int(made.version)), who, platform)


@router.get("/models/{full_name}/versions")
def list_versions(full_name: str, who: Caller, platform: Served, page: Paged) -> dict[str, Any]:
    """Versions, oldest first."""
    found = platform.registry.versions(seen(who, platform, "model", full_name))
    return page.of("model_versions", found, lambda v: f"{v.version:012}", lambda v: version_info(v, who, platform))


@router.get("/models/{full_name}/versions/{version}")
def get_version(full_name: str, version: int, who: Caller, platform: Served) -> dict[str, Any]:
    """One version."""
    return version_info(_found(who, platform, full_name, version), who, platform)


@router.patch("/models/{full_name}/versions/{version}")
def update_version(full_name: str, version: int, body: Described, who: Caller, platform: Served,
                   request: Request) -> dict[str, Any]:  # fmt: skip
    """Describe a version."""
    found = _found(who, platform, full_name, version)
    with changing(request, who, platform) as store:
        store.update_model_version(found.model, version, body.comment or "")
    return version_info(platform.registry.version(found.model, version), who, platform)


@router.patch("/models/{full_name}/versions/{version}/finalize")
def finalize_version(full_name: str, version: int, who: Caller, platform: Served) -> dict[str, Any]:
    """Nothing is left to do: a version's files were there before it was registered."""
    return version_info(_found(who, platform, full_name, version), who, platform)


@router.delete("/models/{full_name}/versions/{version}")
def delete_version(full_name: str, version: int, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Remove a version that is not in Production; needs MANAGE."""
    found = _found(who, platform, full_name, version)
    with changing(request, who, platform) as store:
        store.delete_model_version(found.model, version)
    return {}


@router.post("/temporary-model-version-credentials")
def version_credentials(body: ForVersion, who: Caller, platform: Served) -> dict[str, Any]:
    """Credentials to read a version's files; needs EXECUTE. Versions never change, so none to write."""
    if body.operation != "READ_MODEL_VERSION":
        raise InvalidInput(f"{body.operation!r} is not to be had: log the model with MLflow, then register it")
    name = f"{body.catalog_name}.{body.schema_name}.{body.model_name}"
    platform.access.authorize(who, "EXECUTE", "model", name)
    location = _location(platform.registry.version(name, body.version), platform)
    check_open(who, platform, location, f"{name} version {body.version}")
    return empty_credentials(location)
