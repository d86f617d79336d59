"""Failed logins wait ever longer, and nobody can use that to keep somebody out."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import TooManyRequests
from boathouse.identity import Attempts
from boathouse.identity.attempts import ACCOUNT, ADDRESS, PAIR

HERE, THERE = "10.0.0.1", "10.6.6.6"


class Time:
    """A clock that tests move. Only this room's waits are asked of it."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def go(self, span: timedelta) -> None:
        self.now += span


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Iterator[Time]:
    made = Time()
    monkeypatch.setattr(clock, "now", lambda: made.now)
    return made


@pytest.fixture
def attempts(database: Database, time: Time) -> Attempts:
    return Attempts(database)


def fail(attempts: Attempts, account: str, address: str, times: int, time: Time, wait: timedelta = timedelta(hours=0.3)) -> None:
    for _ in range(times):
        attempts.begin(account, address)
        time.go(wait)


def waits(attempts: Attempts, account: str, address: str) -> int:
    """Seconds that the next try must wait; 0 for none, and then it is counted."""
    try:
        attempts.begin(account, address)
    except TooManyRequests as refused:
        return int(refused.details["retry_after"])
    return 0


def test_five_failures_are_free_and_then_the_wait_doubles_up_to_a_limit(attempts: Attempts, time: Time) -> None:
    for _ in range(4):
        attempts.begin("ada", HERE)
    found = []
    for _ in range(12):
        attempts.begin("ada", HERE)
        found.append(waits(attempts, "ada", HERE))
        time.go(timedelta(seconds=found[-1]))
    assert found == [6, 11, 21, 41, 81, 161, 321, 641, 901, 901, 901, 901]


def test_tries_that_come_too_early_are_told_when_and_count_for_nothing(attempts: Attempts, time: Time) -> None:
    for _ in range(8):
        waits(attempts, "ada", HERE)
    for _ in range(50):
        assert waits(attempts, "ada", HERE) == 6
    time.go(timedelta(seconds=6))
    assert waits(attempts, "ada", HERE) == 0


def test_many_tries_at_once_are_all_counted(attempts: Attempts) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: waits(attempts, "ada", HERE), range(24)))
    assert found.count(0) == PAIR.free


def test_a_restart_forgets_nothing(attempts: Attempts, database: Database) -> None:
    while not waits(attempts, "ada", HERE):
        pass
    again = Database(database.url)
    assert waits(Attempts(again), "ada", HERE)
    again.close()


def test_success_forgets_the_accounts_failures(attempts: Attempts, time: Time) -> None:
    fail(attempts, "ada", HERE, 5, time)
    attempts.succeeded("ada", HERE)
    for _ in range(PAIR.free):
        assert waits(attempts, "ada", HERE) == 0
    assert waits(attempts, "ada", HERE) > 0


def test_an_address_that_guesses_at_many_accounts_is_slowed_down(attempts: Attempts) -> None:
    for number in range(ADDRESS.free):
        assert waits(attempts, f"user{number}", THERE) == 0
    assert waits(attempts, "another", THERE) > 0
    assert waits(attempts, "another", HERE) == 0


def test_an_account_that_is_guessed_at_from_many_addresses_is_slowed_down(attempts: Attempts) -> None:
    for number in range(ACCOUNT.free):
        assert waits(attempts, "ada", f"10.1.1.{number}") == 0
    assert waits(attempts, "ada", "10.2.2.2") > 0


def test_strangers_who_guess_do_not_keep_out_whoever_came_in_from_here_before(attempts: Attempts, time: Time) -> None:
    attempts.begin("ada", HERE)
    attempts.succeeded("ada", HERE)
    for number in range(60):
        waits(attempts, "ada", f"10.1.1.{number}")
        waits(attempts, f"user{number}", HERE)
    assert waits(attempts, "ada", "10.2.2.2") > 0
    assert waits(attempts, "eve", HERE) > 0
    assert waits(attempts, "ada", HERE) == 0


def test_success_somewhere_does_not_wash_an_address_clean(attempts: Attempts) -> None:
    for number in range(ADDRESS.free - 1):
        attempts.begin(f"user{number}", THERE)
        attempts.begin("mallory", HERE)
        attempts.succeeded("mallory", HERE)
    assert waits(attempts, "other", HERE) == 0
    for _ in range(2):
        waits(attempts, "other", THERE)
    assert waits(attempts, "another", THERE) > 0


def test_time_forgives_and_so_does_an_admin(attempts: Attempts, time: Time) -> None:
    for account, address in (("ada", HERE), ("bob", THERE)):
        fail(attempts, account, address, 12, time)
    attempts.forgive("ada")
    assert [waits(attempts, "ada", HERE) for _ in range(PAIR.free)] == [0] * PAIR.free
    time.go(PAIR.memory + timedelta(hours=1))
    assert [waits(attempts, "bob", THERE) for _ in range(PAIR.free)] == [0] * PAIR.free


def test_what_was_typed_as_a_name_is_not_kept_and_old_rows_go(attempts: Attempts, database: Database, time: Time) -> None:
    for number in range(50):
        waits(attempts, f"my password {number}", f"10.9.{number}.1")
    with database.reading() as connection:
        assert "password" not in str(connection.execute(sa.text("SELECT * FROM bh_login_attempts")).all())
    time.go(timedelta(days=2))
    waits(attempts, "ada", HERE)
    with database.reading() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM bh_login_attempts")).scalar() == 3
