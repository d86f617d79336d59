"""The rows of what the catalog knows: found, added and removed, whoever asks."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.audit import Audit
from boathouse.catalog.held import note_change
from boathouse.catalog.lineage import KINDS as NODES
from boathouse.catalog.lineage import Lineage
from boathouse.catalog.places import Places
from boathouse.catalog.store import grants, pins, securables, share_tables
from boathouse.catalog.values import Securable, SecurableKind
from boathouse.database import Database
from boathouse.errors import AlreadyExists, NotFound
from boathouse.identity import Identity
from boathouse.lake import Storage


class SecurableRows:
    """Securables by kind and name. Nothing here authorizes."""

    def __init__(self, database: Database, audit: Audit, lineage: Lineage, places: Places) -> None:
        self._database = database
        self._audit = audit
        self._lineage = lineage
        self._places = places

    def find(self, kind: SecurableKind, name: str) -> Securable | None:
        """A securable, None where there is none of the name."""
        row = self.row(kind, name)
        return securable_of(row) if row else None

    def row(self, kind: SecurableKind, name: str) -> Any:
        """A securable as its row of `bh_securables`."""
        this = sa.select(securables).where(securables.c.kind == kind, securables.c.name == name)
        with self._database.reading() as connection:
            return connection.execute(this).mappings().first()

    def all(self, kind: SecurableKind, parent: str | None = None) -> list[Securable]:
        """Securables of a kind, by name."""
        query = sa.select(securables).where(securables.c.kind == kind).order_by(securables.c.name)
        if parent:
            query = query.where(securables.c.parent == parent)
        with self._database.reading() as connection:
            return [securable_of(row) for row in connection.execute(query).mappings()]

    def mentioning(self, kind: SecurableKind, text: str) -> Sequence[Any]:
        """Rows of a kind whose properties hold a text."""
        told = sa.cast(securables.c.properties, sa.Text).contains(text, autoescape=True)
        with self._database.reading() as connection:
            return connection.execute(sa.select(securables).where(securables.c.kind == kind, told)).mappings().all()

    def count(self, kind: SecurableKind, catalog: str) -> int:
        """How many securables of a kind a catalog holds."""
        inside = securables.c.name.startswith(f"{catalog}.", autoescape=True)
        with self._database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).where(securables.c.kind == kind, inside)).scalar_one()

    def add(self, kind: SecurableKind, name: str, parent: str, owner: str, comment: str = "",
            properties: Mapping[str, Any] | None = None) -> Securable:  # fmt: skip
        """A new securable. Raises AlreadyExists."""
        now = clock.now()
        with self._database.writing() as connection:
            known = sa.select(securables.c.name).where(securables.c.kind == kind, securables.c.name == name)
            if connection.execute(known).first():
                raise AlreadyExists(f"the {kind} {name} exists already", kind=kind)
            connection.execute(
                securables.insert().values(
                    kind=kind, name=name, parent=parent, owner=owner, comment=comment, properties=dict(properties or {}),
                    created_at=now, created_by=owner,
                )
            )
            note_change(connection, kind, name)
            self._audit.write(connection, owner, f"create {kind}", name)
        return Securable(kind, name, owner, comment, now, owner)

    def change_table(self, identity: Identity, name: str, changes: Mapping[str, Any], action: str) -> None:
        """Other properties, or another description, of a table. Raises NotFound."""
        this = (securables.c.kind == "table", securables.c.name == name)
        with self._database.writing() as connection:
            row = connection.execute(sa.select(securables).where(*this)).mappings().first()
            if row is None:
                raise no_table(name)
            properties = {**row["properties"], **{k: v for k, v in changes.items() if k != "description"}}
            comment = changes.get("description", row["comment"])
            connection.execute(securables.update().where(*this).values(properties=properties, comment=comment))
            self._audit.write(connection, identity.principal, action, name, {"fields": sorted(changes)})

    def remove(self, identity: Identity, kind: SecurableKind, name: str) -> None:
        """Forget a securable and what hangs on it: grants, shares, pins, lineage, and the files that are ours."""
        place = self._managed(kind, name)
        with self._database.writing() as connection:
            connection.execute(securables.delete().where(securables.c.kind == kind, securables.c.name == name))
            connection.execute(grants.delete().where(grants.c.kind == kind, grants.c.securable == name))
            self._places.release(connection, kind, name)
            note_change(connection, kind, name)
            self._audit.write(connection, identity.principal, f"drop {kind}", name)
            if kind == "table":  # the next of its name is not shared because this one was
                connection.execute(share_tables.delete().where(share_tables.c.table_name == name))
                connection.execute(pins.delete().where(pins.c.table_name == name))
            if kind in NODES:
                self._lineage.drop(name if kind == "table" else f"{kind}:{name}")
        if place:
            place.remove()

    def _managed(self, kind: SecurableKind, name: str) -> Storage | None:
        """The files that go with a securable."""
        row = self.row(kind, name)
        kept = row["properties"] if row else {}
        if kind not in ("table", "volume") or {"EXTERNAL", "VIEW"} & {kept.get("volume_type"), kept.get("table_type")}:
            return None
        return self._places.at(name, kept["location"])


def securable_of(row: Any) -> Securable:
    """A row of `bh_securables` as what callers see."""
    return Securable(row["kind"], row["name"], row["owner"], row["comment"], row["created_at"], row["created_by"])


def no_table(name: str) -> NotFound:
    """What to raise where no table has a name."""
    return NotFound(f"no table is named {name}; `boathouse tables list` shows those there are", kind="table", name=name)
