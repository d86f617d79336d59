"""The ledger: every write and what it read, kept as rows; what was dropped keeps its rows under a mark."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.lineage.column_walk import ColumnEdge, column_edges
from boathouse.catalog.lineage.columns import ALL_COLUMNS
from boathouse.catalog.lineage.edge import Direction, LineageEdge
from boathouse.catalog.lineage.node import DROPPED, number_of
from boathouse.catalog.lineage.questions import Questions
from boathouse.catalog.lineage.spans import UNVERSIONED
from boathouse.catalog.lineage.store import mappings, reads, writes
from boathouse.catalog.lineage.walk import Walk, walk
from boathouse.database import Database
from boathouse.names import is_scratch

MAINTENANCE = ("OPTIMIZE", "VACUUM", "CHECKPOINT")
"""Operations that leave all rows as they are."""


class Source(NamedTuple):
    """Something that was read, at which version, how that is known, and which columns became which."""

    node: str
    version: str | None = None
    how: str = "declared"
    mapping: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Made:
    """One write with all that went into it."""

    target: str
    version: str | None
    operation: str
    principal: str
    at: datetime
    sources: tuple[Source, ...]


class Lineage:
    """Which version of what was made out of which version of what. Nodes are named as in `node`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, sources: Iterable[Source | tuple[str, str | None]], target: tuple[str, str | None], principal: str,
               run_id: str | None, *, operation: str = "", replaces: bool = False, restored: int | None = None,
               job: str | None = None) -> None:  # fmt: skip
        """Note that `target`, a (node, version), was made out of `sources`; a write without any is noted too.

        `replaces` says that nothing of earlier versions is left, `restored` which version came back instead;
        `job` names a job of another system. Said twice of one version by one run, it stands once.
        """
        node, version = target
        row = {"target": node, "version": version, "operation": operation, "run_id": run_id, "job": job}
        more = {"number": _number(version), "replaces": replaces or restored is not None, "restored": restored,
                "principal": principal, "at": clock.now()}  # fmt: skip
        with self._database.writing() as connection:
            write_id = _known_write(connection, row) if version is not None else None
            if write_id is None:
                write_id = connection.execute(writes.insert().values(**row, **more).returning(writes.c.id)).scalar_one()
            noted = sa.select(reads.c.source, reads.c.version).where(reads.c.write_id == write_id)
            known = {(r.source, r.version) for r in connection.execute(noted)}
            fresh = {(s.node, s.version): s for s in (Source(*given) for given in sources) if s.node != node}
            rows = [
                {"write_id": write_id, "source": s.node, "version": s.version, "number": _number(s.version), "target": node,
                 "target_number": more["number"], "how": s.how, "mapping_id": _keep_mapping(connection, s.mapping)}
                for key, s in fresh.items() if key not in known
            ]  # fmt: skip
            if rows:
                connection.execute(reads.insert(), rows)

    def walk(self, node: str, direction: Direction = "up", version: int | None = None, depth: int = 50) -> Walk:
        """Follow edges by version; see `walk`."""
        with self._database.reading() as connection:
            return walk(Questions(connection), node, direction, version, depth)

    def edges(self, name: str, direction: Direction = "up", depth: int = 50) -> list[LineageEdge]:
        """Edges that are in force against (`up`) or along (`down`) the flow; each pair's newest edge."""
        return list(self.walk(name, direction, None, depth).edges)

    def at_version(self, target: str, version: str) -> list[LineageEdge]:
        """What went into one version of a target; of a table also what it holds of earlier writes."""
        number = number_of(version)
        return list(self.walk(target, "up", number, 1).edges) if number is not None else []

    def made(self, *, run_id: str | None = None, target: tuple[str, str] | None = None) -> list[Made]:
        """The writes of a run, or of one version of a node, oldest first."""
        asked = [writes.c.run_id == run_id] if target is None else [writes.c.target == target[0], writes.c.version == target[1]]
        query = (
            sa.select(writes, reads.c.source, reads.c.version.label("source_version"), reads.c.how, mappings.c.body)
            .outerjoin(reads, reads.c.write_id == writes.c.id).outerjoin(mappings, mappings.c.id == reads.c.mapping_id)
            .where(*asked).order_by(writes.c.id, reads.c.id)
        )  # fmt: skip
        found: dict[int, Made] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query):
                made = found.get(row.id) or Made(
                    row.target, row.version, row.operation, row.principal, clock.parse_instant(row.at), ()
                )
                more = (Source(row.source, row.source_version, row.how, row.body),) if row.source else ()
                found[row.id] = replace(made, sources=(*made.sources, *more))
        return list(found.values())

    def written_columns(self, nodes: Iterable[str]) -> dict[str, list[str]]:
        """Node -> the columns that any write of it is known to have made: of a model, its inputs."""
        query = sa.select(reads.c.target, mappings.c.body).distinct().join(mappings, mappings.c.id == reads.c.mapping_id)
        found: dict[str, dict[str, None]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.where(reads.c.target.in_(list(nodes)))):
                found.setdefault(row.target, {}).update(dict.fromkeys(row.body["columns"]))
        return {node: list(columns) for node, columns in found.items()}

    def knows(self, node: str) -> bool:
        """Whether anything was noted of a node."""
        with self._database.reading() as connection:
            written = connection.execute(sa.select(writes.c.id).where(writes.c.target == node).limit(1)).first()
            return bool(written or connection.execute(sa.select(reads.c.id).where(reads.c.source == node).limit(1)).first())

    def versions(self, node: str) -> list[str]:
        """The versions of a node that were noted, oldest first."""
        query = sa.select(writes.c.version, writes.c.number).where(writes.c.target == node).distinct()
        with self._database.reading() as connection:
            return [r.version for r in connection.execute(query.order_by(writes.c.number)) if r.version is not None]

    def next_version(self, node: str) -> str:
        """The number after the newest, of what has no versions of its own: an endpoint, a view."""
        return str(self.newest([node]).get(node, 0) + 1)

    def newest(self, nodes: Iterable[str]) -> dict[str, int]:
        """Node -> the number of its newest write that changed rows; maintenance is none."""
        query = (
            sa.select(writes.c.target, sa.func.max(writes.c.number))
            .where(writes.c.target.in_(list(nodes)), writes.c.number != UNVERSIONED, writes.c.operation.notin_(MAINTENANCE))
            .group_by(writes.c.target)
        )  # fmt: skip
        with self._database.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(query)}

    def columns(self, walk: Walk, column: str = ALL_COLUMNS) -> list[ColumnEdge]:
        """The steps of a walk, column by column: all, or those of one column of its start."""
        with self._database.reading() as connection:
            ids = Questions(connection).mappings(walk.spans, walk.direction)
            wanted = {i for some in ids.values() for i in some if i is not None}
            query = sa.select(mappings).where(mappings.c.id.in_(wanted))
            bodies = {row.id: row.body for row in connection.execute(query)} if wanted else {}
        known = {pair: [bodies.get(i) if i is not None else None for i in some] for pair, some in ids.items()}
        return column_edges(walk, known, column)

    def rename(self, old: str, new: str) -> None:
        """A node has another name from now on; its history comes with it."""
        with self._database.writing() as connection:
            connection.execute(writes.update().where(writes.c.target == old).values(target=new))
            connection.execute(reads.update().where(reads.c.target == old).values(target=new))
            connection.execute(reads.update().where(reads.c.source == old).values(source=new))

    def drop(self, node: str) -> None:
        """A node was dropped: its history stays, apart from that of whatever is made under the name later.

        Of throw-away schemas nothing stays.
        """
        with self._database.writing() as connection:
            if is_scratch(node):
                connection.execute(reads.delete().where((reads.c.source == node) | (reads.c.target == node)))
                connection.execute(writes.delete().where(writes.c.target == node))
                return
            self.rename(node, f"{node}{DROPPED}{len(self.dropped(node)) + 1}")

    def dropped(self, node: str) -> list[str]:
        """The nodes that had this name and were dropped, oldest first."""
        begins = f"{node}{DROPPED}"
        found: set[str] = set()
        with self._database.reading() as connection:
            for column in (writes.c.target, reads.c.source):
                query = sa.select(column).where(column >= begins, column < begins + "￿").distinct()
                found |= set(connection.execute(query).scalars())
        return sorted(found, key=lambda name: int(name.removeprefix(begins)))


def _number(version: str | None) -> int:
    number = number_of(version)
    return UNVERSIONED if number is None else number


def _known_write(connection: sa.Connection, row: Mapping[str, Any]) -> int | None:
    same = [writes.c[k].is_not_distinct_from(v) for k, v in row.items()]
    found: int | None = connection.execute(sa.select(writes.c.id).where(*same).limit(1)).scalar()
    return found


def _keep_mapping(connection: sa.Connection, mapping: Mapping[str, Any] | None) -> int | None:
    if mapping is None:
        return None
    digest = hashlib.sha256(json.dumps(mapping, sort_keys=True).encode()).hexdigest()
    known: int | None = connection.execute(sa.select(mappings.c.id).where(mappings.c.digest == digest)).scalar()
    if known is not None:
        return known
    row = mappings.insert().values(digest=digest, body=dict(mapping))
    return int(connection.execute(row.returning(mappings.c.id)).scalar_one())
