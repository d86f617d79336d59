"""The one `authorize`, over grants and owners held in memory; the home has one owner, so they stay true."""

import threading
from collections.abc import Iterable

import sqlalchemy as sa

from boathouse.catalog import privileges
from boathouse.catalog.audit import Audit
from boathouse.catalog.store import grants, securables
from boathouse.catalog.values import Grant, SecurableKind
from boathouse.database import Database
from boathouse.errors import NotPermitted
from boathouse.identity import Identity
from boathouse.names import in_scratch

_NOBODY: frozenset[str] = frozenset()
_ABOVE = ("metastore", "service_principal")


class AccessControl:
    """Grants of privileges on securables."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit
        self._lock = threading.Lock()
        self._grants: dict[tuple[str, str, str], frozenset[str]] | None = None
        self._owners: dict[tuple[str, str], str] = {}

    def authorize(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> None:
        """Return when the identity holds the privilege. Raises NotPermitted, and records the denial."""
        lacking = self.missing(identity, privilege, kind, name)
        if lacking is None:
            return
        self._audit.record(identity.principal, f"denied {privilege}", name, {"missing": list(lacking)}, "denied")
        if _out_of_bounds(identity, kind, name):
            raise NotPermitted(
                f"this token of {identity.principal} is for {identity.environment} alone, and {name} is outside",
                missing={"privilege": lacking[0], "securable": lacking[1]},
            )
        raise NotPermitted(
            f"{identity.principal} lacks {lacking[0]} on {lacking[1]}; an owner can run "
            f"`boathouse grants add '{lacking[0]}' --{_flag(kind, name, lacking[1])} {lacking[1]} --to {identity.principal}`",
            missing={"privilege": lacking[0], "securable": lacking[1]},
        )

    def allows(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> bool:
        """Whether the identity holds the privilege; records nothing."""
        return self.missing(identity, privilege, kind, name) is None

    def missing(self, identity: Identity, privilege: str, kind: SecurableKind, name: str) -> tuple[str, str] | None:
        """The (privilege, securable) that is lacking."""
        privilege = privileges.normal(privilege)
        if identity.scratch:
            return _missing_in_scratch(identity, privilege, kind, name)
        if _out_of_bounds(identity, kind, name):
            return privilege, name
        holders, owners = self._loaded()
        return privileges.missing(
            privilege,
            privileges.chain(kind, name),
            identity.names,
            lambda p, k, n: holders.get((p, k, n), _NOBODY),
            lambda k, n: owners.get((k, n)),
        )

    def grant(self, by: str, principals: Iterable[str], wanted: Iterable[str], kind: SecurableKind, name: str) -> None:
        """Give privileges; what is held already stays."""
        rows = [(p, privileges.normal(w)) for p in principals for w in wanted]
        with self._database.writing() as connection:
            held = {
                (r.principal, r.privilege)
                for r in connection.execute(
                    sa.select(grants.c.principal, grants.c.privilege).where(
                        grants.c.kind == kind, grants.c.securable == name
                    )
                )
            }
            for principal, privilege in rows:
                if (principal, privilege) in held:
                    continue
                connection.execute(
                    grants.insert().values(principal=principal, privilege=privilege, kind=kind, securable=name)
                )
                self._audit.write(connection, by, "grant", name, {"principal": principal, "privilege": privilege})
        self.forget()

    def revoke(self, by: str, principal: str, privilege: str, kind: SecurableKind, name: str) -> None:
        """Take a privilege away; holds at once."""
        privilege = privileges.normal(privilege)
        with self._database.writing() as connection:
            connection.execute(
                grants.delete().where(
                    grants.c.principal == principal, grants.c.privilege == privilege,
                    grants.c.kind == kind, grants.c.securable == name,
                )
            )
            self._audit.write(connection, by, "revoke", name, {"principal": principal, "privilege": privilege})
        self.forget()

    def grants(self, kind: SecurableKind | None = None, name: str | None = None) -> list[Grant]:
        """Grants, of one securable or all."""
        query = sa.select(grants).order_by(grants.c.securable, grants.c.principal, grants.c.privilege)
        if kind:
            query = query.where(grants.c.kind == kind)
        if name:
            query = query.where(grants.c.securable == name)
        with self._database.reading() as connection:
            return [Grant(r.principal, r.privilege, r.kind, r.securable) for r in connection.execute(query)]

    def forget(self) -> None:
        """Read grants and owners anew at the next question."""
        with self._lock:
            self._grants = None

    def _loaded(self) -> tuple[dict[tuple[str, str, str], frozenset[str]], dict[tuple[str, str], str]]:
        with self._lock:
            if self._grants is None:
                held: dict[tuple[str, str, str], set[str]] = {}
                with self._database.reading() as connection:
                    for row in connection.execute(sa.select(grants)):
                        held.setdefault((row.privilege, row.kind, row.securable), set()).add(row.principal)
                    owned = connection.execute(sa.select(securables.c.kind, securables.c.name, securables.c.owner))
                    self._owners = {(r.kind, r.name): r.owner for r in owned}
                self._grants = {k: frozenset(v) for k, v in held.items()}
            return self._grants, self._owners


def _missing_in_scratch(identity: Identity, privilege: str, kind: str, name: str) -> tuple[str, str] | None:
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


def _flag(kind: str, name: str, lacking: str) -> str:
    return kind if lacking == name else ("catalog" if "." not in lacking else "schema")
