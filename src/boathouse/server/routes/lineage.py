"""Lineage: told by those who write, and shown to those who may see both ends."""

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import Direction, Source, kind_of, name_of
from boathouse.identity import Identity
from boathouse.lake import Origin
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["lineage"])
Reading = tuple[str, str | None] | tuple[str, str | None, Literal["declared", "derived", "inferred"]]
"""Something that was read: name, version, and how that is known."""



class Derivation(BaseModel):
    """Something that was made out of tables."""

    sources: list[Reading]
    target: str
    version: str
    origin: dict[str, Any] | None = None


@router.get("/lineage/{name}")
def lineage(name: str, who: Caller, platform: Served, direction: Direction = "up") -> list[dict[str, Any]]:
    """Edges that lead to a name (`up`) or from it (`down`)."""
    _see_node(who, platform, name)
    edges = platform.lineage.edges(name, direction)
    return [e.__dict__ for e in edges if all(platform.catalog.sees(who, end) for end in (e.source, e.target))]


def _see_node(who: Identity, platform: Platform, node: str) -> None:
    if not platform.catalog.sees(who, node):
        if kind_of(node) == "model":
            platform.access.authorize(who, "EXECUTE", "model", name_of(node))
        platform.access.authorize(who, "SELECT", "table", name_of(node))


@router.post("/lineage")
def note_lineage(body: Derivation, who: Caller, platform: Served) -> None:
    """Tell of a model that was made out of tables; needs CREATE MODEL, or MODIFY for a table."""
    kind, _, name = body.target.rpartition(":")
    if kind == "model":
        platform.access.authorize(who, "CREATE MODEL", "schema", name.rpartition(".")[0])
    else:
        platform.access.authorize(who, "MODIFY", "table", name)
    sources = [Source(*s) for s in body.sources]
    platform.catalog.note_lineage(who, (body.target, body.version), sources, Origin.from_dict(body.origin or {}))
