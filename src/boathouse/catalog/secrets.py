"""Secrets of an environment under `scope/key`: encrypted where they rest, read under a grant, each read in the audit log."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog.privileges import METASTORE
from boathouse.catalog.secret_keys import SecretKeys
from boathouse.catalog.service import Catalog
from boathouse.catalog.store import run_secrets, secrets
from boathouse.database import Database
from boathouse.errors import InvalidInput, InvalidName, NotFound
from boathouse.identity import Identity

_SCOPE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_LARGEST = 64 * 1024


@dataclass(frozen=True)
class SecretInfo:
    """What may be known of a secret: everything but its value."""

    environment: str
    scope: str
    key: str
    updated_by: str
    updated_at: datetime


class Secrets:
    """Puts, reads, lists and deletes. A scope is a securable: READ SECRET on it reads, MANAGE puts and deletes."""

    def __init__(self, database: Database, catalog: Catalog, keys: SecretKeys) -> None:
        self._database = database
        self._catalog = catalog
        self._keys = keys

    def put(self, identity: Identity, environment: str, name: str, value: str) -> SecretInfo:
        """Keep a value, in place of the one of before. A scope's first secret makes it, which takes MANAGE on the environment.

        Raises InvalidInput, InvalidName, NotPermitted.
        """
        scope, key = parsed(name)
        if not value or len(value.encode()) > _LARGEST:
            raise InvalidInput(f"a secret is 1 to {_LARGEST:,} bytes; {name} would have {len(value.encode()):,}")
        full = f"{environment}.{scope}"
        with self._database.writing() as connection:
            if self._catalog.exists("secret_scope", full):
                self._catalog.access.authorize(identity, "MANAGE", "secret_scope", full)
            else:
                self._catalog.require("catalog", environment)
                self._catalog.access.authorize(identity, "MANAGE", "catalog", environment)
                self._catalog.adopt("secret_scope", full, identity.principal)
            key_name, sealed = self._keys.seal(value, f"{full}/{key}")
            now = clock.now()
            row = {"sealed": sealed, "master": key_name, "updated_by": identity.principal, "updated_at": now}
            if not connection.execute(secrets.update().where(*_here(full, key)).values(row)).rowcount:
                connection.execute(secrets.insert().values(scope=full, key=key, **row))
            self._catalog.audit.write(connection, identity.principal, "put secret", f"{full}/{key}")
        return SecretInfo(environment, scope, key, identity.principal, now)

    def read(self, identity: Identity, environment: str, name: str) -> str:
        """A value; needs READ SECRET on its scope, and is noted for the run it is read in. Raises NotFound, NotPermitted."""
        scope, key = parsed(name)
        full = f"{environment}.{scope}"
        self._catalog.access.authorize(identity, "READ SECRET", "secret_scope", full)
        value = self._value(full, key)
        with self._database.writing() as connection:
            self._catalog.audit.write(connection, identity.principal, "read secret", f"{full}/{key}", {"run": identity.run_id})
            if identity.run_id is not None:
                _note(connection, identity.run_id, full, key)
        return value

    def values_of(self, run_id: str) -> list[str]:
        """The values of all secrets that a run has read, for hiding them; those that are gone since are left out."""
        query = sa.select(secrets).join(
            run_secrets, (run_secrets.c.scope == secrets.c.scope) & (run_secrets.c.key == secrets.c.key)
        ).where(run_secrets.c.run_id == run_id)  # fmt: skip
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [self._keys.open(r["master"], r["sealed"], f"{r['scope']}/{r['key']}") for r in rows]

    def list(self, identity: Identity, environment: str) -> Sequence[SecretInfo]:
        """What there is in the scopes that the identity may know of, by name; no values."""
        with self._database.reading() as connection:
            query = sa.select(secrets).where(secrets.c.scope.startswith(f"{environment}.", autoescape=True))
            rows = connection.execute(query.order_by(secrets.c.scope, secrets.c.key)).mappings().all()
        seen = {s for s in {r["scope"] for r in rows} if self._catalog.visible(identity, "secret_scope", s)}
        return [SecretInfo(environment, r["scope"].partition(".")[2], r["key"], r["updated_by"], r["updated_at"])
                for r in rows if r["scope"] in seen]  # fmt: skip

    def delete(self, identity: Identity, environment: str, name: str) -> int:
        """Delete `scope/key`, or with `scope` alone the scope with all that is in it and its grants; needs MANAGE on the scope.

        How many secrets are gone. Raises NotFound, NotPermitted.
        """
        scope, key = parsed(name) if "/" in name else (name, "")
        full = f"{environment}.{scope}"
        self._catalog.access.authorize(identity, "MANAGE", "secret_scope", full)
        with self._database.writing() as connection:
            which = _here(full, key) if key else (secrets.c.scope == full,)
            gone = connection.execute(secrets.delete().where(*which)).rowcount
            if not gone and (key or not self._catalog.exists("secret_scope", full)):
                raise _absent(full, key)
            self._catalog.audit.write(connection, identity.principal, "delete secret", f"{full}/{key or '*'}")
            if not key:
                self._catalog.unregister(identity, "secret_scope", full)
        return int(gone)

    def rotate(self, identity: Identity) -> int:
        """Seal every secret under a new master key, in one transaction; needs MANAGE on the metastore. How many there are.

        A crash leaves both keys in place, so that all still opens, and the next rotation finishes.
        """
        self._catalog.access.authorize(identity, "MANAGE", "metastore", METASTORE)
        with self._database.writing() as connection:
            self._keys.renew()
            rows = connection.execute(sa.select(secrets)).mappings().all()
            for row in rows:
                about = f"{row['scope']}/{row['key']}"
                master, sealed = self._keys.seal(self._keys.open(row["master"], row["sealed"], about), about)
                connection.execute(secrets.update().where(*_here(row["scope"], row["key"])).values(master=master, sealed=sealed))
            details = {"secrets": len(rows), "key": self._keys.current}
            self._catalog.audit.write(connection, identity.principal, "rotate secrets key", METASTORE, details)
        self._keys.forget_old()
        return len(rows)

    def _value(self, full: str, key: str) -> str:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(secrets).where(*_here(full, key))).mappings().first()
        if row is None:
            raise _absent(full, key)
        return self._keys.open(row["master"], row["sealed"], f"{full}/{key}")


def parsed(name: str) -> tuple[str, str]:
    """(scope, key) of `scope/key`. Raises InvalidName."""
    scope, _, key = name.partition("/")
    if not (_SCOPE.fullmatch(scope) and _KEY.fullmatch(key)):
        raise InvalidName(f"{name!r} names no secret: write scope/key, of letters, digits, - and _ (in a key . too)")
    return scope, key


def _here(scope: str, key: str) -> tuple[sa.ColumnElement[bool], ...]:
    return secrets.c.scope == scope, secrets.c.key == key


def _absent(full: str, key: str) -> NotFound:
    environment, _, scope = full.partition(".")
    what = f"secret {scope}/{key}" if key else f"secret scope {scope}"
    return NotFound(f"{environment} has no {what}; `boathouse --env {environment} secrets list` shows those there are")


def _note(connection: sa.Connection, run_id: str, scope: str, key: str) -> None:
    row = {"run_id": run_id, "scope": scope, "key": key}
    if not connection.execute(sa.select(run_secrets).where(*(run_secrets.c[k] == v for k, v in row.items()))).first():
        connection.execute(run_secrets.insert().values(row))
