"""Graphs of lineage made smaller or larger for the eye: some kinds only, jobs between, the nearest part."""

from collections.abc import Collection
from dataclasses import replace

from boathouse.catalog.lineage.graph import GraphEdge, GraphNode, LineageGraph

THROUGH = "through"
"""`how` of an edge that stands for a way through nodes that are not shown."""


def only(graph: LineageGraph, kinds: Collection[str]) -> LineageGraph:
    """Nodes of these kinds, and the start; ways through others become edges."""
    nodes = {n.key: n for n in graph.nodes}
    edges = {(e.source, e.target): e for e in graph.edges}
    for gone in [n for n in graph.nodes if n.kind not in kinds and n.key != graph.start]:
        into = [e for e in edges.values() if e.target == gone.key]
        out = [e for e in edges.values() if e.source == gone.key]
        for before in into:
            for after in out:
                if before.source != after.target:
                    edges.setdefault((before.source, after.target), _through(before, after))
        for edge in (*into, *out):
            edges.pop((edge.source, edge.target), None)
        del nodes[gone.key]
    return replace(graph, nodes=tuple(nodes.values()), edges=tuple(edges.values()))


def _through(before: GraphEdge, after: GraphEdge) -> GraphEdge:
    return GraphEdge(before.source, before.source_version, after.target, after.target_version, THROUGH, max(before.at, after.at),
                     current=before.current and after.current)  # fmt: skip


def with_jobs(graph: LineageGraph) -> LineageGraph:
    """Jobs as nodes between what they read and what they wrote.

    What a job made of the same sources it made in one step; other sources are another step, so that a job which
    reads what it wrote earlier closes no circle.
    """
    sources: dict[tuple[str, str], list[str]] = {}
    for edge in graph.edges:
        if edge.job:
            sources.setdefault((edge.job, edge.target), []).append(edge.source)
    steps = {key: f"job:{key[0]}#{'+'.join(sorted(read))}" for key, read in sources.items()}
    nodes = {n.key: n for n in graph.nodes}
    edges: dict[tuple[str, str], GraphEdge] = {}
    for edge in graph.edges:
        if not edge.job:
            edges[edge.source, edge.target] = edge
            continue
        job = steps[edge.job, edge.target]
        nodes.setdefault(job, GraphNode(job, "job", edge.job, steps=nodes[edge.target].steps))
        into = replace(edge, target=job, target_version=None, columns=())
        out = replace(edge, source=job, source_version=None, how="declared", behind=0, columns=())
        edges[edge.source, job] = _stronger(edges.get((edge.source, job)), into)
        edges[job, edge.target] = _stronger(edges.get((job, edge.target)), out)
    return replace(graph, nodes=tuple(nodes.values()), edges=tuple(edges.values()))


def _stronger(known: GraphEdge | None, other: GraphEdge) -> GraphEdge:
    """Of two edges between the same nodes the one that is better known, behind as far as the worse one."""
    if known is None:
        return other
    best = other if known.how == "inferred" else known
    return replace(best, behind=max(known.behind, other.behind), current=known.current or other.current)


def nearest(graph: LineageGraph, most: int) -> LineageGraph:
    """The nodes closest to the start, as many as can be read."""
    kept = {n.key for n in sorted(graph.nodes, key=lambda n: (n.key != graph.start, abs(n.steps)))[:most]}
    edges = tuple(e for e in graph.edges if e.source in kept and e.target in kept)
    return replace(graph, nodes=tuple(n for n in graph.nodes if n.key in kept), edges=edges,
                   cut=graph.cut or len(kept) < len(graph.nodes))  # fmt: skip
