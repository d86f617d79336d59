"""Principals with their tokens, and the question that every request begins with: whose token is this?"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput, NotFound, Unauthenticated
from boathouse.identity import secret
from boathouse.identity.kept import Kept, note_change
from boathouse.identity.last_use import LastUse
from boathouse.identity.principals import Principals
from boathouse.identity.store import principals, sessions, tokens
from boathouse.identity.values import Identity, Token, Via

_KEPT = timedelta(days=30)
"""So long an expired token stays in lists."""
LENT = "run_as"
"""The origin of the tokens of a job that runs as another than its environment's own service principal."""


class Identities(Principals):
    """Principals and tokens. A token is stored only as its SHA-256 digest."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._used = LastUse(self._write_use)
        self._bearers: Kept[tuple[Identity, datetime | None]] = Kept(database)

    def issue(self, principal: str, *, comment: str = "", lifetime: timedelta | None = None,
              environment: str | None = None, run_id: str | None = None, commit: str | None = None,
              scratch: str | None = None, by: str = "", origin: str = "") -> str:  # fmt: skip
        """A new token's secret, shown this once; without a lifetime it holds until it is revoked.

        Raises NotFound, InvalidInput for a group, Conflict for a disabled principal.
        """
        owner = self.get(principal)
        if owner.kind == "group":
            raise InvalidInput(f"{principal!r} is a group: tokens are for users and service principals")
        if owner.disabled:
            raise Conflict(f"{principal} is disabled; `boathouse users enable {principal}` first")
        made, now = secret.new(secret.TOKEN), clock.now()
        over = sa.or_(tokens.c.expires_at < now - _KEPT, sa.and_(tokens.c.expires_at < now, tokens.c.origin == "workload"))
        with self._database.writing() as connection:
            connection.execute(tokens.delete().where(over))
            connection.execute(
                tokens.insert().values(
                    id=secret.public_id(), digest=secret.digest(made), prefix=made[: secret.SHOWN], principal=principal,
                    comment=comment[:255], created_at=now, created_by=by or principal, origin=origin or None,
                    expires_at=None if lifetime is None else now + lifetime, environment=environment,
                    run_id=run_id, commit_id=commit, scratch=scratch,
                )
            )
        return made

    def recall(self, given: str) -> Identity | None:
        """Whose token this is where memory tells it without waiting for the database; `authenticate` is asked for the others."""
        if not self._database.is_sqlite:
            return None
        found = self._bearers.get(secret.digest(given))[0]
        return None if found is None else self._used_now(*found)

    def authenticate(self, given: str | None) -> Identity:
        """Whose token this is. Raises Unauthenticated for none, an unknown or an expired one."""
        if not given:
            raise Unauthenticated("a token is needed: run `boathouse login URL`, or set BOATHOUSE_TOKEN")
        digest = secret.digest(given)
        found, epoch = self._bearers.get(digest)
        if found is None:
            found = self._look_up(digest)
            self._bearers.put(digest, found, epoch)
        return self._used_now(*found)

    def _used_now(self, identity: Identity, expires_at: datetime | None) -> Identity:
        if expires_at is not None and expires_at <= clock.now():
            raise _unknown()
        if identity.via != "run":
            self._used.note(identity.credential)
        return identity

    def _look_up(self, digest: str) -> tuple[Identity, datetime | None]:
        query = (
            sa.select(tokens, principals.c.disabled_at)
            .join(principals, principals.c.name == tokens.c.principal)
            .where(tokens.c.digest == digest)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None or row["disabled_at"]:
            raise _unknown()
        via: Via = "run" if row["run_id"] else "workload" if row["origin"] == "workload" else "token"
        identity = Identity(row["principal"], self.groups_of(row["principal"]), row["environment"], row["run_id"],
                            row["commit_id"], row["scratch"], via, row["id"], row["origin"] == LENT)  # fmt: skip
        return identity, row["expires_at"] if row["expires_at"] else None

    def tokens(self, principal: str | None = None) -> list[Token]:
        """Tokens that people made, newest first; run-scoped ones are left out."""
        self._used.flush()
        query = sa.select(tokens).where(tokens.c.run_id.is_(None)).order_by(tokens.c.created_at.desc())
        if principal:
            query = query.where(tokens.c.principal == principal)
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query).mappings()]

    def token(self, token_id: str) -> Token:
        """One token that a person made. Raises NotFound."""
        query = sa.select(tokens).where(tokens.c.id == token_id, tokens.c.run_id.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound(f"no token has the id {token_id!r}; `boathouse tokens list` shows them")
        return _token(row)

    def revoke(self, token_id: str, principal: str | None = None) -> Token:
        """Make a token worthless at once; the token it was. Raises NotFound."""
        condition = tokens.c.id == token_id
        if principal:
            condition &= tokens.c.principal == principal
        with self._database.writing() as connection:
            row = connection.execute(sa.select(tokens).where(condition)).mappings().first()
            if row is None:
                raise NotFound(f"no token has the id {token_id!r}; `boathouse tokens list` shows them")
            connection.execute(tokens.delete().where(condition))
            connection.execute(sessions.delete().where(sessions.c.token_id == token_id))
            note_change(connection)
        return _token(row)

    def revoke_run(self, run_id: str) -> None:
        """Make a run's tokens worthless: they die with the run."""
        with self._database.writing() as connection:
            if connection.execute(tokens.delete().where(tokens.c.run_id == run_id)).rowcount:
                note_change(connection)

    def revoke_task(self, run_id: str, comment: str) -> None:
        """Make the tokens of one task of a run worthless, by the comment that they were issued under."""
        of_task = (tokens.c.run_id == run_id) & (tokens.c.comment == comment[:255])
        with self._database.writing() as connection:
            if connection.execute(tokens.delete().where(of_task)).rowcount:
                note_change(connection)

    def close(self) -> None:
        """Write what is still in memory."""
        self._used.flush()

    def _write_use(self, noted: dict[str, datetime]) -> None:
        with self._database.writing() as connection:
            for token_id, moment in noted.items():
                connection.execute(tokens.update().where(tokens.c.id == token_id).values(last_used_at=moment))


def _unknown() -> Unauthenticated:
    return Unauthenticated("the token is unknown, revoked or expired; run `boathouse login URL` again")


def _token(row: sa.RowMapping) -> Token:
    return Token(
        row["id"], row["principal"], row["prefix"] or "bh_", row["comment"], row["created_at"], row["created_by"] or "",
        row["expires_at"], row["last_used_at"], row["run_id"], row["environment"], row["origin"] or "",
    )  # fmt: skip
