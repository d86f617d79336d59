"""What one process of all that share a database holds for as long as it lives."""

from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from boathouse.database.engine import Database

_SILENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""After some ten seconds without a word from the other machine, each side takes the connection for dead."""
_SERVER = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3"


class Held:
    """A lock in the database that ends with the connection of its holder: with its process, its machine or its network.

    On SQLite one process owns the home, and holds whatever it asks for.
    """

    def __init__(self, database: Database, what: int) -> None:
        self._database = database
        self._what = what
        self._connection: Connection | None = None

    def take(self) -> bool:
        """Take it, or see whether it is held still; whether it is ours now. Raises DBAPIError while nobody answers."""
        if self._database.is_sqlite:
            return True
        if self._connection is not None:
            try:
                self._connection.exec_driver_sql("SELECT 1")
                return True
            except DBAPIError:
                self.release()
        made: Any = create_engine(
            self._database.url, connect_args=_SILENCE, poolclass=NullPool, isolation_level="AUTOCOMMIT"
        ).connect()
        made.exec_driver_sql(_SERVER)
        if made.exec_driver_sql(f"SELECT pg_try_advisory_lock({self._what})").scalar():
            self._connection = made
            return True
        made.close()
        return False

    def release(self) -> None:
        """Give it back."""
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
