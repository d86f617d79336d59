"""The one `authorize`: asks what is known of a securable and its parents, and records what it refuses."""

from collections.abc import Iterable

import sqlalchemy as sa

from boathouse.catalog import privileges
from boathouse.catalog.audit import Audit
from boathouse.catalog.held import HeldSecurables, Key, note_change
from boathouse.catalog.privileges import METASTORE, Line, Reason, Step
from boathouse.catalog.quarantine import guarded_alike
from boathouse.catalog.read_counts import COUNTED
from boathouse.catalog.store import grants, securables
from boathouse.catalog.values import Grant, SecurableKind
from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.names import in_scratch

_ABOVE = ("metastore", "service_principal")

Missing = tuple[str, str]
"""(privilege, securable) that is lacking."""


class AccessControl:
    """Grants of privileges on securables, and their owners."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._held = HeldSecurables(database)

    def authorize(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> None:
        """Return when the identity holds the privilege. Raises NotPermitted, and records the denial."""
        lacking = self.missing(identity, privilege, kind, name)
        if lacking is not None:
            self.refuse(identity, privilege, kind, name, lacking)
        if privilege in COUNTED:
            self._audit.count_read(identity.principal, privilege, name)

    def recall(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> bool:
        """Whether memory tells, without waiting for the database, that the privilege is held; `authorize` is asked otherwise.

        It is for kinds other than jobs and for identities that are bound to no throw-away schema.
        """
        line = self._held.at_hand(privileges.chain(kind, name))
        if line is None or identity.scratch or _out_of_bounds(identity, kind, name):
            return False
        if privileges.missing(privilege, line, identity.names) is not None:
            return False
        if privilege in COUNTED:
            self._audit.count_read(identity.principal, privilege, name)
        return True

    def authorize_grant(self, identity: Identity, kind: SecurableKind, name: str) -> None:
        """Return when the identity may grant, revoke and hand over there: an owner of it or above, or with MANAGE.

        Raises NotPermitted, and records the denial.
        """
        if not self.may_grant(identity, kind, name):
            self.refuse(identity, "MANAGE", kind, name, self.missing(identity, "MANAGE", kind, name) or ("MANAGE", name))

    def refuse(self, identity: Identity, privilege: str, kind: str, name: str, lacking: Missing) -> None:
        """Record a denial and raise NotPermitted, which says what is lacking and who can mend it.

        Raises NotFound for a catalog that is not there, and what would be in it.
        """
        if lacking[0] == "USE CATALOG":
            self.check_catalog(identity, lacking[1])
        self._audit.deny(identity.principal, f"denied {privilege}", name, {"missing": list(lacking)})
        if _out_of_bounds(identity, kind, name):
            raise NotPermitted(
                f"this token of {identity.principal} is for {identity.environment} alone, and {name} is outside",
                missing={"privilege": lacking[0], "securable": lacking[1]},
            )
        if identity.scratch:
            raise NotPermitted(
                f"{identity.principal} lacks {lacking[0]} on {lacking[1]}: the run reaches its throw-away schemas alone",
                missing={"privilege": lacking[0], "securable": lacking[1]},
            )
        raise NotPermitted(
            f"{identity.principal} lacks {lacking[0]} on {lacking[1]}; an owner can run "
            f"`boathouse grants add '{lacking[0]}' {_option(kind, name, lacking[1])} --to {identity.principal}`",
            missing={"privilege": lacking[0], "securable": lacking[1]},
        )

    def check_catalog(self, identity: Identity, name: str) -> None:
        """Pass when there is an environment or a catalog of the name. Raises NotFound, naming those that the identity sees."""
        if self._line("catalog", name)[0].owner is not None:
            return
        with self._database.reading() as connection:
            there = sa.select(securables.c.name).where(securables.c.kind == "catalog").order_by(securables.c.name)
            known = [c for c in connection.execute(there).scalars() if self.sees(identity, "catalog", c)]
        raise NotFound(f"there is no environment or catalog {name!r}; you may see {', '.join(known) or 'none'}")

    def allows(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> bool:
        """Whether the identity holds the privilege; records nothing."""
        return self.missing(identity, privilege, kind, name) is None

    def missing(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> Missing | None:
        """The (privilege, securable) that is lacking."""
        privilege = privileges.normal(privilege)
        if identity.scratch:
            return _missing_in_scratch(identity, privilege, kind, name)
        if _out_of_bounds(identity, kind, name):
            return privilege, name
        return privileges.missing(privilege, self._line(kind, name), identity.names)

    def may_grant(self, identity: Identity, kind: SecurableKind, name: str) -> bool:
        """Whether the identity may grant, revoke and hand over there."""
        if identity.scratch or _out_of_bounds(identity, kind, name):
            return False
        return privileges.may_grant(self._line(kind, name), identity.names)

    def sees(self, identity: Identity, kind: SecurableKind, name: str) -> bool:
        """Whether the identity may know that this exists; records nothing."""
        if identity.scratch:
            seen_by = privileges.SEEN_BY[kind]
            return any(_missing_in_scratch(identity, p, kind, name) is None for p in seen_by)
        return not _out_of_bounds(identity, kind, name) and privileges.sees(self._line(kind, name), identity.names)

    def explain(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> list[Step]:
        """Each privilege that the question takes, and by which grant or ownership the identity holds it."""
        return privileges.explain(privileges.normal(privilege), self._line(kind, name), identity.names)

    def effective(self, kind: SecurableKind, name: str) -> list[Reason]:
        """Who holds what on a securable, and from where it is inherited."""
        return privileges.effective(self._line(kind, name))

    def prefetch(self, keys: Iterable[Key]) -> None:
        """Read what is known of many securables at once, for the questions that follow."""
        self._held.prefetch(keys)

    def grant(self, by: str, principals: Iterable[str], wanted: Iterable[str], kind: SecurableKind, name: str) -> None:
        """Give privileges; what is held already stays. Raises InvalidInput for one that means nothing there."""
        rows = [(p, privileges.normal(w)) for p in principals for w in wanted]
        for _, privilege in rows:
            privileges.check_grantable(privilege, kind)
        with self._database.writing():
            for alike in guarded_alike(self._database, kind, name):
                self._grant(by, rows, kind, alike)

    def _grant(self, by: str, rows: list[tuple[str, str]], kind: str, name: str) -> None:
        with self._database.writing() as connection:
            held = {
                (r.principal, r.privilege)
                for r in connection.execute(
                    sa.select(grants.c.principal, grants.c.privilege).where(
                        grants.c.kind == kind, grants.c.securable == name
                    )
                )
            }
            new = [row for row in dict.fromkeys(rows) if row not in held]
            for principal, privilege in new:
                connection.execute(
                    grants.insert().values(principal=principal, privilege=privilege, kind=kind, securable=name)
                )
                self._audit.write(connection, by, "grant", name, {"principal": principal, "privilege": privilege})
            if new:
                note_change(connection, kind, name)

    def revoke(self, by: str, principal: str, privilege: str, kind: SecurableKind, name: str) -> None:
        """Take a privilege away; holds at once, in every process on the database."""
        with self._database.writing():
            for alike in guarded_alike(self._database, kind, name):
                self._revoke(by, principal, privileges.normal(privilege), kind, alike)

    def _revoke(self, by: str, principal: str, privilege: str, kind: str, name: str) -> None:
        with self._database.writing() as connection:
            connection.execute(
                grants.delete().where(
                    grants.c.principal == principal, grants.c.privilege == privilege,
                    grants.c.kind == kind, grants.c.securable == name,
                )
            )
            note_change(connection, kind, name)
            self._audit.write(connection, by, "revoke", name, {"principal": principal, "privilege": privilege})

    def grants(self, kind: SecurableKind | None = None, name: str | None = None, principal: str | None = None) -> list[Grant]:
        """Grants: all, or those on one securable, or to one principal."""
        query = sa.select(grants).order_by(grants.c.securable, grants.c.principal, grants.c.privilege)
        if kind:
            query = query.where(grants.c.kind == kind)
        if name:
            query = query.where(grants.c.securable == name)
        if principal:
            query = query.where(grants.c.principal == principal)
        with self._database.reading() as connection:
            return [Grant(r.principal, r.privilege, r.kind, r.securable) for r in connection.execute(query)]

    def granted_on(self, identity: Identity, kind: SecurableKind) -> list[str]:
        """The securables of a kind that grants to the identity, or to its groups, name."""
        where = (grants.c.kind == kind, grants.c.principal.in_(identity.names))
        with self._database.reading() as connection:
            return list(connection.execute(sa.select(grants.c.securable).where(*where).distinct()).scalars())

    def ever_granted(self, principal: str, privilege: str, kind: SecurableKind, name: str) -> bool:
        """Whether a privilege is held by a grant of its own, or was at any time, as the audit log tells."""
        if any(g.privilege == privilege for g in self.grants(kind, name, principal)):
            return True
        return self._audit.tells("grant", name, {"principal": principal, "privilege": privilege})

    def _line(self, kind: str, name: str) -> Line:
        if kind not in privileges.PARENTS:
            raise InvalidInput(f"{kind!r} is no kind of securable; they are {', '.join(privileges.PARENTS)}")
        if kind != "job":
            return self._held.line(privileges.chain(kind, name))
        (job,) = self._held.line((("job", name),))
        return self._held.line(privileges.chain(kind, name, job.project))


def _missing_in_scratch(identity: Identity, privilege: str, kind: str, name: str) -> Missing | None:
    # code under test reaches its own throw-away schemas in its environment, and nothing else
    levels = name.split(".")
    inside = levels[0] == identity.environment and len(levels) > 1 and in_scratch(levels[1], identity.scratch or "")
    home = name == identity.environment and privilege in ("USE CATALOG", "CREATE SCHEMA", "RUN", "DEPLOY")
    if (inside and privilege != "MANAGE") or (home and kind == "catalog"):
        return None
    return privilege, name


def _out_of_bounds(identity: Identity, kind: str, name: str) -> bool:
    # a token that was made for one environment is good for nothing else, whatever its owner may do
    return identity.bound and (kind in _ABOVE or name.partition(".")[0] != identity.environment)


def _option(kind: str, name: str, lacking: str) -> str:
    if lacking == METASTORE:
        return "--metastore"
    where = kind if lacking == name else ("catalog" if "." not in lacking else "schema")
    return f"--{where.replace('_', '-')} {lacking}"
