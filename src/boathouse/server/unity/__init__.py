"""Unity Catalog's REST, as a skin: its shapes and error codes over our catalog, which decides everything."""

from fastapi import APIRouter, FastAPI

from boathouse.server.unity import (
    account,
    catalogs,
    constraints,
    credentials,
    metastore,
    models,
    permissions,
    schemas,
    tables,
    tags,
    versions,
    volumes,
)

PREFIX = "/api/2.1/unity-catalog"
PREFIXES = (PREFIX, "/api/2.0/unity-catalog")
"""databricks-sdk asks for some things below the one, for some below the other: both answer everything."""

NOUNS = (catalogs, schemas, tables, volumes, versions, models, permissions, credentials, metastore, constraints, tags)


def unity_router() -> APIRouter:
    """Every route below a prefix."""
    router = APIRouter(tags=["unity-catalog"])
    for noun in NOUNS:
        router.include_router(noun.router)
    return router


def add_unity(api: FastAPI) -> None:
    """Serve the skin."""
    for prefix in PREFIXES:
        api.include_router(unity_router(), prefix=prefix, include_in_schema=prefix == PREFIX)
    api.include_router(account.router, tags=["unity-catalog"])
