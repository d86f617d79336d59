"""Who may be made, let in and shown out, and by whom; every change is audited."""

from datetime import timedelta

from boathouse.catalog import METASTORE, AccessControl, Audit, Ownership, Securable
from boathouse.database import Database
from boathouse.environments import ENVIRONMENTS, service_principal
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identities, Identity, Lifetime, Principal, PrincipalKind, Token

_KEPT = frozenset({"admins", *(service_principal(e) for e in ENVIRONMENTS)})
"""Principals without which nothing runs."""


class People:
    """Principals, groups and tokens under the caller's privileges: MANAGE on the metastore, or on a service principal."""

    def __init__(self, database: Database, identities: Identities, access: AccessControl, ownership: Ownership,
                 audit: Audit, lifetime: Lifetime, operator: str) -> None:  # fmt: skip
        self._database = database
        self._identities = identities
        self._access = access
        self._ownership = ownership
        self._audit = audit
        self.lifetime = lifetime
        self._operator = operator

    def create(self, who: Identity, name: str, kind: PrincipalKind) -> Principal:
        """A new user, group or service principal. Raises AlreadyExists."""
        self.check_admin(who)
        with self._database.writing() as connection:
            made = self._identities.create(name, kind)
            self._audit.write(connection, who.principal, f"create {kind.replace('_', ' ')}", name)
        return made

    def add_member(self, who: Identity, group: str, member: str) -> None:
        """Put a principal into a group."""
        self.check_admin(who)
        with self._database.writing() as connection:
            self._identities.add_member(group, member)
            self._audit.write(connection, who.principal, "add member", group, {"member": member})

    def remove_member(self, who: Identity, group: str, member: str) -> None:
        """Take a principal out of a group. Raises NotFound when it is not in it."""
        self.check_admin(who)
        with self._database.writing() as connection:
            self._identities.remove_member(group, member)
            self._audit.write(connection, who.principal, "remove member", group, {"member": member})

    def disable(self, who: Identity, name: str) -> None:
        """Let a principal in no more; its tokens and sessions end now. Raises Conflict for oneself and the operator."""
        self.check_admin(who)
        self._check_dispensable(who, name, "disabled")
        with self._database.writing() as connection:
            self._identities.disable(name)
            self._audit.write(connection, who.principal, "disable principal", name)

    def enable(self, who: Identity, name: str) -> None:
        """Let a disabled principal in again; it needs new tokens."""
        self.check_admin(who)
        with self._database.writing() as connection:
            self._identities.enable(name)
            self._audit.write(connection, who.principal, "enable principal", name)

    def delete(self, who: Identity, name: str, to: str | None = None) -> int:
        """Forget a principal; what it owns goes to `to`. How many securables moved.

        Raises NotFound, and Conflict, naming what it owns, when nobody is to have that.
        """
        self.check_admin(who)
        self._identities.get(name)
        self._check_dispensable(who, name, "deleted")
        if to is not None and self._identities.get(to).name == name:
            raise InvalidInput(f"{name} cannot leave what it owns to itself")
        with self._database.writing() as connection:
            moved = self._ownership.part_with(who.principal, name, to)
            self._identities.delete(name)
            self._audit.write(connection, who.principal, "delete principal", name, {"to": to, "moved": moved})
        return moved

    def issue(self, who: Identity, principal: str | None = None, *, comment: str = "", lifetime: timedelta | None = None,
              environment: str | None = None, origin: str = "") -> str:  # fmt: skip
        """A new token's secret for oneself, or for whom one manages.

        Raises NotPermitted, and InvalidInput for a lifetime beyond the maximum or an unknown environment.
        """
        if who.via in ("run", "workload"):
            raise NotPermitted(f"a {who.via} cannot make tokens")
        if environment is not None and environment not in ENVIRONMENTS:
            raise InvalidInput(f"there is no environment {environment!r}; there are {', '.join(ENVIRONMENTS)}")
        if who.bound and environment != who.environment:
            raise NotPermitted(f"a token for {who.environment} makes tokens for {who.environment} only")
        target = principal or who.principal
        if target != who.principal:
            self.check_manages(who, target)
        span = self.lifetime.choose(lifetime)
        with self._database.writing() as connection:
            made = self._identities.issue(target, comment=comment, lifetime=span, environment=environment,
                                          by=who.principal, origin=origin)  # fmt: skip
            self._audit.write(connection, who.principal, "create token", target,
                              {"comment": comment, "days": span.total_seconds() / 86400, "environment": environment})  # fmt: skip
        return made

    def tokens(self, who: Identity, principal: str | None = None, *, everyone: bool = False) -> list[Token]:
        """One's own tokens, those of whom one manages, or everyone's."""
        if everyone:
            self.check_admin(who)
            return self._identities.tokens()
        if principal not in (None, who.principal):
            self.check_manages(who, principal)
        return self._identities.tokens(principal or who.principal)

    def revoke(self, who: Identity, token_id: str) -> Token:
        """Make a token worthless at once: one's own, or one of whom one manages. Raises NotFound for any other."""
        found = self._identities.token(token_id)
        if found.principal != who.principal and not self.manages(who, found.principal):
            raise NotFound(f"no token has the id {token_id!r}; `boathouse tokens list` shows them")
        with self._database.writing() as connection:
            self._identities.revoke(token_id)
            self._audit.write(connection, who.principal, "revoke token", token_id, {"principal": found.principal})
        return found

    def owned(self, who: Identity, principal: str) -> list[Securable]:
        """What a principal owns; for admins, others learn nothing of it."""
        return self._ownership.owned(principal) if self.is_admin(who) else []

    def manages(self, who: Identity, name: str) -> bool:
        """Whether the caller may act for a principal: an admin for all, who was granted MANAGE for a service principal."""
        if self.is_admin(who):
            return True
        found = self._identities.find(name)
        service = found is not None and found.kind == "service_principal"
        return service and self._access.allows(who, "MANAGE", "service_principal", name)

    def check_manages(self, who: Identity, name: str) -> None:
        """Pass when `manages`. Raises NotFound, NotPermitted, and records the denial."""
        if not self.manages(who, name):
            service = self._identities.get(name).kind == "service_principal"
            kind, securable = ("service_principal", name) if service else ("metastore", METASTORE)
            self._access.authorize(who, "MANAGE", kind, securable)  # type: ignore[arg-type]

    def is_admin(self, who: Identity) -> bool:
        """Whether the caller may change who there is."""
        return self._access.allows(who, "MANAGE", "metastore", METASTORE)

    def check_admin(self, who: Identity) -> None:
        """Pass for who holds MANAGE on the metastore, as members of admins do. Raises NotPermitted, and records the denial."""
        self._access.authorize(who, "MANAGE", "metastore", METASTORE)

    def _check_dispensable(self, who: Identity, name: str, what: str) -> None:
        if name == who.principal:
            raise Conflict(f"you are {name}: let another admin do that")
        if name == self._operator:
            raise Conflict(f"{name} cannot be {what}: whoever owns the files of this home is its operator")
        if name in _KEPT:
            raise Conflict(f"{name} cannot be {what}: this installation needs it")
