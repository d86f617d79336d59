"""Shares: tables handed out under names of their own, to recipients who come with a token for one share alone."""

import secrets as random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from boathouse import clock, names
from boathouse.catalog.privileges import METASTORE
from boathouse.catalog.service import Catalog
from boathouse.catalog.store import share_tables, share_tokens
from boathouse.catalog.values import Securable
from boathouse.database import Database
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, Unauthenticated
from boathouse.identity import Identity, digest

TOKEN_PREFIX = "bhd_"
_SHOWN = 9


@dataclass(frozen=True)
class SharedTable:
    """A table of a share: `shared_as` is its `schema.table` there, `table` its full name here."""

    share: str
    shared_as: str
    table: str


@dataclass(frozen=True)
class ShareToken:
    """A recipient's token as lists show it; the secret is shown once, in the profile."""

    id: str
    share: str
    principal: str
    prefix: str
    created_at: datetime
    created_by: str
    expires_at: datetime


@dataclass(frozen=True)
class Recipient:
    """Who reads a share: the principal whose grants hold, and the token that opened it."""

    share: str
    principal: str
    token_id: str


class Shares:
    """What is shared, and with whom. A recipient reads a table of a share only while its principal holds SELECT on it."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def create(self, identity: Identity, name: str) -> Securable:
        """A share without tables; its creator owns it. Needs CREATE SHARE on the metastore. Raises AlreadyExists."""
        names.check_level(name)
        self._catalog.access.authorize(identity, "CREATE SHARE", "metastore", METASTORE)
        with self._database.writing():
            if any(s.name == name for s in self._catalog.securables("share")):
                raise AlreadyExists(f"the share {name} exists already", kind="share")
            self._catalog.adopt("share", name, identity.principal)
        return self._catalog.require("share", name)

    def drop(self, identity: Identity, name: str) -> None:
        """End a share: its tables stay, its tokens die. Needs MANAGE."""
        self._managed(identity, name)
        with self._database.writing() as connection:
            for table in (share_tables, share_tokens):
                connection.execute(table.delete().where(table.c.share == name))
            self._catalog.unregister(identity, "share", name)

    def managed_by(self, identity: Identity) -> list[Securable]:
        """The shares that the caller manages."""
        return [s for s in self._catalog.securables("share") if self._catalog.access.allows(identity, "MANAGE", "share", s.name)]

    def add(self, identity: Identity, name: str, table: str, shared_as: str = "") -> SharedTable:
        """Put a table into a share, as its own `schema.table` unless said. Needs MANAGE on the share and on the table.

        Raises AlreadyExists when the name is taken in the share.
        """
        self._managed(identity, name)
        full = names.parse(table)
        self._catalog.access.authorize(identity, "MANAGE", "table", str(full))
        self._catalog.table(str(full))
        public = shared_as or f"{full.schema}.{full.object}"
        if len([names.check_level(level) for level in public.split(".")]) != 2:
            raise InvalidInput(f"{public!r} is no name in a share: write schema.table")
        row = {"share": name, "shared_as": public, "table_name": str(full)}
        with self._database.writing() as connection:
            if any(t.shared_as == public for t in self.tables(name)):
                raise AlreadyExists(f"the share {name} has a table {public} already; name this one with --as schema.table")
            connection.execute(share_tables.insert().values(**row, added_by=identity.principal, added_at=clock.now()))
            self._catalog.audit.write(connection, identity.principal, "share table", name, {"table": str(full), "as": public})
        return SharedTable(name, public, str(full))

    def remove(self, identity: Identity, name: str, table: str) -> None:
        """Take a table out of a share, by its full name or by the one it has there; holds at once. Needs MANAGE."""
        self._managed(identity, name)
        which = sa.or_(share_tables.c.table_name == table, share_tables.c.shared_as == table)
        with self._database.writing() as connection:
            if not connection.execute(share_tables.delete().where(share_tables.c.share == name, which)).rowcount:
                raise NotFound(f"the share {name} has no table {table}; `boathouse shares show {name}` lists them")
            self._catalog.audit.write(connection, identity.principal, "unshare table", name, {"table": table})

    def tables(self, name: str) -> list[SharedTable]:
        """The tables of a share, by the names they have there."""
        query = sa.select(share_tables).where(share_tables.c.share == name).order_by(share_tables.c.shared_as)
        with self._database.reading() as connection:
            return [SharedTable(r.share, r.shared_as, r.table_name) for r in connection.execute(query)]

    def invite(self, identity: Identity, name: str, principal: str, lifetime: timedelta) -> tuple[str, ShareToken]:
        """A token that opens this share as `principal`: its secret, shown this once, and what lists show. Needs MANAGE.

        Whoever calls has made sure that the caller may act for the principal.
        """
        self._managed(identity, name)
        secret, now = TOKEN_PREFIX + random.token_urlsafe(32), clock.now()
        made = ShareToken(random.token_hex(8), name, principal, secret[:_SHOWN], now, identity.principal, now + lifetime)
        with self._database.writing() as connection:
            connection.execute(share_tokens.insert().values(digest=digest(secret), **made.__dict__))
            told = {"principal": principal, "token": made.id, "expires_at": made.expires_at.isoformat()}
            self._catalog.audit.write(connection, identity.principal, "invite to share", name, told)
        return secret, made

    def tokens(self, identity: Identity, name: str) -> list[ShareToken]:
        """The tokens of a share, newest first, without their secrets. Needs MANAGE."""
        self._managed(identity, name)
        query = sa.select(share_tokens).where(share_tokens.c.share == name).order_by(share_tokens.c.created_at.desc())
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query).mappings()]

    def revoke(self, identity: Identity, name: str, token_id: str) -> None:
        """Make a recipient's token worthless at once, with the links it was given. Needs MANAGE."""
        self._managed(identity, name)
        which = (share_tokens.c.share == name, share_tokens.c.id == token_id)
        with self._database.writing() as connection:
            if not connection.execute(share_tokens.delete().where(*which)).rowcount:
                raise NotFound(f"the share {name} has no token {token_id}; `boathouse shares show {name}` lists them")
            self._catalog.audit.write(connection, identity.principal, "revoke share token", name, {"token": token_id})

    def recipient(self, secret: str | None = None, *, token_id: str | None = None) -> Recipient:
        """Whose token this is, by secret or by id. Raises Unauthenticated for an unknown, revoked or expired one."""
        which = share_tokens.c.id == token_id if token_id else share_tokens.c.digest == digest(secret or "")
        with self._database.reading() as connection:
            row = connection.execute(sa.select(share_tokens).where(which)).mappings().first()
        if row is None or _token(row).expires_at <= clock.now():
            raise Unauthenticated("the share's token is unknown, revoked or expired: ask for a new profile file")
        return Recipient(row["share"], row["principal"], row["id"])

    def _managed(self, identity: Identity, name: str) -> None:
        self._catalog.access.authorize(identity, "MANAGE", "share", name)
        self._catalog.require("share", name)


def _token(row: Any) -> ShareToken:
    kept = {k: row[k] for k in ("id", "share", "principal", "prefix", "created_at", "created_by", "expires_at")}
    return ShareToken(**kept)
