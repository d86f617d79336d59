"""What a walk asks, as SQL that runs on SQLite and PostgreSQL: one question a round, one row a pair of nodes."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import sqlalchemy as sa

from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.node import stands_alone
from boathouse.catalog.lineage.spans import UNVERSIONED, History, Spans
from boathouse.catalog.lineage.store import reads, writes
from boathouse.catalog.lineage.walk import Pair

_AT_ONCE = 4000
"""Rows of a question's own table; SQLite takes 32,766 parameters."""


class Questions:
    """Answers a walk over one connection, so that all rounds see the same edges."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def pairs(self, spans: Mapping[str, Spans], direction: Direction) -> list[Pair]:
        """Edges of these nodes at these versions, one pair for each far node."""
        return [p for part in parted(_rows(spans)) for p in self._pairs(part, direction)]

    def numbers(self, spans: Mapping[str, Spans], pairs: Iterable[tuple[str, str]],
                direction: Direction) -> dict[tuple[str, str], list[int]]:  # fmt: skip
        """The versions on the far side of some (near, far) pairs, one by one."""
        near, near_number, far, far_number = _sides(direction)
        wanted = set(pairs)
        found: dict[tuple[str, str], list[int]] = {}
        for part in parted(_rows({name: spans[name] for name, _ in wanted})):
            span = _span(part)
            query = (
                sa.select(near, far, far_number).distinct()
                .where(near == span.c.name, near_number.between(span.c.first, span.c.last), far_number != UNVERSIONED)
            )  # fmt: skip
            for row in self._connection.execute(query):
                if (row[0], row[1]) in wanted:
                    found.setdefault((row[0], row[1]), []).append(row[2])
        return found

    def histories(self, names: Iterable[str]) -> dict[str, History]:
        """What was replaced when."""
        wanted = list(names)
        resets: dict[str, list[int]] = {name: [] for name in wanted}
        restored: dict[str, dict[int, int]] = {name: {} for name in wanted}
        for part in parted(n for n in wanted if not stands_alone(n)):
            query = (
                sa.select(writes.c.target, writes.c.number, writes.c.restored)
                .where(writes.c.target.in_(part), writes.c.replaces, writes.c.number != UNVERSIONED)
                .order_by(writes.c.number)
            )
            for row in self._connection.execute(query):
                resets[row.target].append(row.number)
                if row.restored is not None:
                    restored[row.target][row.number] = row.restored
        return {name: History(resets[name], restored[name], stands_alone(name)) for name in wanted}

    def mappings(self, spans: Mapping[str, Spans], direction: Direction) -> dict[tuple[str, str], set[int | None]]:
        """(source, target) -> the column mappings of all their edges at these versions."""
        near, near_number, _, _ = _sides(direction)
        found: dict[tuple[str, str], set[int | None]] = {}
        for part in parted(_rows(spans)):
            span = _span(part)
            query = (
                sa.select(reads.c.source, reads.c.target, reads.c.mapping_id).distinct()
                .where(near == span.c.name, near_number.between(span.c.first, span.c.last))
            )  # fmt: skip
            for row in self._connection.execute(query):
                found.setdefault((row.source, row.target), set()).add(row.mapping_id)
        return found

    def _pairs(self, part: list[tuple[str, int, int]], direction: Direction) -> Iterator[Pair]:
        near, near_number, far, far_number = _sides(direction)
        span = _span(part)
        def over(value: Any, order: Any = None) -> Any:
            return sa.over(value, partition_by=(near, far), order_by=order)

        known = sa.case((far_number != UNVERSIONED, far_number))
        newest_first = (reads.c.target_number.desc(), reads.c.id.desc())
        ranked = (
            sa.select(
                reads, over(sa.func.row_number(), newest_first).label("rank"), over(sa.func.min(known)).label("low"),
                over(sa.func.max(known)).label("high"), over(sa.func.min(far_number)).label("least"),
                over(sa.func.count()).label("edges"),
            ).where(near == span.c.name, near_number.between(span.c.first, span.c.last)).subquery()
        )  # fmt: skip
        query = sa.select(ranked, writes).join(writes, writes.c.id == ranked.c.write_id).where(ranked.c.rank == 1)
        for row in self._connection.execute(query):
            kept = row._mapping
            edge = _edge(kept, ranked)
            ends = (edge.target, edge.source) if direction == "up" else (edge.source, edge.target)
            yield Pair(edge, kept[ranked.c.target_number], *ends, kept[ranked.c.low], kept[ranked.c.high],
                       kept[ranked.c.least] == UNVERSIONED, kept[ranked.c.edges])  # fmt: skip


def _edge(row: Any, read: Any) -> LineageEdge:
    return LineageEdge(
        row[read.c.source], row[read.c.version], row[read.c.target], row[writes.c.version], row[writes.c.run_id],
        row[writes.c.principal], row[writes.c.at], row[read.c.how], row[writes.c.operation], row[writes.c.job],
        row[read.c.mapping_id],
    )  # fmt: skip


def _sides(direction: Direction) -> tuple[Any, Any, Any, Any]:
    target, source = (reads.c.target, reads.c.target_number), (reads.c.source, reads.c.number)
    return (*target, *source) if direction == "up" else (*source, *target)


def _rows(spans: Mapping[str, Spans]) -> Iterator[tuple[str, int, int]]:
    """One row a span; edges without a version belong to all."""
    for name, ranges in spans.items():
        yield from ((name, first, last) for first, last in ranges)
        if ranges and ranges[0][0] > UNVERSIONED:
            yield name, UNVERSIONED, UNVERSIONED


def parted(items: Iterable[Any]) -> Iterator[list[Any]]:
    """Items in lists that fit into one question."""
    rest = iter(items)
    while part := list(islice(rest, _AT_ONCE)):
        yield part


def _span(part: list[tuple[str, int, int]]) -> Any:
    columns = (sa.column("name", sa.String), sa.column("first", sa.BigInteger), sa.column("last", sa.BigInteger))
    return sa.values(*columns, name="span").data(part).cte("span")
