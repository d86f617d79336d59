"""Principals, groups and tokens. A token is stored only as its SHA-256 digest."""

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import get_args

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, Unauthenticated
from boathouse.identity.store import members, principals, tokens
from boathouse.identity.values import Identity, Principal, PrincipalKind, Token

_PREFIX = "bh_"


class Identities:
    """The people, groups and services that this installation knows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str, kind: PrincipalKind) -> Principal:
        """A new principal. Raises AlreadyExists, InvalidInput."""
        if kind not in get_args(PrincipalKind):
            raise InvalidInput(f"{kind!r} is no kind of principal; they are {', '.join(get_args(PrincipalKind))}")
        if not name or len(name) > 255:
            raise InvalidInput("a principal needs a name of at most 255 characters")
        with self._database.writing() as connection:
            if connection.execute(sa.select(principals).where(principals.c.name == name)).first():
                raise AlreadyExists(f"the principal {name!r} exists already")
            connection.execute(principals.insert().values(name=name, kind=kind))
        return Principal(name, kind)

    def ensure(self, name: str, kind: PrincipalKind) -> Principal:
        """The principal, made if it is new."""
        try:
            return self.create(name, kind)
        except AlreadyExists:
            return self.get(name)

    def get(self, name: str) -> Principal:
        """One principal. Raises NotFound."""
        found = [p for p in self.principals() if p.name == name]
        if not found:
            raise NotFound(f"no principal is named {name!r}; `boathouse principals list` shows them")
        return found[0]

    def principals(self, kind: PrincipalKind | None = None) -> list[Principal]:
        """All principals, groups with their members."""
        with self._database.reading() as connection:
            inside: dict[str, list[str]] = {}
            for group, member in connection.execute(sa.select(members.c.group_name, members.c.member)):
                inside.setdefault(group, []).append(member)
            rows = connection.execute(sa.select(principals).order_by(principals.c.name)).all()
        return [Principal(n, k, tuple(sorted(inside.get(n, ())))) for n, k in rows if kind in (None, k)]

    def add_member(self, group: str, member: str) -> None:
        """Put a principal into a group. Raises NotFound."""
        if self.get(group).kind != "group":
            raise InvalidInput(f"{group!r} is no group")
        self.get(member)
        with self._database.writing() as connection:
            known = sa.select(members).where(members.c.group_name == group, members.c.member == member)
            if not connection.execute(known).first():
                connection.execute(members.insert().values(group_name=group, member=member))

    def remove_member(self, group: str, member: str) -> None:
        """Take a principal out of a group."""
        with self._database.writing() as connection:
            connection.execute(
                members.delete().where(members.c.group_name == group, members.c.member == member)
            )

    def groups_of(self, principal: str) -> frozenset[str]:
        """Every group that holds the principal, directly or through another group."""
        with self._database.reading() as connection:
            pairs = connection.execute(sa.select(members.c.group_name, members.c.member)).all()
        found: set[str] = set()
        wanted = {principal}
        while wanted:
            wanted = {g for g, m in pairs if m in wanted} - found
            found |= wanted
        return frozenset(found)

    def issue(self, principal: str, *, comment: str = "", lifetime: timedelta | None = None,
              environment: str | None = None, run_id: str | None = None, commit: str | None = None,
              scratch: str | None = None) -> str:  # fmt: skip
        """A new token's secret, shown this once."""
        self.get(principal)
        secret = _PREFIX + secrets.token_urlsafe(32)
        now = clock.now()
        with self._database.writing() as connection:
            connection.execute(
                tokens.insert().values(
                    id=secrets.token_hex(8), digest=_digest(secret), principal=principal, comment=comment,
                    created_at=now, expires_at=None if lifetime is None else now + lifetime, environment=environment,
                    run_id=run_id, commit_id=commit, scratch=scratch,
                )
            )
        return secret

    def authenticate(self, secret: str | None) -> Identity:
        """Whose token this is. Raises Unauthenticated for none, an unknown or an expired one."""
        if not secret:
            raise Unauthenticated("a token is needed: run `boathouse login URL`, or set BOATHOUSE_TOKEN")
        with self._database.reading() as connection:
            row = connection.execute(sa.select(tokens).where(tokens.c.digest == _digest(secret))).mappings().first()
        if row is None or (row["expires_at"] and _utc(row["expires_at"]) < clock.now()):
            raise Unauthenticated("the token is unknown, revoked or expired; run `boathouse login URL` again")
        return Identity(row["principal"], self.groups_of(row["principal"]), row["environment"], row["run_id"],
                        row["commit_id"], row["scratch"])  # fmt: skip

    def tokens(self, principal: str | None = None) -> list[Token]:
        """Tokens that people made, newest first; run-scoped ones are left out."""
        query = sa.select(tokens).where(tokens.c.run_id.is_(None)).order_by(tokens.c.created_at.desc())
        if principal:
            query = query.where(tokens.c.principal == principal)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            Token(r["id"], r["principal"], r["comment"], r["created_at"], r["expires_at"], r["run_id"], r["environment"])
            for r in rows
        ]

    def revoke(self, token_id: str, principal: str | None = None) -> None:
        """Make a token worthless at once. Raises NotFound."""
        condition = tokens.c.id == token_id
        if principal:
            condition &= tokens.c.principal == principal
        with self._database.writing() as connection:
            if not connection.execute(tokens.delete().where(condition)).rowcount:
                raise NotFound(f"no token has the id {token_id!r}")

    def revoke_run(self, run_id: str) -> None:
        """Make a run's tokens worthless: they die with the run."""
        with self._database.writing() as connection:
            connection.execute(tokens.delete().where(tokens.c.run_id == run_id))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
