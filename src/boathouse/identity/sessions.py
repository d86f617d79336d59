"""Sessions of browsers: rows on the server that a cookie's secret names, each ending by idleness, age, logout or decree."""

import base64
import hashlib
import hmac
from dataclasses import dataclass, fields
from datetime import datetime, timedelta

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import NotFound, Unauthenticated
from boathouse.identity import secret
from boathouse.identity.kept import Kept, note_change
from boathouse.identity.last_use import LastUse
from boathouse.identity.store import principals, sessions
from boathouse.identity.values import Session, Token


@dataclass(frozen=True)
class OpenSession:
    """A session that holds, when it was seen last as far as that is written, and when it ends however busy it is."""

    id: str
    principal: str
    seen_at: datetime
    expires_at: datetime


class Sessions:
    """Opens, checks and ends sessions. Only the digest of the cookie's secret is kept."""

    def __init__(self, database: Database, lifetime: timedelta = timedelta(days=7), idle: timedelta = timedelta(days=1)) -> None:
        self.lifetime = lifetime
        self._database = database
        self._idle = idle
        self._seen = LastUse(self._write_seen)
        self._open: Kept[OpenSession] = Kept(database)

    def open(self, principal: str, method: str, *, address: str = "", agent: str = "", token: Token | None = None) -> str:
        """A new session's secret, for a cookie. `method` says how the principal proved itself.

        A session opened by a token ends with it.
        """
        made, now = secret.new(secret.SESSION), clock.now()
        end = now + self.lifetime
        if token and token.expires_at:
            end = min(end, token.expires_at)
        with self._database.writing() as connection:
            over = sa.or_(sessions.c.expires_at < now, sessions.c.seen_at < now - self._idle - timedelta(minutes=5))
            connection.execute(sessions.delete().where(over))
            connection.execute(
                sessions.insert().values(
                    id=secret.public_id(), digest=secret.digest(made), principal=principal, method=method,
                    address=address[:64], agent=agent[:255], token_id=token.id if token else None,
                    created_at=now, expires_at=end, seen_at=now,
                )
            )  # fmt: skip
        return made

    def find(self, given: str | None) -> OpenSession:
        """The session that a cookie names. Raises Unauthenticated for none, and for one that has ended."""
        if not given or not given.startswith(secret.SESSION):
            raise Unauthenticated("you are not logged in")
        digest = secret.digest(given)
        found, epoch = self._open.get(digest)
        if found is None or self._is_over(found):  # it may have been seen by another process since
            found = self._look_up(digest)
            if found is None or self._is_over(found):
                raise Unauthenticated("the session has ended; log in again")
            self._open.put(digest, found, epoch)
        return found

    def _is_over(self, found: OpenSession) -> bool:
        seen = max(found.seen_at, self._seen.of(found.id) or found.seen_at)
        return min(found.expires_at, seen + self._idle) <= clock.now()

    def _look_up(self, digest: str) -> OpenSession | None:
        query = (
            sa.select(sessions.c.id, sessions.c.principal, sessions.c.expires_at, sessions.c.seen_at)
            .join(principals, principals.c.name == sessions.c.principal)
            .where(sessions.c.digest == digest, principals.c.disabled_at.is_(None))
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return OpenSession(row["id"], row["principal"], row["seen_at"], row["expires_at"]) if row else None

    def touch(self, session_id: str) -> None:
        """It is in use: idleness begins anew."""
        self._seen.note(session_id)

    def sessions(self, principal: str) -> list[Session]:
        """A principal's sessions that hold, newest first."""
        self._seen.flush()
        now = clock.now()
        query = (
            sa.select(sessions)
            .where(sessions.c.principal == principal, sessions.c.expires_at > now, sessions.c.seen_at > now - self._idle)
            .order_by(sessions.c.created_at.desc())
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [Session(**{f.name: row[f.name] for f in fields(Session)}) for row in rows]

    def end(self, given: str | None) -> None:
        """End the session that a cookie names; one that has ended already is fine."""
        if given:
            with self._database.writing() as connection:
                connection.execute(sessions.delete().where(sessions.c.digest == secret.digest(given)))
                note_change(connection)

    def end_one(self, principal: str, session_id: str) -> None:
        """End one of a principal's sessions. Raises NotFound."""
        which = sessions.delete().where(sessions.c.id == session_id, sessions.c.principal == principal)
        with self._database.writing() as connection:
            if not connection.execute(which).rowcount:
                raise NotFound(f"no session of {principal} has the id {session_id!r}")
            note_change(connection)

    def end_all(self, principal: str, but: str = "") -> int:
        """End a principal's sessions, but the one of that id; how many."""
        which = sessions.delete().where(sessions.c.principal == principal, sessions.c.id != but)
        with self._database.writing() as connection:
            note_change(connection)
            return int(connection.execute(which).rowcount)

    def close(self) -> None:
        """Write what is still in memory."""
        self._seen.flush()

    def _write_seen(self, noted: dict[str, datetime]) -> None:
        with self._database.writing() as connection:
            for session_id, moment in noted.items():
                connection.execute(sessions.update().where(sessions.c.id == session_id).values(seen_at=moment))


def form_token(cookie: str) -> str:
    """What each form of a session carries, so that no other site can send it: bound to the cookie, of no use without it."""
    mac = hmac.new(cookie.encode(), b"boathouse form", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def is_form_token(cookie: str, given: str) -> bool:
    """Whether a form was made for the session of this cookie."""
    return hmac.compare_digest(form_token(cookie).encode(), given.encode())
