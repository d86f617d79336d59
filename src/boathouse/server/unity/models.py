"""Registered models, and the aliases that name their versions."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from boathouse import names
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.registry import ModelInfo
from boathouse.server.acting import changing
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.altering import Altered
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import check_principal, identifier, metastore_id, millis, seen
from boathouse.server.unity.versions import version_info

router = APIRouter(route_class=UnityRoute)


class NewModel(BaseModel):
    """CreateRegisteredModel."""

    name: str
    catalog_name: str
    schema_name: str
    comment: str | None = None


class AliasTo(BaseModel):
    """SetRegisteredModelAliasRequest."""

    version_num: int


def model_info(found: ModelInfo, platform: Platform) -> dict[str, Any]:
    """RegisteredModelInfo. Production is the alias champion, as everywhere."""
    name = names.parse(found.name)
    try:
        owner = platform.catalog.require("model", found.name).owner
    except NotFound:  # registered through MLflow a moment ago: its event has not come through yet
        owner = None
    where = {"catalog_name": name.catalog, "schema_name": name.schema}
    return {
        "name": name.object, **where, "full_name": found.name, "comment": found.description or None,
        "owner": owner, "created_at": millis(found.created_at), "created_by": owner,
        "updated_at": millis(found.updated_at), "updated_by": owner, "id": identifier("model", found.name),
        "metastore_id": metastore_id(platform), "storage_location": None,
        "aliases": [{"alias_name": alias, "version_num": number, "model_name": name.object, **where}
                    for alias, number in sorted(found.aliases.items())],
    }  # fmt: skip


def _seen_model(who: Identity, platform: Platform, full_name: str) -> ModelInfo:
    return platform.registry.model(seen(who, platform, "model", full_name))


@router.get("/models")
def list_models(who: Caller, platform: Served, page: Paged, catalog_name: str | None = None,
                schema_name: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Models that the caller may see, of a schema, a catalog or all."""
    within = ".".join(level for level in (catalog_name, schema_name if catalog_name else None) if level)
    found = [m for m in platform.registry.models(within or None) if platform.catalog.visible(who, "model", m.name)]
    return page.of("registered_models", found, lambda m: m.name, lambda m: model_info(m, platform))


@router.post("/models")
def create_model(body: NewModel, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """A new model without versions; needs CREATE MODEL."""
    name = str(names.parse(f"{body.catalog_name}.{body.schema_name}.{body.name}"))
    with changing(request, who, platform) as store:
        store.create_registered_model(name, description=body.comment)
    platform.catalog.adopt("model", name, who.principal)  # at once, not when its event comes through
    return model_info(platform.registry.model(name), platform)


@router.get("/models/{full_name}")
def get_model(full_name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One model with its aliases."""
    return model_info(_seen_model(who, platform, full_name), platform)


@router.patch("/models/{full_name}")
def update_model(full_name: str, body: Altered, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Change comment, owner or, inside the environment, the name."""
    name = _seen_model(who, platform, full_name).name
    if body.owner is not None:
        check_principal(platform, body.owner)
        platform.securables.alter(who, "model", name, owner=body.owner)
    with changing(request, who, platform) as store:
        if body.comment is not None:
            store.update_registered_model(name, body.comment)
        if body.new_name and body.new_name != names.parse(name).object:
            renamed = f"{name.rpartition('.')[0]}.{body.new_name}"
            store.rename_registered_model(name, renamed)
            name = renamed
    return model_info(platform.registry.model(name), platform)


@router.delete("/models/{full_name}")
def delete_model(full_name: str, who: Caller, platform: Served, request: Request, force: bool = False) -> dict[str, Any]:
    """Remove a model, none of whose versions is in Production; needs MANAGE."""
    name = _seen_model(who, platform, full_name).name
    with changing(request, who, platform) as store:
        store.delete_registered_model(name)
    platform.catalog.unregister(who, "model", name)
    return {}


@router.get("/models/{full_name}/aliases/{alias}")
def version_by_alias(full_name: str, alias: str, who: Caller, platform: Served) -> dict[str, Any]:
    """The version that an alias names."""
    model = _seen_model(who, platform, full_name)
    if alias not in model.aliases:
        raise NotFound(f"{model.name} has no alias {alias}; it has {', '.join(model.aliases) or 'none'}")
    return version_info(platform.registry.version(model.name, model.aliases[alias]), who, platform)


@router.put("/models/{full_name}/aliases/{alias}")
def set_alias(full_name: str, alias: str, body: AliasTo, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Point an alias at a version; pointing champion promotes, and needs PROMOTE."""
    model = _seen_model(who, platform, full_name)
    with changing(request, who, platform) as store:
        store.set_registered_model_alias(model.name, alias, body.version_num)
    name = names.parse(model.name)
    return {"alias_name": alias, "version_num": body.version_num, "catalog_name": name.catalog,
            "schema_name": name.schema, "model_name": name.object}  # fmt: skip


@router.delete("/models/{full_name}/aliases/{alias}")
def delete_alias(full_name: str, alias: str, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """Remove an alias; without champion its version leaves Production, too."""
    model = _seen_model(who, platform, full_name)
    with changing(request, who, platform) as store:
        store.delete_registered_model_alias(model.name, alias)
    return {}
