"""Graphs of lineage made smaller and larger, hidden and written as text."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from boathouse.catalog import GraphEdge, GraphNode, LineageGraph, kind_of, name_of, nearest, only, veiled, with_jobs
from boathouse.platform import to_dot, to_mermaid

NOW = datetime(2025, 1, 1, tzinfo=UTC)


def edge(source: str, target: str, job: str | None = "prod.train") -> GraphEdge:
    return GraphEdge(source, "1", target, "2", "derived", NOW, job=job, run_id="r1", principal="prod-jobs", behind=3)


@pytest.fixture
def graph() -> LineageGraph:
    """raw -> features -> model -> log -> report, and raw -> log."""
    names = ["raw", "features", "model:m", "log", "report"]
    nodes = tuple(GraphNode(n, kind_of(n), name_of(n), "2", steps=i) for i, n in enumerate(names))
    steps = [("raw", "features"), ("features", "model:m"), ("model:m", "log"), ("log", "report"), ("raw", "log")]
    return LineageGraph("raw", None, None, nodes, tuple(edge(*s) for s in steps))


def pairs(graph: LineageGraph) -> set[tuple[str, str]]:
    return {(e.source, e.target) for e in graph.edges}


def test_ways_through_kinds_that_are_left_out_stay(graph: LineageGraph) -> None:
    small = only(graph, ["table"])
    assert pairs(small) == {("raw", "features"), ("features", "log"), ("log", "report"), ("raw", "log")}
    assert {e.how for e in small.edges if e.source == "features"} == {"through"}
    assert pairs(only(graph, ["model"])) == {("raw", "model:m")}


def test_a_job_that_reads_what_it_wrote_closes_no_circle(graph: LineageGraph) -> None:
    jobs = with_jobs(graph)
    reached, waiting = set(), ["raw"]
    while waiting:
        node = waiting.pop()
        reached.add(node)
        waiting += [t for s, t in pairs(jobs) if s == node]
        assert len(waiting) < 50, "a circle"
    assert {n.name for n in jobs.nodes if n.kind == "job"} == {"prod.train"}


def test_the_nearest_part_is_kept_and_says_so(graph: LineageGraph) -> None:
    small = nearest(graph, 3)
    assert ({n.key for n in small.nodes}, small.cut) == ({"raw", "features", "model:m"}, True)
    assert nearest(graph, 9).cut is False


def test_a_hidden_node_leaves_nothing_of_itself_behind(graph: LineageGraph) -> None:
    seen = veiled(graph, {"features": "(hidden 1)"})
    assert "features" not in repr(seen)
    touching = [e for e in seen.edges if "(hidden 1)" in (e.source, e.target)]
    assert [(e.job, e.run_id, e.principal, e.behind) for e in touching] == [(None, None, None, 0)] * 2
    assert (seen.hidden, touching[0].source_version) == (1, "1")
    assert touching[0].target_version is None


def test_text_for_graphviz_and_mermaid_is_safe_against_names(graph: LineageGraph) -> None:
    odd = replace(graph, nodes=(*graph.nodes, GraphNode('file:a"b<c>', "file", 'a"b<c>')))
    assert r'"file:a\"b<c>"' in to_dot(odd)
    assert '[/"a&quot;b&lt;c>' in to_mermaid(odd)
    assert to_mermaid(graph).count("-->") == 5
