"""What a walk asks, as SQL that runs on SQLite and PostgreSQL: one question a round, one row a pair of nodes.

Names and versions come as one JSON parameter, so that a question is the same text however many there are.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.node import stands_alone
from boathouse.catalog.lineage.spans import UNVERSIONED, History, Spans
from boathouse.catalog.lineage.walk import Pair
from boathouse.clock import parse_instant

_SIDES = {"up": {"near": "target", "near_number": "target_number", "far": "source", "far_number": "number"},
          "down": {"near": "source", "near_number": "number", "far": "target", "far_number": "target_number"}}  # fmt: skip

# CROSS JOIN fixes the order on SQLite: spans first, then edges by index
_PAIRS = """
SELECT r.{near} AS near, r.{far} AS far, max(r.target_number) AS newest, count(*) AS edges, min(r.{far_number}) AS least,
    min(CASE WHEN r.{far_number} >= 0 THEN r.{far_number} END) AS low,
    max(CASE WHEN r.{far_number} >= 0 THEN r.{far_number} END) AS high
FROM asked CROSS JOIN bh_lineage_reads r
WHERE r.{near} = asked.a AND r.{near_number} BETWEEN asked.first AND asked.last
GROUP BY r.{near}, r.{far}
"""
_NUMBERS = """
SELECT DISTINCT r.{near} AS near, r.{far} AS far, r.{far_number} AS number
FROM asked CROSS JOIN bh_lineage_reads r
WHERE r.{near} = asked.a AND r.{far} = asked.b AND r.{near_number} BETWEEN asked.first AND asked.last AND r.{far_number} >= 0
"""
_EDGES = """
SELECT r.source, r.version AS source_version, r.target, w.version AS target_version, w.run_id, w.principal, w.at, r.how,
    w.operation, w.job, r.mapping_id
FROM (
    SELECT max(r.id) AS id FROM asked CROSS JOIN bh_lineage_reads r
    WHERE r.target = asked.b AND r.target_number = asked.first AND r.source = asked.a GROUP BY r.source, r.target
) AS newest
CROSS JOIN bh_lineage_reads r CROSS JOIN bh_lineage_writes w
WHERE r.id = newest.id AND w.id = r.write_id
"""
_HISTORIES = """
SELECT w.target, w.number, w.restored FROM asked CROSS JOIN bh_lineage_writes w
WHERE w.target = asked.a AND w.replaces AND w.number >= 0 ORDER BY w.number
"""
_MAPPINGS = """
SELECT DISTINCT r.source, r.target, r.mapping_id FROM asked CROSS JOIN bh_lineage_reads r
WHERE r.{near} = asked.a AND r.{near_number} BETWEEN asked.first AND asked.last
"""


class Questions:
    """Answers a walk over one connection, so that all rounds see the same edges."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        rows = "json_each(:asked)" if connection.dialect.name == "sqlite" else "jsonb_array_elements(CAST(:asked AS jsonb))"
        self._asked = f"""
            WITH asked AS MATERIALIZED (
                SELECT value ->> 0 AS a, value ->> 1 AS b, CAST(value ->> 2 AS BIGINT) AS first,
                    CAST(value ->> 3 AS BIGINT) AS last
                FROM {rows}
            )
        """

    def pairs(self, spans: Mapping[str, Spans], direction: Direction) -> list[Pair]:
        """Edges of these nodes at these versions, one pair for each far node."""
        asked = [(name, None, first, last) for name, first, last in _rows(spans)]
        found = self._ask(_PAIRS.format(**_SIDES[direction]), asked)
        return [Pair(r.near, r.far, r.newest, r.low, r.high, r.least == UNVERSIONED, r.edges) for r in found]

    def numbers(self, spans: Mapping[str, Spans], pairs: Iterable[tuple[str, str]],
                direction: Direction) -> dict[tuple[str, str], list[int]]:  # fmt: skip
        """The versions on the far side of some (near, far) pairs, one by one."""
        asked = [(near, far, first, last) for near, far in pairs for _, first, last in _rows({near: spans[near]})]
        found: dict[tuple[str, str], list[int]] = {}
        for row in self._ask(_NUMBERS.format(**_SIDES[direction]), asked):
            found.setdefault((row.near, row.far), []).append(row.number)
        return found

    def edges(self, newest: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], LineageEdge]:
        """The newest edge of each (source, target), which made this version of the target."""
        asked = [(source, target, number, number) for (source, target), number in newest.items()]
        query = sa.text(self._asked + _EDGES).columns(at=sa.DateTime(timezone=True))
        found = (LineageEdge(*row) for row in self._connection.execute(query, {"asked": json.dumps(asked)}))
        return {(edge.source, edge.target): replace(edge, at=parse_instant(edge.at)) for edge in found}

    def histories(self, names: Iterable[str]) -> dict[str, History]:
        """What was replaced when."""
        wanted = list(names)
        resets: dict[str, list[int]] = {name: [] for name in wanted}
        restored: dict[str, dict[int, int]] = {name: {} for name in wanted}
        for row in self._ask(_HISTORIES, [(name, None, 0, 0) for name in wanted if not stands_alone(name)]):
            resets[row.target].append(row.number)
            if row.restored is not None:
                restored[row.target][row.number] = row.restored
        return {name: History(resets[name], restored[name], stands_alone(name)) for name in wanted}

    def mappings(self, spans: Mapping[str, Spans], direction: Direction) -> dict[tuple[str, str], set[int | None]]:
        """(source, target) -> the column mappings of all their edges at these versions."""
        asked = [(name, None, first, last) for name, first, last in _rows(spans)]
        found: dict[tuple[str, str], set[int | None]] = {}
        for row in self._ask(_MAPPINGS.format(**_SIDES[direction]), asked):
            found.setdefault((row.source, row.target), set()).add(row.mapping_id)
        return found

    def _ask(self, query: str, asked: Sequence[tuple[str, str | None, int, int]]) -> Any:
        return self._connection.execute(sa.text(self._asked + query), {"asked": json.dumps(asked)}) if asked else ()


def _rows(spans: Mapping[str, Spans]) -> Iterator[tuple[str, int, int]]:
    """One row a span; edges without a version belong to all."""
    for name, ranges in spans.items():
        yield from ((name, first, last) for first, last in ranges)
        if ranges and ranges[0][0] > UNVERSIONED:
            yield name, UNVERSIONED, UNVERSIONED
