"""Declared features under names of their own."""

from typing import Any

from fastapi import APIRouter

from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1/declared-features", tags=["features"])


@router.get("")
def declared_features(who: Caller, platform: Served, schema: str | None = None) -> list[dict[str, Any]]:
    """Declared features the caller may use."""
    return platform.declared_features.features(who, schema)


@router.get("/{name}")
def declared_feature(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A declared feature; needs EXECUTE."""
    return platform.declared_features.feature(who, name)


@router.post("/{name}")
def create_declared_feature(name: str, body: dict[str, Any], who: Caller, platform: Served) -> dict[str, Any]:
    """Declare a feature; needs CREATE FUNCTION on the schema and SELECT on its source."""
    return platform.declared_features.create(who, name, body)


@router.delete("/{name}")
def drop_declared_feature(name: str, who: Caller, platform: Served, force: bool = False) -> None:
    """Forget a declared feature; needs MANAGE."""
    platform.declared_features.drop(who, name, force)
