"""Secrets: put, read under a grant, list without values, delete; and the key they are sealed under."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import SecretInfo
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["secrets"])


class NewSecret(BaseModel):
    """A secret's value."""

    value: str


@router.get("/secrets/{environment}")
def secrets(environment: str, who: Caller, platform: Served) -> list[dict[str, Any]]:
    """What there is in the scopes that the caller may know of; no values."""
    return [s.__dict__ for s in platform.secrets.list(who, environment)]


@router.put("/secrets/{environment}/{scope}/{key}")
def put(environment: str, scope: str, key: str, body: NewSecret, who: Caller, platform: Served) -> SecretInfo:
    """Keep a secret, in place of the one of before; needs MANAGE on its scope, for a new scope on the environment."""
    return platform.secrets.put(who, environment, f"{scope}/{key}", body.value)


@router.get("/secrets/{environment}/{scope}/{key}")
def read(environment: str, scope: str, key: str, who: Caller, platform: Served) -> dict[str, str]:
    """A secret's `value`; needs READ SECRET on its scope."""
    return {"value": platform.secrecy.read(who, environment, f"{scope}/{key}")}


@router.delete("/secrets/{environment}/{scope}")
def delete_scope(environment: str, scope: str, who: Caller, platform: Served) -> dict[str, int]:
    """Delete a scope with its secrets and grants; needs MANAGE on it."""
    return {"deleted": platform.secrets.delete(who, environment, scope)}


@router.delete("/secrets/{environment}/{scope}/{key}")
def delete(environment: str, scope: str, key: str, who: Caller, platform: Served) -> dict[str, int]:
    """Delete a secret; needs MANAGE on its scope."""
    return {"deleted": platform.secrets.delete(who, environment, f"{scope}/{key}")}


@router.post("/secrets-key")
def rotate(who: Caller, platform: Served) -> dict[str, int]:
    """Seal all secrets under a new master key; needs MANAGE on the metastore. How many there are."""
    return {"secrets": platform.secrets.rotate(who)}
