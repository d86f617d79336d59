"""Lineage: which version of what was made out of which version of what, by which run."""

from collections.abc import Iterable

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.store import lineage
from boathouse.catalog.values import LineageEdge
from boathouse.database import Database


class Lineage:
    """Edges between tables, models and endpoints. A node's name says its kind: `model:` and `endpoint:` are marked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, sources: Iterable[tuple[str, str | None]], target: tuple[str, str | None], principal: str,
               run_id: str | None) -> None:  # fmt: skip
        """Note that `target` was made out of `sources`, each a (name, version)."""
        rows = [
            {"source": name, "source_version": version, "target": target[0], "target_version": target[1],
             "principal": principal, "run_id": run_id, "at": clock.now()}
            for name, version in sources if name != target[0]
        ]  # fmt: skip
        if rows:
            with self._database.writing() as connection:
                connection.execute(lineage.insert(), rows)

    def edges(self, name: str, direction: str = "up", depth: int = 20) -> list[LineageEdge]:
        """Edges reached from a name against (`up`) or along (`down`) the flow; each pair's newest edge."""
        here, there = ("target", "source") if direction == "up" else ("source", "target")
        found: dict[tuple[str, str], LineageEdge] = {}
        frontier, seen = {name}, {name}
        with self._database.reading() as connection:
            for _ in range(depth):
                if not frontier:
                    break
                query = sa.select(lineage).where(lineage.c[here].in_(frontier)).order_by(lineage.c.id)
                frontier = set()
                for row in connection.execute(query).mappings():
                    edge = LineageEdge(**{k: v for k, v in row.items() if k != "id"})
                    found[edge.source, edge.target] = edge
                    frontier.add(row[there])
                frontier -= seen
                seen |= frontier
        return sorted(found.values(), key=lambda e: (e.target, e.source))

    def at_version(self, target: str, version: str) -> list[LineageEdge]:
        """What exactly went into one version of a target; the newest earlier write if that version noted none."""
        query = sa.select(lineage).where(lineage.c.target == target).order_by(lineage.c.id)
        with self._database.reading() as connection:
            edges = [
                LineageEdge(**{k: v for k, v in row.items() if k != "id"})
                for row in connection.execute(query).mappings()
            ]
        exact = [e for e in edges if e.target_version == version]
        if exact or not version.isdigit():
            return exact
        earlier = [e for e in edges if e.target_version and e.target_version.isdigit() and int(e.target_version) <= int(version)]
        newest = max((int(e.target_version or 0) for e in earlier), default=None)
        return [e for e in earlier if e.target_version == str(newest)]
