"""What a principal owns and was granted: handed over, or refused to be lost, when the principal goes."""

import sqlalchemy as sa

from boathouse.catalog.audit import Audit
from boathouse.catalog.held import note_change
from boathouse.catalog.store import grants, securables, share_tokens
from boathouse.catalog.values import Securable
from boathouse.database import Database
from boathouse.errors import Conflict


class Ownership:
    """Asks and changes who owns securables, for all of one principal's at once."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def owned(self, principal: str) -> list[Securable]:
        """What a principal owns, by name."""
        query = sa.select(securables).where(securables.c.owner == principal).order_by(securables.c.name)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Securable(r["kind"], r["name"], r["owner"], r["comment"], r["created_at"], r["created_by"]) for r in rows]

    def part_with(self, by: str, principal: str, to: str | None) -> int:
        """Hand all that a principal owns to another, and drop its grants; how many securables moved.

        Raises Conflict, naming them, when it owns something and nobody is to have it.
        """
        with self._database.writing() as connection:
            owned = self.owned(principal)
            if owned and to is None:
                some = ", ".join(f"{s.kind} {s.name}" for s in owned[:5]) + (", …" if len(owned) > 5 else "")
                raise Conflict(
                    f"{principal} owns {len(owned)} securables ({some}); name who shall have them with --to",
                    owned=[{"kind": s.kind, "name": s.name} for s in owned],
                )
            for securable in owned:
                which = (securables.c.kind == securable.kind, securables.c.name == securable.name)
                connection.execute(sa.update(securables).where(*which).values(owner=to))
                note_change(connection, securable.kind, securable.name)
                self._audit.write(connection, by, f"alter {securable.kind}", securable.name,
                                  {"owner": to, "former_owner": principal})  # fmt: skip
            lost = sa.or_(grants.c.principal == principal,
                          sa.and_(grants.c.kind == "service_principal", grants.c.securable == principal))  # fmt: skip
            for kind, name in connection.execute(sa.select(grants.c.kind, grants.c.securable).where(lost).distinct()).all():
                note_change(connection, kind, name)
            connection.execute(grants.delete().where(lost))
            connection.execute(share_tokens.delete().where(share_tokens.c.principal == principal))
        return len(owned)
