"""Tags of tables, one assignment each."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.route import Paged, UnityRoute
from boathouse.server.unity.securable import seen

router = APIRouter(route_class=UnityRoute)
_OF = "/entity-tag-assignments/{entity_type}/{entity_name}/tags"


class Tag(BaseModel):
    """EntityTagAssignment, as far as a change of its value needs it."""

    tag_value: str | None = None


class NewTag(Tag):
    """EntityTagAssignment."""

    entity_type: str
    entity_name: str
    tag_key: str


def _tags(who: Identity, platform: Platform, entity_type: str, entity_name: str) -> tuple[str, dict[str, str]]:
    if entity_type != "tables":
        raise InvalidInput(f"only tables have tags here, not {entity_type!r}")
    name = seen(who, platform, "table", entity_name)
    return name, dict(platform.catalog.table(name).tags)


def _assignment(name: str, key: str, value: str) -> dict[str, Any]:
    return {"entity_type": "tables", "entity_name": name, "tag_key": key, "tag_value": value}


@router.get(_OF)
def list_tags(entity_type: str, entity_name: str, who: Caller, platform: Served, page: Paged) -> dict[str, Any]:
    """Tags of a table."""
    name, tags = _tags(who, platform, entity_type, entity_name)
    return page.of("tag_assignments", tags.items(), lambda t: t[0], lambda t: _assignment(name, *t))


@router.post("/entity-tag-assignments")
def create_tag(body: NewTag, who: Caller, platform: Served) -> dict[str, Any]:
    """Tag a table; needs MANAGE."""
    return update_tag(body.entity_type, body.entity_name, body.tag_key, body, who, platform)


@router.get(_OF + "/{tag_key}")
def get_tag(entity_type: str, entity_name: str, tag_key: str, who: Caller, platform: Served) -> dict[str, Any]:
    """One tag of a table."""
    name, tags = _tags(who, platform, entity_type, entity_name)
    if tag_key not in tags:
        raise NotFound(f"{name} has no tag {tag_key!r}", kind="tag")
    return _assignment(name, tag_key, tags[tag_key])


@router.patch(_OF + "/{tag_key}")
def update_tag(entity_type: str, entity_name: str, tag_key: str, body: Tag, who: Caller, platform: Served) -> dict[str, Any]:
    """Change a tag's value; needs MANAGE."""
    name, tags = _tags(who, platform, entity_type, entity_name)
    platform.catalog.describe(who, name, {"tags": {**tags, tag_key: body.tag_value or ""}})
    return _assignment(name, tag_key, body.tag_value or "")


@router.delete(_OF + "/{tag_key}")
def delete_tag(entity_type: str, entity_name: str, tag_key: str, who: Caller, platform: Served) -> dict[str, Any]:
    """Take a tag off a table; needs MANAGE."""
    name, tags = _tags(who, platform, entity_type, entity_name)
    if tag_key not in tags:
        raise NotFound(f"{name} has no tag {tag_key!r}", kind="tag")
    platform.catalog.describe(who, name, {"tags": {k: v for k, v in tags.items() if k != tag_key}})
    return {}
