"""Users of other issuers and the users that they are here, tied by the issuer's subject, which never changes hands."""

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import AlreadyExists
from boathouse.identity.store import external_users


class ExternalUsers:
    """Keeps who is who."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, issuer: str, subject: str) -> str | None:
        """The user that a subject of an issuer is here."""
        which = sa.select(external_users.c.principal).where(
            external_users.c.issuer == issuer, external_users.c.subject == subject
        )
        with self._database.reading() as connection:
            found: str | None = connection.execute(which).scalar()
            return found

    def subject(self, issuer: str, principal: str) -> str | None:
        """The subject that a user is at an issuer."""
        which = sa.select(external_users.c.subject).where(
            external_users.c.issuer == issuer, external_users.c.principal == principal
        )
        with self._database.reading() as connection:
            found: str | None = connection.execute(which).scalar()
            return found

    def link(self, issuer: str, subject: str, principal: str) -> None:
        """Tie a subject to a user. Raises AlreadyExists when one of the two is tied to another."""
        with self._database.writing() as connection:
            tied, other = self.find(issuer, subject), self.subject(issuer, principal)
            if (tied, other) == (principal, subject):
                return
            if tied or other:
                raise AlreadyExists(f"{tied or principal} is tied to {subject if tied else other!r} of {issuer} already")
            connection.execute(
                external_users.insert().values(issuer=issuer, subject=subject, principal=principal, linked_at=clock.now())
            )

    def unlink(self, principal: str) -> int:
        """Untie a user from every issuer; from how many."""
        with self._database.writing() as connection:
            which = external_users.delete().where(external_users.c.principal == principal)
            return int(connection.execute(which).rowcount)
