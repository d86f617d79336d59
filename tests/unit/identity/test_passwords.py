"""Passwords: what may be one, what is kept of it, and that nobody learns who is there."""

import time

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher

from boathouse.database import Database
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identities, Passwords

GOOD = "correct horse battery"
QUICK = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


@pytest.fixture
def passwords(database: Database) -> Passwords:
    identities = Identities(database)
    for name in ("ada", "bob"):
        identities.create(name, "user")
    identities.create("ci", "service_principal")
    return Passwords(database, hasher=QUICK)


def test_a_password_is_its_owners_alone(passwords: Passwords) -> None:
    passwords.put("ada", GOOD)
    assert passwords.matches("ada", GOOD)
    for name, password in (("ada", GOOD + " "), ("ada", ""), ("bob", GOOD), ("eve", GOOD), ("ada", GOOD * 400)):
        assert not passwords.matches(name, password)


@pytest.mark.parametrize(
    "password", ["", "short", "a" * 40, "abcd" * 5, "x" * 1001, "margaret is 12 years", "MARGARET1234567"]
)
def test_what_is_easily_guessed_is_refused_with_the_whole_policy(passwords: Passwords, password: str) -> None:
    with pytest.raises(InvalidInput, match="12 to 1000 characters, five different ones at least, and does not hold"):
        passwords.check("margaret", password)


@pytest.mark.parametrize("password", [GOOD, "пароль из слов", "🚣‍♀️🛶⛵🚤🛥️🚢⚓🪝", "            a b c d e f"])
def test_any_characters_will_do(passwords: Passwords, password: str) -> None:
    passwords.put("ada", password)
    assert passwords.matches("ada", password)


def test_the_same_word_composed_otherwise_is_the_same_password(passwords: Passwords) -> None:
    passwords.put("ada", "caf\u00e9 at the lake")
    assert passwords.matches("ada", "cafe\u0301 at the lake")


def test_only_users_have_passwords(passwords: Passwords) -> None:
    for name in ("ci", "eve"):
        with pytest.raises(NotFound, match="no user is named"):
            passwords.put(name, GOOD)


def test_the_disabled_and_the_deleted_have_none(passwords: Passwords, database: Database) -> None:
    identities = Identities(database)
    for name in ("ada", "bob"):
        passwords.put(name, GOOD)
    identities.disable("ada")
    identities.delete("bob")
    identities.create("bob", "user")
    assert not passwords.matches("ada", GOOD)
    assert not passwords.matches("bob", GOOD)


def test_a_hash_of_former_parameters_is_made_anew_when_its_password_is_used(passwords: Passwords, database: Database) -> None:
    passwords.put("ada", GOOD)
    stronger = Passwords(database, hasher=PasswordHasher(time_cost=2, memory_cost=64, parallelism=1))
    assert not stronger.matches("ada", "something else")
    assert "t=1" in _kept(database)
    assert stronger.matches("ada", GOOD)
    assert "t=2" in _kept(database)
    assert stronger.matches("ada", GOOD)


def test_what_is_kept_is_an_argon2id_hash_of_the_recommended_cost(passwords: Passwords, database: Database) -> None:
    Passwords(database).put("ada", GOOD)
    assert _kept(database).startswith("$argon2id$v=19$m=65536,t=3,p=4$")


def test_nobody_takes_as_long_as_somebody(database: Database, passwords: Passwords) -> None:
    slow = Passwords(database, hasher=PasswordHasher(time_cost=20, memory_cost=1024, parallelism=1))
    slow.put("ada", GOOD)
    slow.matches("ada", "warm up")
    spent = {name: min(_seconds(slow, name) for _ in range(5)) for name in ("ada", "bob", "eve")}
    assert max(spent.values()) < 2 * min(spent.values())


def _seconds(passwords: Passwords, name: str) -> float:
    begun = time.process_time()
    passwords.matches(name, "wrong")
    return time.process_time() - begun


def _kept(database: Database) -> str:
    with database.reading() as connection:
        return str(connection.execute(sa.text("SELECT hash FROM bh_passwords WHERE principal = 'ada'")).scalar())
