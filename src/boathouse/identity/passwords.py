"""Passwords: Argon2id hashes, a policy in one sentence, and an answer that takes as long for nobody as for somebody."""

import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound, Unavailable
from boathouse.identity.store import passwords, principals

_LONGEST = 1000
_AT_ONCE = 2
"""Each hash takes 64 MiB and a core for a moment; more at once would only let strangers fill the machine."""


class Passwords:
    """The passwords of users. A hash made under former parameters is made anew when its password is used."""

    def __init__(self, database: Database, minimum: int = 12, hasher: PasswordHasher | None = None) -> None:
        self.minimum = minimum
        self._database = database
        self._hasher = hasher or PasswordHasher()
        self._turn = threading.BoundedSemaphore(_AT_ONCE)

    def check(self, name: str, password: str) -> None:
        """Pass when a password may be somebody's. Raises InvalidInput that says the whole policy."""
        plain, lower = _normal(password), _normal(password).casefold()
        named = len(name) > 3 and name.casefold() in lower
        if len(plain) < self.minimum or len(plain) > _LONGEST or named or len(set(lower)) < 5:
            raise InvalidInput(
                f"a password has {self.minimum} to {_LONGEST} characters, five different ones at least, "
                "and does not hold the user's name; any characters will do"
            )

    def put(self, name: str, password: str) -> None:
        """Give a user a password. Raises InvalidInput for one against the policy, NotFound for who is no user."""
        self.check(name, password)
        if not self._is_user(name):
            raise NotFound(f"no user is named {name!r}; `boathouse users list` shows them")
        with self._turned():
            made = self._hasher.hash(_normal(password))
        with self._database.writing() as connection:
            connection.execute(passwords.delete().where(passwords.c.principal == name))
            connection.execute(passwords.insert().values(principal=name, hash=made, changed_at=clock.now()))

    def has(self, name: str) -> bool:
        """Whether a user has a password."""
        return self._hash(name) is not None

    def matches(self, name: str, password: str) -> bool:
        """Whether this is the password of a user who may come in. The work is the same when there is no such user.

        Raises Unavailable when too many are asked at once.
        """
        kept = self._hash(name)
        with self._turned():
            right = self._verify(kept or self._nobody, _normal(password[: _LONGEST + 1])) and kept is not None
        if right and kept and self._hasher.check_needs_rehash(kept):
            self._make_anew(name, kept, password)
        return right

    def _make_anew(self, name: str, former: str, password: str) -> None:
        with self._turned():
            made = self._hasher.hash(_normal(password))
        which = passwords.update().where(passwords.c.principal == name, passwords.c.hash == former)
        with self._database.writing() as connection:
            connection.execute(which.values(hash=made))

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password has."""
        return self._hasher.hash("")

    def _verify(self, kept: str, password: str) -> bool:
        assert self._nobody  # made before the first answer, whoever asks
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    @contextmanager
    def _turned(self) -> Iterator[None]:
        if not self._turn.acquire(timeout=10):
            raise Unavailable("too many logins at once; try again in a moment")
        try:
            yield
        finally:
            self._turn.release()

    def _is_user(self, name: str) -> bool:
        query = sa.select(principals.c.kind).where(principals.c.name == name)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() == "user"

    def _hash(self, name: str) -> str | None:
        query = (
            sa.select(passwords.c.hash)
            .join(principals, principals.c.name == passwords.c.principal)
            .where(passwords.c.principal == name, principals.c.kind == "user", principals.c.disabled_at.is_(None))
        )
        with self._database.reading() as connection:
            found: str | None = connection.execute(query).scalar()
            return found


def _normal(password: str) -> str:
    # the same characters, however the keyboard composed them
    return unicodedata.normalize("NFKC", password)
