"""Lineage: told by those who write, and shown to those who may see both ends."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel, Field

from boathouse.catalog import Source
from boathouse.lake import Origin
from boathouse.platform import Ways, to_dot, to_mermaid
from boathouse.server.auth import Caller, Served
from boathouse.server.ui.lineage import draw, svg
from boathouse.server.ui.lineage_view import View

router = APIRouter(prefix="/api/v1", tags=["lineage"])
Form = Literal["edges", "graph", "svg", "dot", "mermaid"]
Reading = tuple[str, str | None] | tuple[str, str | None, Literal["declared", "derived", "inferred"]]
"""Something that was read: name, version, and how that is known."""


class Derivation(BaseModel):
    """Something that was made out of tables."""

    sources: list[Reading]
    target: str
    version: str | None
    origin: dict[str, Any] | None = None


@router.get("/lineage/{name:path}")
def lineage(
    name: str, who: Caller, platform: Served, direction: Ways = "up", environment: str | None = None,
    at: str | None = None, depth: Annotated[int | None, Query(ge=1)] = None, columns: bool = False,
    form: Annotated[Form, Query(alias="format")] = "edges",
) -> Any:  # fmt: skip
    """Edges that lead to a name (`up`) or from it (`down`); of one column with `schema.table.column`.

    `format` gives them as a list of edges, a graph, a picture (SVG), or text for Graphviz or Mermaid. What the caller may not
    see is "(hidden 1)" and so on.
    """
    node, column = platform.seen_lineage.find(who, name, environment)
    graph = platform.seen_lineage.graph(who, node, direction, version=at, depth=depth, column=column, columns=columns)
    if form == "edges":
        kept = [edge.to_dict() for edge in graph.edges]
        return kept if columns or column else [{k: v for k, v in e.items() if k != "columns"} for e in kept]
    if form == "graph":
        return graph.to_dict()
    if form == "svg":
        view = View(name, ways=direction, depth=depth, at=at or "", opened=tuple(n.key for n in graph.nodes if columns))
        return Response(svg(draw(who, platform, view, environment)), media_type="image/svg+xml")
    return PlainTextResponse(to_dot(graph) if form == "dot" else to_mermaid(graph))


@router.get("/touched/{name}")
def touched(name: str, version: int, who: Caller, platform: Served) -> dict[str, Any]:
    """From a version of a table forward: versions of tables and models, endpoints, and how many predictions."""
    platform.access.authorize(who, "SELECT", "table", name)
    return platform.touched(who, name, version)


@router.post("/openlineage", status_code=201)
def openlineage(body: dict[str, Any] | list[dict[str, Any]], who: Caller, platform: Served) -> dict[str, int]:
    """Take OpenLineage events of other systems, one or several; how many there were and how many edges they left.

    Needs MODIFY on outputs that are tables here, CREATE EXTERNAL METADATA on the metastore for others.
    """
    events = body if isinstance(body, list) else [body]
    return {"events": len(events), "edges": sum(platform.openlineage.take(who, event) for event in events)}


@router.post("/lineage", status_code=201)
def note_lineage(
    body: Annotated[Derivation | dict[str, Any], Field(union_mode="left_to_right")], who: Caller, platform: Served
) -> dict[str, int]:
    """Tell what something was made out of; needs CREATE MODEL for a model, WRITE VOLUME for a volume, MODIFY for a table.

    OpenLineage events are taken here too: this is where its clients send them when only a server is named.
    """
    if isinstance(body, dict):
        return openlineage(body, who, platform)
    kind, _, name = body.target.rpartition(":")
    if kind == "model":
        platform.access.authorize(who, "CREATE MODEL", "schema", name.rpartition(".")[0])
    elif kind == "volume":
        platform.access.authorize(who, "WRITE VOLUME", "volume", name)
    else:
        platform.access.authorize(who, "MODIFY", "table", name)
    sources = [Source(*s) for s in body.sources]
    platform.catalog.note_lineage(who, (body.target, body.version), sources, Origin.from_dict(body.origin or {}))
    return {"events": 1, "edges": len(sources)}
