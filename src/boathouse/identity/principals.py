"""Users, groups and service principals: who there is, who is in which group, who may come in at all."""

from collections.abc import Sequence
from datetime import datetime
from typing import get_args

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound
from boathouse.identity.kept import Kept, note_change
from boathouse.identity.store import external_users, members, passwords, principals, sessions, tokens, workloads
from boathouse.identity.values import EVERYBODY, Principal, PrincipalKind


class Principals:
    """The people, groups and services that this installation knows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._groups: Kept[frozenset[str]] = Kept(database)

    def create(self, name: str, kind: PrincipalKind) -> Principal:
        """A new principal. Raises AlreadyExists, InvalidInput."""
        if kind not in get_args(PrincipalKind):
            raise InvalidInput(f"{kind!r} is no kind of principal; they are {', '.join(get_args(PrincipalKind))}")
        if not name.strip(" .") or len(name) > 255 or not name.isprintable() or "/" in name:
            raise InvalidInput("a principal needs a name of at most 255 printable characters, no slash, not dots alone")
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

    def find(self, name: str) -> Principal | None:
        """One principal, if it is there."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(principals).where(principals.c.name == name)).mappings().first()
            inside = sa.select(members.c.member).where(members.c.group_name == name).order_by(members.c.member)
            found = connection.execute(inside).scalars().all() if row and row["kind"] == "group" else ()
        return _principal(row, found) if row else None

    def get(self, name: str) -> Principal:
        """One principal. Raises NotFound."""
        if found := self.find(name):
            return found
        raise NotFound(f"no principal is named {name!r}; `boathouse principals list` shows them")

    def principals(self, kind: PrincipalKind | None = None) -> list[Principal]:
        """All principals, groups with their members."""
        with self._database.reading() as connection:
            inside: dict[str, list[str]] = {}
            for group, member in connection.execute(sa.select(members.c.group_name, members.c.member)):
                inside.setdefault(group, []).append(member)
            rows = connection.execute(sa.select(principals).order_by(principals.c.name)).mappings().all()
        return [_principal(r, sorted(inside.get(r["name"], ()))) for r in rows if kind in (None, r["kind"])]

    def add_member(self, group: str, member: str) -> None:
        """Put a principal into a group. Raises NotFound."""
        if self.get(group).kind != "group":
            raise InvalidInput(f"{group!r} is no group")
        if group == EVERYBODY:
            raise InvalidInput(f"everybody is in {group!r} as it is")
        self.get(member)
        with self._database.writing() as connection:
            known = sa.select(members).where(members.c.group_name == group, members.c.member == member)
            if not connection.execute(known).first():
                connection.execute(members.insert().values(group_name=group, member=member))
                note_change(connection)

    def remove_member(self, group: str, member: str) -> None:
        """Take a principal out of a group. Raises NotFound when it is not in it."""
        which = members.delete().where(members.c.group_name == group, members.c.member == member)
        with self._database.writing() as connection:
            if not connection.execute(which).rowcount:
                raise NotFound(f"{member} is not in {group}; `boathouse groups list` shows who is")
            note_change(connection)

    def groups_of(self, principal: str) -> frozenset[str]:
        """Every group that holds the principal, directly or through another group."""
        kept, epoch = self._groups.get(principal)
        if kept is None:
            kept = self._closure(principal)
            self._groups.put(principal, kept, epoch)
        return kept

    def _closure(self, principal: str) -> frozenset[str]:
        found: set[str] = set()
        wanted = {principal}
        with self._database.reading() as connection:
            while wanted:
                holding = sa.select(members.c.group_name).where(members.c.member.in_(wanted))
                wanted = set(connection.execute(holding).scalars()) - found
                found |= wanted
        return frozenset(found)

    def disable(self, name: str) -> None:
        """Let a user or service principal in no more: its tokens and sessions end now, for good. Raises NotFound."""
        if self.get(name).kind == "group":
            raise InvalidInput(f"{name!r} is a group: remove its members, or delete it")
        self._mark(name, clock.now())

    def enable(self, name: str) -> None:
        """Let a disabled principal in again, with new tokens. Raises NotFound."""
        self.get(name)
        self._mark(name, None)

    def delete(self, name: str) -> None:
        """Forget a principal, its tokens, sessions and memberships; what it owns is the catalog's affair. Raises NotFound."""
        self.get(name)
        with self._database.writing() as connection:
            _let_go(connection, name)
            for table in (passwords, external_users, workloads):
                connection.execute(table.delete().where(table.c.principal == name))
            connection.execute(members.delete().where(sa.or_(members.c.member == name, members.c.group_name == name)))
            connection.execute(principals.delete().where(principals.c.name == name))
            note_change(connection)

    def _mark(self, name: str, disabled_at: datetime | None) -> None:
        with self._database.writing() as connection:
            _let_go(connection, name) if disabled_at else None
            connection.execute(principals.update().where(principals.c.name == name).values(disabled_at=disabled_at))
            note_change(connection)


def _let_go(connection: sa.Connection, name: str) -> None:
    """End every way in that a principal has."""
    for table in (tokens, sessions):
        connection.execute(table.delete().where(table.c.principal == name))


def _principal(row: sa.RowMapping, inside: Sequence[str]) -> Principal:
    return Principal(row["name"], row["kind"], tuple(inside), row["disabled_at"] is not None)
