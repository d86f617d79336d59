"""Sessions end: by idleness, age, logout, decree. Codes are good once."""

import hashlib
from datetime import timedelta

import pytest
import sqlalchemy as sa

from boathouse.database import Database
from boathouse.errors import NotFound, Unauthenticated
from boathouse.identity import Codes, Identities, Sessions, challenge_of, form_token, is_form_token


@pytest.fixture
def identities(database: Database) -> Identities:
    made = Identities(database)
    for name in ("ada", "bob"):
        made.create(name, "user")
    return made


@pytest.fixture
def sessions(database: Database, identities: Identities) -> Sessions:
    return Sessions(database)


def ended(sessions: Sessions, *cookies: str) -> bool:
    """Whether none of these is good any more."""
    for cookie in cookies:
        with pytest.raises(Unauthenticated):
            sessions.find(cookie)
    return True


def test_a_cookie_names_its_session_and_nothing_else_does(sessions: Sessions, database: Database) -> None:
    cookie = sessions.open("ada", "password", address="10.0.0.1", agent="Firefox")
    assert sessions.find(cookie).principal == "ada"
    assert ended(sessions, "", "bhs_guess", cookie[:-1], cookie.upper(), "' OR 1=1 --")
    with database.reading() as connection:
        assert cookie not in str(connection.execute(sa.text("SELECT * FROM bh_sessions")).all())
    (shown,) = sessions.sessions("ada")
    assert (shown.method, shown.address, shown.agent) == ("password", "10.0.0.1", "Firefox")


def test_a_token_is_no_cookie_and_a_cookie_no_token(sessions: Sessions, identities: Identities) -> None:
    assert ended(sessions, identities.issue("ada"))
    with pytest.raises(Unauthenticated):
        identities.authenticate(sessions.open("ada", "password"))


def test_a_session_ends_by_age_however_busy_it_is(database: Database, identities: Identities) -> None:
    sessions = Sessions(database, lifetime=timedelta(0))
    cookie = sessions.open("ada", "password")
    assert ended(sessions, cookie)
    assert sessions.sessions("ada") == []


def test_a_session_ends_by_idleness_unless_it_is_used(database: Database, sessions: Sessions) -> None:
    idle, busy = sessions.open("ada", "password"), sessions.open("ada", "password")
    with database.writing() as connection:
        connection.execute(sa.text("UPDATE bh_sessions SET seen_at = '2020-01-01 00:00:00'"))
        rows = connection.execute(sa.text("SELECT id FROM bh_sessions WHERE digest = :d"), {"d": _digest(busy)})
        sessions.touch(rows.scalar_one())
    assert sessions.find(busy).principal == "ada"
    sessions.close()
    assert sessions.find(busy).principal == "ada"
    assert ended(sessions, idle)


def test_logging_out_ends_one_session_or_all_or_all_others(sessions: Sessions) -> None:
    one, two, three, bobs = (sessions.open(who, "password") for who in ("ada", "ada", "ada", "bob"))
    sessions.end(one)
    assert ended(sessions, one)
    assert sessions.end_all("ada", but=sessions.find(two).id) == 1
    assert ended(sessions, three)
    assert sessions.end_all("ada") == 1
    assert ended(sessions, two)
    assert sessions.find(bobs).principal == "bob"


def test_nobody_ends_the_session_of_another(sessions: Sessions) -> None:
    theirs = sessions.find(sessions.open("bob", "password"))
    with pytest.raises(NotFound):
        sessions.end_one("ada", theirs.id)
    sessions.end_one("bob", theirs.id)
    assert sessions.sessions("bob") == []


def test_who_is_disabled_or_deleted_has_no_session_any_more(sessions: Sessions, identities: Identities) -> None:
    adas, bobs = sessions.open("ada", "password"), sessions.open("bob", "password")
    identities.disable("ada")
    identities.enable("ada")
    identities.delete("bob")
    identities.create("bob", "user")
    assert ended(sessions, adas, bobs)


def test_a_session_opened_by_a_token_ends_with_it(sessions: Sessions, identities: Identities) -> None:
    token = identities.token(identities.authenticate(identities.issue("ada", lifetime=timedelta(hours=1))).credential)
    cookie = sessions.open("ada", "token", token=token)
    assert token.expires_at
    assert sessions.find(cookie).expires_at.replace(tzinfo=None) == token.expires_at.replace(tzinfo=None)
    identities.revoke(token.id)
    assert ended(sessions, cookie)


def test_a_form_token_fits_its_own_session_only(sessions: Sessions) -> None:
    mine, theirs = sessions.open("ada", "password"), sessions.open("bob", "password")
    assert is_form_token(mine, form_token(mine))
    for given in (form_token(theirs), "", mine, form_token(mine)[:-1], "é"):
        assert not is_form_token(mine, given)


def test_a_code_is_good_once_for_its_purpose_and_for_a_while(database: Database) -> None:
    codes = Codes(database)
    code = codes.make("link", timedelta(hours=1), {"principal": "ada"})
    assert codes.redeem("cli", code) is None
    assert codes.redeem("link", code + "x") is None
    assert codes.redeem("link", code) == {"principal": "ada"}
    assert codes.redeem("link", code) is None
    assert codes.redeem("link", codes.make("link", timedelta(0), {})) is None


def test_a_challenge_is_the_hash_that_the_standard_says() -> None:
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
    assert challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def _digest(cookie: str) -> str:
    return hashlib.sha256(cookie.encode()).hexdigest()
