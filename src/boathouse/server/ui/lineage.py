"""Lineage as a picture and as a list; what the caller may not see is a box without a name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.catalog import (
    ALL_COLUMNS,
    KINDS,
    ColumnEdge,
    GraphEdge,
    GraphNode,
    LineageGraph,
    nearest,
    only,
    with_jobs,
)
from boathouse.errors import BoathouseError, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight
from boathouse.server.ui.graph import Link, Node, Picture, Row, layered
from boathouse.server.ui.lineage_view import DEPTHS, WAYS, View
from boathouse.server.ui.page import chosen, fragment, page, part

router = APIRouter()
_MOST = 120
_MOST_ROWS = 14
_PREDICTION = "prediction"
_WAYS = {"both": "Both ways", "up": "Where it comes from", "down": "What is made of it"}
_DECIDES = {"FILTER", "JOIN", "GROUP_BY", "SORT", "CONDITIONAL", "WINDOW"}


@dataclass(frozen=True)
class Drawn:
    """A picture with what it shows."""

    graph: LineageGraph
    picture: Picture

    @property
    def stale(self) -> int:
        """How many tables are older than something they were made of."""
        return sum(node.stale for node in self.graph.nodes)


@router.get("/lineage")
def lineage(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Where something comes from and what is made of it; the picture alone for a script."""
    view = View.of(request.query_params)
    offered = sight.environments(who, platform)
    drawn, fault, status = None, "", 200
    if view.name:
        try:
            drawn = draw(who, platform, view, chosen(view.environment, tuple(reversed(offered))))
        except BoathouseError as error:
            fault, status = str(error), error.http_status
    values: dict[str, Any] = {
        "view": view, "drawn": drawn, "fault": fault, "environments": offered, "ways": [(w, _WAYS[w]) for w in WAYS],
        "depths": DEPTHS, "kinds": KINDS, "href": href,
    }  # fmt: skip
    if request.headers.get("x-part"):
        return part("_lineage.html", **values)
    return page(request, who, "lineage.html", status=status, **values)


def family(who: Identity, platform: Platform, name: str) -> Drawn:
    """The lineage of a node, both ways, for its own page."""
    return draw(who, platform, View(name), None)


def draw(who: Identity, platform: Platform, view: View, environment: str | None) -> Drawn:
    """The picture that a view asks for. Raises NotFound, NotPermitted, InvalidInput."""
    try:
        node, column = platform.seen_lineage.find(who, view.name, environment)
    except NotFound:
        if view.name.count(".") != 2:
            raise
        node, column = view.name, None  # a table that nothing was noted of yet
    graph = platform.seen_lineage.graph(
        who, node, view.ways, version=view.at or None, depth=view.depth, column=column, columns=bool(view.opened)
    )
    graph = nearest(only(graph, (*view.kinds, "hidden")), _MOST)
    shown = with_jobs(graph) if view.jobs and not column else graph
    rows = {n.key: _rows(who, platform, n, view, graph, column) for n in shown.nodes}
    nodes = [_node(n, view, shown, rows[n.key]) for n in shown.nodes]
    links = [link for edge in shown.edges for link in _links(edge, rows)]
    return Drawn(graph, layered(nodes, links))


def svg(drawn: Drawn) -> str:
    """The picture as a file of its own."""
    return fragment("lineage.svg", drawn=drawn)


def href(name: str) -> str:
    """The page of a node; none for what has no page, or is hidden."""
    kind, mark, rest = name.partition(":")
    if "~" in name or name.startswith("("):
        return ""
    pages = {"model": f"/models/{rest}", "endpoint": f"/endpoints/{rest.replace('.', '/', 1)}", "volume": f"/volumes/{rest}"}
    if mark:
        return pages.get(kind, "")
    return f"/tables/{name}" if name.count(".") == 2 else ""


def _rows(who: Identity, platform: Platform, node: GraphNode, view: View, graph: LineageGraph,
          column: str | None) -> tuple[Row, ...]:  # fmt: skip
    """The columns of a box: on the way of one column those that are on it, else all where the box is open."""
    used = list(dict.fromkeys(name for name in _used(node.key, graph.edges) if name != ALL_COLUMNS))
    if column is not None:
        start = [column] if node.key == graph.start else []
        names = list({n.lower(): n for n in (*start, *used)}.values())
    elif node.key not in view.opened or node.hidden or view.jobs:
        return ()
    else:
        known = [c.name for c in platform.catalog.table(node.key).columns] if _is_table(who, platform, node) else []
        names = sorted(known, key=lambda n: n not in used) if known else used
    cut = names[:_MOST_ROWS]
    rows = [Row(name, name, view.href(name=f"{node.key}.{name}", opened=(), at="")) for name in cut]
    return (*rows, *([Row("", f"and {len(names) - len(cut)} more")] if len(names) > len(cut) else []))


def _is_table(who: Identity, platform: Platform, node: GraphNode) -> bool:
    if node.kind != "table" or node.dropped:
        return False
    try:
        sight.table(who, platform, node.key)
    except NotFound:
        return False
    return True


def _used(key: str, edges: Iterable[GraphEdge]) -> Iterable[str]:
    for edge in edges:
        for step in edge.columns:
            if edge.source == key:
                yield step.source_column
            if edge.target == key:
                yield step.target_column


def _node(node: GraphNode, view: View, graph: LineageGraph, rows: tuple[Row, ...]) -> Node:
    if node.hidden:
        return Node(node.key, "hidden", "you may not see this", kind="hidden", said="Something that you may not see")
    if node.kind == "job":
        run = next((e.run_id for e in graph.edges if e.source == node.key and e.run_id), "")
        environment, _, job = node.name.partition(".")
        return Node(node.key, job, "job", f"/runs/{run}" if run else "", "job", said=f"Job {node.name}", env=environment)
    environment, place, title = _levels(node)
    version = f"v{node.version}" if node.version else ""
    words = [place, node.kind if node.kind not in ("table", "file") else "", version, "dropped" if node.dropped else ""]
    opens = node.kind in ("table", "model") and not view.jobs
    told = ", ".join(filter(None, (f"version {node.version}" if node.version else "", "dropped" if node.dropped else "",
                                   "older than its sources" if node.stale else "")))  # fmt: skip
    return Node(
        node.key, title, " · ".join(filter(None, words)), href(node.key), "focus" if node.key == graph.start else node.kind, rows,
        f"{node.kind.capitalize()} {node.name}{f': {told}' if told else ''}", view.toggled(node.key) if opens else "",
        "stale" if node.stale else "", environment,
    )  # fmt: skip


def _levels(node: GraphNode) -> tuple[str, str, str]:
    """(environment, what it lies in, its own name); of files and foreign data the last part is its own."""
    if node.kind in ("file", "external"):
        place, _, title = node.name.rpartition("/")
        return "", place, title
    environment, _, rest = node.name.partition(".")
    schema, _, title = rest.rpartition(".")
    return environment, schema, title


def _links(edge: GraphEdge, rows: Mapping[str, tuple[Row, ...]]) -> Iterable[Link]:
    """One line, or one a column where either end shows its columns."""
    steps = [s for s in _inner(edge) if rows[edge.source] or rows[edge.target]]
    if not steps:
        yield Link(edge.source, edge.target, _looks(edge), _said(edge))
    for step in steps:
        weak = " weak" if set(step.how) <= _DECIDES else " all" if step.source_column == ALL_COLUMNS else ""
        yield Link(edge.source, edge.target, f"column{weak} {_looks(edge)}".strip(), _step_said(edge, step),
                   _row(rows[edge.source], step.source_column), _row(rows[edge.target], step.target_column))  # fmt: skip


def _inner(edge: GraphEdge) -> Iterable[ColumnEdge]:
    """The steps of an edge; a column that goes into an input of a model is not drawn into its prediction, too."""
    if not edge.target.startswith("model:"):
        return edge.columns
    inputs = {s.source_column for s in edge.columns if not s.target_column.startswith(_PREDICTION)}
    return [s for s in edge.columns if s.source_column not in inputs or not s.target_column.startswith(_PREDICTION)]


def _row(rows: tuple[Row, ...], column: str) -> str | None:
    """The row that shows a column: its own, or the one that stands for the rest."""
    keys = {row.key.lower(): row.key for row in rows}
    return keys.get(column.lower(), keys.get("") if column != ALL_COLUMNS else None)


def _looks(edge: GraphEdge) -> str:
    words = [edge.how if edge.how in ("inferred", "through") else "", "behind" if edge.behind else ""]
    words += ["" if edge.current else "old"]
    return " ".join(filter(None, words))


def _said(edge: GraphEdge) -> str:
    words = [f"{_at(edge.source, edge.source_version)} → {_at(edge.target, edge.target_version)}", edge.how]
    words += [f"by job {edge.job}"] if edge.job else []
    words += [f"{edge.behind} versions of the source are newer"] if edge.behind else []
    words += ["overwritten since"] if not edge.current else []
    return ", ".join(words)


def _step_said(edge: GraphEdge, step: ColumnEdge) -> str:
    how = ", ".join(h.lower().replace("_", " ") for h in step.how)
    return f"{edge.source}.{step.source_column} → {edge.target}.{step.target_column}: {how}"


def _at(node: str, version: str | None) -> str:
    return f"{node} v{version}" if version else node
