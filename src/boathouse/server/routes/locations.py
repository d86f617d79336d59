"""External locations."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["catalog"])


class NewLocation(BaseModel):
    """A place outside the lakehouse's storage, and the name it gets."""

    name: str
    url: str
    comment: str = ""


class Opening(BaseModel):
    """What a caller wants to do with the files of a location."""

    write: bool = False


@router.get("/locations")
def locations(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """External locations the caller may know of."""
    return [found.to_dict() for found in platform.locations.list(who)]


@router.post("/locations")
def create_location(body: NewLocation, who: Caller, platform: Served) -> dict[str, Any]:
    """A new external location."""
    return platform.locations.create(who, body.name, body.url, body.comment).to_dict()


@router.get("/locations/{name}")
def location(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """An external location."""
    return platform.locations.get(who, name).to_dict()


@router.post("/locations/{name}/open")
def open_location(name: str, body: Opening, who: Caller, platform: Served) -> dict[str, Any]:
    """What opens the files of a location."""
    return platform.locations.open(who, name, body.write).to_dict()


@router.delete("/locations/{name}")
def drop_location(name: str, who: Caller, platform: Served) -> None:
    """Forget an external location; its files stay."""
    platform.locations.drop(who, name)
