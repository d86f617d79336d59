"""A piece of lineage as one value: what lists, JSON and pictures are made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from boathouse.catalog.lineage.column_walk import ColumnEdge
from boathouse.catalog.lineage.edge import LineageEdge
from boathouse.catalog.lineage.node import is_dropped, kind_of, name_of


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


def node_of(key: str, steps: int, version: str | None = None, newest: str | None = None) -> GraphNode:
    """A node that may be seen."""
    return GraphNode(key, kind_of(key), name_of(key), version, newest, steps, dropped=is_dropped(key))


def edge_of(edge: LineageEdge, job: str | None, behind: int) -> GraphEdge:
    """An edge whose ends may both be seen."""
    return GraphEdge(
        edge.source, edge.source_version, edge.target, edge.target_version, edge.how, edge.at, edge.operation,
        edge.job or job, edge.run_id, edge.principal, edge.current, behind,
    )  # fmt: skip


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
