"""The `system` schema of each environment: what the platform knows of it, as Delta tables that SQL can ask.

The tables are copies, appended to exactly once: the number of the last row is the commit's application
transaction. They are written past audit and lineage, or each copy would be one more thing to copy.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.lineage.store import mappings, reads, writes
from boathouse.catalog.service import Catalog
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.store import audit
from boathouse.database import Database
from boathouse.identity import Identity
from boathouse.lake import column_types

SYSTEM = "system"
_TIME = pa.timestamp("us", tz="UTC")
_AT_ONCE = 20_000
_FIRST_LEVEL = re.compile(r"(?:[a-z_]+:)?(\w+)(?:[./]|$)")


@dataclass(frozen=True)
class Exported:
    """A kind of row: `query` gives rows in the order of their `number`, each with its `subject`.

    `after` is the condition for rows beyond a number. A number never comes again, nor a lower one later.
    """

    table: str
    description: str
    schema: pa.Schema
    query: sa.Select[Any]
    after: Callable[[int], sa.ColumnElement[bool]]
    number: Callable[[Mapping[str, Any]], int]
    derived: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    """Column -> what it holds of a row that the query gave."""


AUDIT = Exported(
    "audit", "Who did what; a copy of the audit log, whose chain `boathouse audit --verify` checks",
    pa.schema([
        ("sequence", pa.int64()), ("at", _TIME), ("principal", pa.string()), ("action", pa.string()), ("subject", pa.string()),
        ("outcome", pa.string()), ("details", pa.string()), ("hash", pa.string()),
    ]),
    sa.select(audit).order_by(audit.c.sequence), lambda number: audit.c.sequence > number, lambda row: int(row["sequence"]),
)  # fmt: skip

LINEAGE = Exported(
    "lineage", "What was made out of what, one row for each source of a write",
    pa.schema([
        ("id", pa.int64()), ("at", _TIME), ("source", pa.string()), ("source_version", pa.string()), ("target", pa.string()),
        ("target_version", pa.string()), ("operation", pa.string()), ("how", pa.string()), ("run_id", pa.string()),
        ("job", pa.string()), ("principal", pa.string()), ("columns", pa.string()),
    ]),
    sa.select(
        reads.c.id, reads.c.source, reads.c.version.label("source_version"), writes.c.target,
        writes.c.target.label("subject"), writes.c.version.label("target_version"), writes.c.operation, reads.c.how,
        writes.c.run_id, writes.c.job, writes.c.principal, mappings.c.body.label("columns"), writes.c.at,
    ).join(writes, writes.c.id == reads.c.write_id).outerjoin(mappings, mappings.c.id == reads.c.mapping_id)
    .order_by(reads.c.id),
    lambda number: reads.c.id > number, lambda row: int(row["id"]),
)  # fmt: skip


class SystemTables:
    """Brings the system tables of all environments up to date."""

    def __init__(self, database: Database, catalog: Catalog, environments: Sequence[str],
                 identity: Callable[[str], Identity], exported: Collection[Exported]) -> None:  # fmt: skip
        self._database = database
        self._catalog = catalog
        self._environments = tuple(environments)
        self._identity = identity
        self._exported = tuple(exported)
        self._seen: dict[tuple[str, str], int] = {}

    def export(self) -> int:
        """Copy what is new; how many rows. Rows of no environment stand in the last one's tables, which is prod."""
        return sum(self._export(kind, environment) for kind in self._exported for environment in self._environments)

    def _export(self, kind: Exported, environment: str) -> int:
        name = f"{environment}.{SYSTEM}.{kind.table}"
        spec = TableSpec(name, kind.schema, description=kind.description)
        if (environment, kind.table) not in self._seen:
            there = self._catalog.create_table(self._identity(environment), spec, exists_ok=True)
            if any(name not in {c.name for c in there.columns} for name in kind.schema.names):
                self._widen(environment, name, kind.schema)
            self._seen[environment, kind.table] = self._catalog.folder(name).transaction_version(name) or 0
        copied = 0
        while rows := self._after(kind, self._seen[environment, kind.table]):
            number = kind.number(rows[-1])
            own = [_plain(row, kind) for row in rows if self._place(str(row["subject"])) == environment]
            if own:
                self._catalog.folder(name).append(pa.Table.from_pylist(own, kind.schema), (name, number))
            self._seen[environment, kind.table] = number
            copied += len(own)
        return copied

    def _widen(self, environment: str, name: str, schema: pa.Schema) -> None:
        """A table of an earlier version gets the columns that have come since."""
        folder = self._catalog.folder(name)
        folder.append(schema.empty_table(), evolve=True)
        self._catalog.follow_columns(self._identity(environment), name, column_types(folder.schema()))

    def _after(self, kind: Exported, number: int) -> Sequence[Mapping[str, Any]]:
        with self._database.reading() as connection:
            rows = connection.execute(kind.query.where(kind.after(number)).limit(_AT_ONCE))
            return [dict(row) for row in rows.mappings()]

    def _place(self, subject: str) -> str:
        found = _FIRST_LEVEL.match(subject)
        return found[1] if found and found[1] in self._environments else self._environments[-1]


def _plain(row: Mapping[str, Any], kind: Exported) -> dict[str, Any]:
    whole = {**row, **{name: derive(row) for name, derive in kind.derived.items()}}
    return {column.name: _value(whole[column.name], column.type) for column in kind.schema}


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is not None and kind == _TIME:
        return clock.parse_instant(value).astimezone(UTC)
    return json.dumps(value, sort_keys=True, default=str) if isinstance(value, dict) else value
