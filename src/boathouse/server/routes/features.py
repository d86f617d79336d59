"""Feature specs under names of their own."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["features"])


class NewSpec(BaseModel):
    """A spec as `feature_spec.yaml` has it, table names in full."""

    spec: str


class NewOwner(BaseModel):
    """Whose it shall be."""

    owner: str


@router.get("/feature-specs")
def feature_specs(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """Feature specs the caller may use."""
    return [s.to_dict() for s in platform.feature_specs.specs(who, environment)]


@router.get("/feature-specs/{name}")
def feature_spec(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A feature spec; needs EXECUTE."""
    return platform.feature_specs.spec(who, name).to_dict()


@router.post("/feature-specs/{name}")
def create_feature_spec(name: str, body: NewSpec, who: Caller, platform: Served) -> dict[str, Any]:
    """Register a feature spec; needs CREATE FUNCTION on the schema and SELECT on its tables."""
    return platform.feature_specs.create(who, name, body.spec).to_dict()


@router.patch("/feature-specs/{name}")
def give_feature_spec(name: str, body: NewOwner, who: Caller, platform: Served) -> dict[str, Any]:
    """Hand a feature spec to another owner; needs MANAGE."""
    platform.access.authorize_grant(who, "function", name)
    platform.feature_specs.known(name)
    platform.securables.alter(who, "function", name, owner=body.owner)
    return platform.feature_specs.known(name).to_dict()


@router.delete("/feature-specs/{name}")
def drop_feature_spec(name: str, who: Caller, platform: Served, force: bool = False) -> None:
    """Forget a feature spec; needs MANAGE."""
    platform.feature_specs.drop(who, name, force)
