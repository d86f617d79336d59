"""Codes that are good once and for a short time: a link that logs in, a login on its way through another server."""

import base64
import hashlib
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.identity import secret
from boathouse.identity.store import codes


class Codes:
    """Makes and redeems codes, which are kept as digests."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, purpose: str, lifetime: timedelta, data: dict[str, Any]) -> str:
        """A new code that stands for `data`."""
        made, now = secret.new(""), clock.now()
        row = {"digest": secret.digest(made), "purpose": purpose, "expires_at": now + lifetime, "data": data}
        with self._database.writing() as connection:
            connection.execute(codes.delete().where(codes.c.expires_at < now))
            connection.execute(codes.insert().values(**row))
        return made

    def redeem(self, purpose: str, code: str) -> dict[str, Any] | None:
        """What a code stands for, this once; None for one that is unknown, used or too old."""
        which = (codes.c.digest == secret.digest(code), codes.c.purpose == purpose)
        with self._database.writing() as connection:
            row = connection.execute(sa.select(codes).where(*which)).mappings().first()
            connection.execute(codes.delete().where(*which))
        if row is None or row["expires_at"] <= clock.now():
            return None
        data: dict[str, Any] = row["data"]
        return data


def challenge_of(verifier: str) -> str:
    """What whoever keeps a verifier shows before, so that nobody else can redeem (PKCE, S256)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
