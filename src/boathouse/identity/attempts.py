"""Failed logins are slowed down, in rows that outlive the process.

Three counts: by account and address together, by address, by account. Each allows some failures, then makes the next
try wait, twice as long each time, up to a limit; in time it is forgotten. Where an account was entered from an address
before, only the first count holds there: strangers who guess elsewhere cannot keep its owner out. Tokens and the
operator's link are not counted, since nobody guesses them.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import TooManyRequests
from boathouse.identity.store import attempts

_KNOWN = timedelta(days=30)


@dataclass(frozen=True)
class Limit:
    """So many failures are free; the waits after them grow to `longest`; all is forgotten after `memory`."""

    free: int
    longest: timedelta
    memory: timedelta

    def wait(self, failures: int) -> timedelta:
        """How long the next try must wait after so many failures in a row."""
        over = failures - self.free
        if over < 0:
            return timedelta(0)
        return min(timedelta(seconds=5 * 2 ** min(over, 20)), self.longest)


PAIR = Limit(5, timedelta(minutes=15), timedelta(days=1))
ADDRESS = Limit(20, timedelta(minutes=5), timedelta(hours=1))
ACCOUNT = Limit(20, timedelta(minutes=1), timedelta(days=1))


class Attempts:
    """Counts tries before the password is looked at, so that many at once are counted too."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, account: str, address: str) -> None:
        """Count a try. Raises TooManyRequests, saying how long to wait, and counts nothing then."""
        now = clock.now()
        pair, limits = _pair(account, address), _limits(account, address)
        with self._database.writing() as connection:
            self._forget(connection, now)
            query = sa.select(attempts).where(attempts.c.key.in_(limits))
            found = {r["key"]: r for r in connection.execute(query).mappings()}
            known = pair in found and found[pair]["succeeded_at"] is not None
            for key in [pair] if known else limits:
                not_before = found[key]["not_before"] if key in found else None
                if not_before and not_before > now:
                    raise _too_many(not_before - now)
            for key, limit in limits.items():
                _count(connection, found.get(key), key, limit, now)

    def succeeded(self, account: str, address: str) -> None:
        """The try was right: the account's failures are forgotten, the address's are one fewer."""
        pair, now = _pair(account, address), clock.now()
        with self._database.writing() as connection:
            fresh = {"failures": 0, "not_before": None}
            update = attempts.update()
            connection.execute(update.where(attempts.c.key == pair).values(**fresh, succeeded_at=now, last_at=now))
            connection.execute(update.where(attempts.c.key == _key("account", account)).values(**fresh))
            by_address = attempts.c.key == _key("address", address)
            connection.execute(update.where(by_address).values(failures=attempts.c.failures - 1, not_before=None))

    def forgive(self, account: str) -> None:
        """Let an account begin anew from wherever it has been entered or tried."""
        with self._database.writing() as connection:
            which = attempts.c.key.startswith(f"pair:{_hash(account)}:") | (attempts.c.key == _key("account", account))
            connection.execute(attempts.update().where(which).values(failures=0, not_before=None))

    def _forget(self, connection: sa.Connection, now: datetime) -> None:
        old = sa.and_(attempts.c.succeeded_at.is_(None), attempts.c.last_at < now - max(PAIR.memory, ACCOUNT.memory))
        connection.execute(attempts.delete().where(sa.or_(old, attempts.c.last_at < now - _KNOWN)))


def _count(connection: sa.Connection, row: sa.RowMapping | None, key: str, limit: Limit, now: datetime) -> None:
    if row is None:
        connection.execute(attempts.insert().values(key=key, failures=1, last_at=now))
        return
    failures = 1 if row["last_at"] < now - limit.memory else row["failures"] + 1
    values = {"failures": failures, "last_at": now, "not_before": now + limit.wait(failures)}
    connection.execute(attempts.update().where(attempts.c.key == key).values(**values))


def _limits(account: str, address: str) -> dict[str, Limit]:
    return {_pair(account, address): PAIR, _key("address", address): ADDRESS, _key("account", account): ACCOUNT}


def _pair(account: str, address: str) -> str:
    return f"pair:{_hash(account)}:{_hash(address)}"


def _key(what: str, name: str) -> str:
    return f"{what}:{_hash(name)}"


def _hash(name: str) -> str:
    # what was typed as a name may have been a password
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _too_many(wait: timedelta) -> TooManyRequests:
    seconds = int(wait.total_seconds()) + 1
    return TooManyRequests(f"too many failed logins: try again in {seconds} seconds", retry_after=seconds)
