"""The walk against a definition that follows every single row: what is in a version, and which versions it is in."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boathouse.catalog import Lineage
from boathouse.catalog.lineage.spans import inside, united, without
from boathouse.database import Database

NODES = ("a", "b", "c", "model:m", "d")
Atoms = frozenset[tuple[str, int]]
Write = tuple[str, str, list[tuple[str, int]], int]
"""(node, append | overwrite | restore, (source, how many versions back), version to restore, counted back)."""

writes = st.lists(
    st.tuples(
        st.sampled_from(NODES),
        st.sampled_from(["append", "append", "overwrite", "restore"]),
        st.lists(st.tuples(st.sampled_from(NODES), st.integers(0, 3)), max_size=3),
        st.integers(0, 3),
    ),
    max_size=25,
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lineage]:
    path: Path = tmp_path_factory.mktemp("walk") / "metadata.db"
    database = Database(f"sqlite:///{path}")
    database.create_tables()
    yield Lineage(database)
    database.close()


def simulated(lineage: Lineage, prefix: str, plan: list[Write]) -> dict[str, list[Atoms]]:
    """Records the plan; for each node, which writes each of its versions holds, transitively."""
    held: dict[str, list[Atoms]] = {node: [frozenset()] for node in NODES}
    for node, operation, sources, back in plan:
        number, past = len(held[node]), held[node]
        read = {(s, max(len(held[s]) - 1 - ago, 0)) for s, ago in sources if s != node}
        restored = max(number - 1 - back, 0) if operation == "restore" and node != "model:m" else None
        if restored is not None:
            read = set()
        atoms = frozenset({(node, number)}).union(*(held[s][v] for s, v in read))
        keeps = past[restored] if restored is not None else past[-1] if operation == "append" and node != "model:m" else ()
        held[node].append(atoms.union(keeps))
        lineage.record([(named(prefix, s), str(v)) for s, v in read], (named(prefix, node), str(number)), "ada", None,
                       replaces=operation == "overwrite", restored=restored)  # fmt: skip
    return held


def named(prefix: str, node: str) -> str:
    kind, mark, name = node.rpartition(":")
    return f"{kind}{mark}{prefix}{name}"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plan=writes, start=st.sampled_from(NODES), number=st.integers(0, 9))
def test_the_walk_reaches_exactly_what_following_every_row_reaches(
    shared: Lineage, plan: list[Write], start: str, number: int
) -> None:
    with shared._database.writing() as connection:  # each example among the others: they must not mix
        prefix = f"x{connection.exec_driver_sql('SELECT count(*) FROM bh_lineage_writes').scalar()}_"
        held = simulated(shared, prefix, plan)
    version = min(number, len(held[start]) - 1)
    up = shared.walk(named(prefix, start), "up", version).spans
    down = shared.walk(named(prefix, start), "down", version).spans
    for node, versions in held.items():
        writes_of = {v for v in range(1, len(versions)) if inside(v, up.get(named(prefix, node), ()))}
        assert writes_of == {v for n, v in held[start][version] if n == node}
        if version:
            holding = {v for v in range(1, len(versions)) if inside(v, down.get(named(prefix, node), ()))}
            assert holding == {v for v in range(1, len(versions)) if (start, version) in versions[v]}


spans = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 6)).map(lambda p: (p[0], p[0] + p[1])), max_size=6)


@given(spans, spans)
def test_spans_are_the_sets_they_stand_for(some: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    first, second = united(some), united(others)
    members = [{n for n in range(50) if inside(n, s)} for s in (first, second, united(first, second), without(first, second))]
    assert members[2] == members[0] | members[1]
    assert members[3] == members[0] - members[1]
    assert all(a[1] + 1 < b[0] for a, b in pairwise(first))
