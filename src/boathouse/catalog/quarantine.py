"""The table beside a table that keeps the rows which failed its expectations, and the counts of every batch."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.held import note_change
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.store import grants, securables
from boathouse.database import Database
from boathouse.errors import Conflict
from boathouse.identity import Identity
from boathouse.lake import column_types, text

if TYPE_CHECKING:
    from boathouse.catalog.service import Catalog

FAILED = "_failed"
_BATCH, _NUMBER, _RUN, _AT = "_batch", "_number", "_run", "_quarantined_at"
_CHECKED = "check expectations"
_SHOWN = 10


def quarantine_of(name: str) -> str:
    """What the quarantine of a table is called."""
    return f"{name}_quarantine"


class Quarantine:
    """Keeps rows aside. It has the owner, the grants, the masks and the filter of its table, and goes with it."""

    def __init__(self, catalog: "Catalog", database: Database) -> None:
        self._catalog = catalog
        self._database = database

    def keep(self, identity: Identity, name: str, rows: pa.Table, batch: str, number: int) -> None:
        """Keep a batch's rows in place of what it, or a later number that was never written, left before.

        Whoever calls has authorized MODIFY on the table. Raises Conflict where another table has the name.
        """
        self._ensure(identity, name, rows.schema)
        count = rows.num_rows
        added = {_BATCH: pa.array([batch] * count, pa.string()), _NUMBER: pa.array([number] * count, pa.int64()),
                 _RUN: pa.array([identity.run_id] * count, pa.string()),
                 _AT: pa.array([clock.now()] * count, pa.timestamp("us", "UTC"))}  # fmt: skip
        for column, values in added.items():
            rows = rows.append_column(column, values)
        written = self._catalog.folder(name).transaction_version(batch)
        pending = f" AND ({_NUMBER} = {number:d} OR {_NUMBER} > {-1 if written is None else written:d})"
        folder = self._catalog.folder(quarantine_of(name))
        commit = folder.overwrite(rows, f"{_BATCH} = {text(batch)}{pending}", evolve=True)
        self._catalog.note_write(identity, quarantine_of(name), commit.version, commit.operation, ((name, None),),
                                 column_types(folder.schema()))  # fmt: skip

    def note(self, identity: Identity, name: str, result: Mapping[str, Any]) -> None:
        """Remember what became of a batch; whoever calls has authorized MODIFY on the table."""
        with self._database.writing() as connection:
            self._catalog.audit.write(connection, identity.principal, _CHECKED, name,
                                      {**result, "run": identity.run_id})  # fmt: skip

    def results(self, name: str) -> list[dict[str, Any]]:
        """What became of the newest batches, newest first."""
        found = self._catalog.audit.entries(_SHOWN, name, action=_CHECKED)
        return [{"at": e.at.isoformat(), **e.details} for e in found]

    def _ensure(self, identity: Identity, name: str, schema: pa.Schema) -> None:
        beside = quarantine_of(name)
        if self._catalog.exists("table", beside):
            if not is_quarantine(self._database, beside):
                raise Conflict(f"rows of {name} have to be kept in {beside}, but that is another table: rename or drop it")
            return
        more = [(FAILED, pa.list_(pa.string())), (_BATCH, pa.string()), (_NUMBER, pa.int64()), (_RUN, pa.string()),
                (_AT, pa.timestamp("us", "UTC"))]  # fmt: skip
        fields = [*schema, *(pa.field(n, t) for n, t in more if n not in schema.names)]
        self._catalog.create_beside(identity, name, TableSpec(
            beside, pa.schema(fields), description=f"rows that failed the expectations of {name}",
        ), {"quarantine_of": name})  # fmt: skip


def is_quarantine(database: Database, name: str) -> bool:
    """Whether a table is the quarantine of another."""
    with database.reading() as connection:
        kept = connection.execute(
            sa.select(securables.c.properties).where(securables.c.kind == "table", securables.c.name == name)
        ).scalar()
    return bool(kept and kept.get("quarantine_of"))


def guarded_alike(database: Database, kind: str, name: str) -> list[str]:
    """The securable, and the quarantine that has the same grants, owner and masks."""
    beside = quarantine_of(name)
    return [name, beside] if kind == "table" and is_quarantine(database, beside) else [name]


def inherit(connection: sa.Connection, name: str, beside: str) -> None:
    """Give the quarantine the grants of its table."""
    held = sa.select(grants.c.principal, grants.c.privilege).where(grants.c.kind == "table", grants.c.securable == name)
    for principal, privilege in connection.execute(held).all():
        connection.execute(grants.insert().values(principal=principal, privilege=privilege, kind="table", securable=beside))
    note_change(connection, "table", beside)
