"""A piece of lineage as one value: what lists, JSON and pictures are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from boathouse.catalog.lineage.column_walk import ColumnEdge
from boathouse.catalog.lineage.edge import LineageEdge
from boathouse.catalog.lineage.node import is_dropped, kind_of, name_of, number_of
from boathouse.catalog.lineage.spans import UNVERSIONED
from boathouse.catalog.lineage.walk import Walk


@dataclass(frozen=True)
class GraphNode:
    """A node: the newest version that belongs to the graph, and the newest there is.

    `key` names it in edges; a hidden one has neither name nor version. `steps` counts from the start, below
    zero upstream.
    """

    key: str
    kind: str
    name: str
    version: str | None = None
    newest: str | None = None
    steps: int = 0
    hidden: bool = False
    dropped: bool = False
    stale: bool = False


@dataclass(frozen=True)
class GraphEdge:
    """An edge with the job that made it; `behind` counts the writes of the source since it was read."""

    source: str
    source_version: str | None
    target: str
    target_version: str | None
    how: str
    at: datetime
    operation: str = ""
    job: str | None = None
    run_id: str | None = None
    principal: str | None = None
    current: bool = True
    behind: int = 0
    columns: tuple[ColumnEdge, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON, without the names of the ends in each column."""
        body = asdict(self)
        body["columns"] = [
            {"source": c.source_column, "target": c.target_column, "how": list(c.how)} for c in self.columns
        ]
        return body


@dataclass(frozen=True)
class LineageGraph:
    """All that was reached from a node, or from one column of it; `cut` says that there is more."""

    start: str
    column: str | None
    version: str | None
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    cut: bool = False

    @property
    def hidden(self) -> int:
        """How many of the nodes the caller may not see."""
        return sum(node.hidden for node in self.nodes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "start": self.start, "column": self.column, "version": self.version, "cut": self.cut, "hidden": self.hidden,
            "nodes": [asdict(n) for n in self.nodes], "edges": [e.to_dict() for e in self.edges],
        }  # fmt: skip


def graph_of(start: str, walks: Sequence[Walk], newest: Mapping[str, int], jobs: Mapping[str, str], *,
             version: str | None = None, column: str | None = None,
             steps: Sequence[ColumnEdge] = ()) -> LineageGraph:  # fmt: skip
    """Walks from one node as one graph.

    `newest` holds each node's newest version, `jobs` the job of each run. With a column only those edges stay that
    `steps` has steps of.
    """
    by_pair: dict[tuple[str, str], list[ColumnEdge]] = {}
    for step in steps:
        by_pair.setdefault((step.source, step.target), []).append(step)
    found = {(e.source, e.target): e for walk in walks for e in walk.edges}
    away = {node: steps for walk in reversed(walks) for node, steps in walk.steps.items()}
    edges = [
        _edge(edge, jobs, newest if version is None else {}, tuple(by_pair.get(pair, ())))
        for pair, edge in sorted(found.items(), key=lambda kept: _distance(kept[0], away))
        if column is None or pair in by_pair
    ]  # fmt: skip
    nodes = _nodes(start, version, walks, edges, newest)
    return LineageGraph(start, column, version, nodes, tuple(edges), any(walk.cut for walk in walks))


def _distance(pair: tuple[str, str], away: Mapping[str, int]) -> tuple[int, str, str]:
    """How far an edge is from the start, then by its ends."""
    source, target = pair
    return min(away.get(source, 0), away.get(target, 0)), target, source


def _edge(edge: LineageEdge, jobs: Mapping[str, str], newest: Mapping[str, int], columns: tuple[ColumnEdge, ...]) -> GraphEdge:
    read, known = number_of(edge.source_version), newest.get(edge.source)
    behind = max(known - read, 0) if read is not None and known is not None else 0
    return GraphEdge(
        edge.source, edge.source_version, edge.target, edge.target_version, edge.how, edge.at, edge.operation,
        edge.job or jobs.get(edge.run_id or ""), edge.run_id, edge.principal, edge.current, behind, columns,
    )  # fmt: skip


def _nodes(start: str, version: str | None, walks: Sequence[Walk], edges: Sequence[GraphEdge],
           newest: Mapping[str, int]) -> tuple[GraphNode, ...]:  # fmt: skip
    steps: dict[str, int] = {}
    for walk in walks:
        for node, away in walk.steps.items():
            steps.setdefault(node, -away if walk.direction == "up" else away)
    shown = _versions(edges, steps)
    shown[start] = version or (str(newest[start]) if start in newest else shown.get(start))
    late = {e.target for e in edges if e.behind and kind_of(e.target) == "table"}
    return tuple(
        GraphNode(key, kind_of(key), name_of(key), shown.get(key), str(newest[key]) if key in newest else None,
                  steps.get(key, 0), dropped=is_dropped(key), stale=key in late)
        for key in dict.fromkeys([start, *(end for e in edges for end in (e.source, e.target))])
    )  # fmt: skip


def _versions(edges: Sequence[GraphEdge], steps: Mapping[str, int]) -> dict[str, str | None]:
    """Upstream the newest version that was read, downstream the newest that was made."""
    shown: dict[str, str | None] = {}
    for edge in edges:
        for node, version, way in ((edge.source, edge.source_version, -1), (edge.target, edge.target_version, 1)):
            known = shown.get(node)
            if node not in shown or (steps.get(node, 0) * way > 0 and _order(version) > _order(known)):
                shown[node] = version
    return shown


def _order(version: str | None) -> int:
    number = number_of(version)
    return UNVERSIONED if number is None else number


def veiled(graph: LineageGraph, aliases: Mapping[str, str]) -> LineageGraph:
    """The graph with some nodes known by aliases only: nothing tells what they are, or who worked on them."""
    nodes = (
        GraphNode(aliases[n.key], "hidden", "(hidden)", steps=n.steps, hidden=True) if n.key in aliases else n
        for n in graph.nodes
    )  # fmt: skip
    return replace(graph, nodes=tuple(nodes), edges=tuple(_veiled(e, aliases) for e in graph.edges))


def _veiled(edge: GraphEdge, aliases: Mapping[str, str]) -> GraphEdge:
    if edge.source not in aliases and edge.target not in aliases:
        return edge
    return replace(
        edge, source=aliases.get(edge.source, edge.source), target=aliases.get(edge.target, edge.target),
        source_version=None if edge.source in aliases else edge.source_version,
        target_version=None if edge.target in aliases else edge.target_version,
        operation="", job=None, run_id=None, principal=None, behind=0, columns=(),
    )  # fmt: skip
