"""Copies of tables."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import CloneSpec
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["catalog"])


class Cloning(BaseModel):
    """How a table shall be copied, and to where."""

    target: str
    version: int | None = None
    shallow: bool = False
    sample: str | None = None
    by: tuple[str, ...] = ()
    mask: bool = False
    synthetic: bool = False
    keys: tuple[str, ...] = ()
    seed: str | None = None


@router.post("/tables/{name}/clone")
def clone(name: str, body: Cloning, who: Caller, platform: Served) -> dict[str, Any]:
    """A new table with this one's rows: needs SELECT here, and CREATE TABLE there."""
    return platform.cloner.clone(who, CloneSpec(name, **body.model_dump())).to_dict()
