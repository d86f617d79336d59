"""Named computes: processors and memory that tasks may use."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1/compute", tags=["compute"])


class NewCompute(BaseModel):
    """Limits; what is left out is as much as the machine has."""

    cpus: int | None = None
    memory: str | None = None
    ray: dict[str, Any] | None = None
    comment: str = ""


@router.get("")
def computes(who: Caller, platform: Served, environment: str | None = None) -> list[dict[str, Any]]:
    """The computes that the caller may know of."""
    return platform.computing.all(who, environment)


@router.put("/{environment}/{name}")
def put(environment: str, name: str, body: NewCompute, who: Caller, platform: Served) -> None:
    """Make or change one by hand; needs MANAGE on the environment."""
    platform.computing.put(who, environment, name, body.model_dump(exclude_none=True))


@router.delete("/{environment}/{name}")
def delete(environment: str, name: str, who: Caller, platform: Served) -> None:
    """Delete one that was made by hand; needs MANAGE on it."""
    platform.computing.remove(who, environment, name)
