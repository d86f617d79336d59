"""One short query, asked many times a second, without the cost of a session around it."""

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from boathouse.database.engine import Database


class Glance:
    """Asks for what is new, committed by whichever process: 3 µs on SQLite, one round trip a request on PostgreSQL.

    `query` has `?` where its parameters go, and gives only rows that were not seen before. On SQLite it is asked on a
    connection of its own, so that no transaction stays open behind it and no snapshot grows old.
    """

    def __init__(self, database: "Database", query: str) -> None:
        self._database = database
        self._query = query if database.is_sqlite else query.replace("?", "%s")
        self._lock = threading.Lock()
        self._connection: Any = None

    def rows(self, *parameters: Any) -> list[Any]:
        """The new rows, as tuples; none where this request has looked already."""
        if self._database.is_sqlite:
            with self._lock:  # the module would let two threads share a cursor
                if self._connection is None:
                    self._connection = self._database.detached()
                found: list[Any] = self._connection.execute(self._query, parameters).fetchall()
                return found
        if self._database.looked(self):
            return []
        with self._database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            return list(connection.exec_driver_sql(self._query, parameters))

    def close(self) -> None:
        """Give the connection back."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
