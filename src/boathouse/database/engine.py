"""One engine with the hooks that SQLite needs to be safe under several threads and processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import Connection, DateTime, create_engine, event, inspect
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.schema import CreateColumn

from boathouse.database.glance import Glance
from boathouse.database.instants import UtcOnSqlite
from boathouse.database.schema import metadata

_BUSY_MILLISECONDS = 30_000
_WRITERS = 0x626F6174
"""The lock that writers take on PostgreSQL, one number for all of Boathouse in a database."""


class Database:
    """Readers wait for nobody; writers take the write lock first, so read-then-write never fails half-way.

    Blocks of `writing()` nest: the outermost commits, so several rooms can share one transaction.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        arguments: dict[str, Any] = {"timeout": _BUSY_MILLISECONDS / 1000, "check_same_thread": False}
        self.engine: Engine = create_engine(
            url, connect_args=arguments if self.is_sqlite else {}, pool_size=8, max_overflow=32
        )
        # There a statement sees what was committed when it began, in a transaction or not: reads save its begin and its end.
        self._reader = self.engine if self.is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._open: ContextVar[Connection | None] = ContextVar(f"transaction-{id(self)}", default=None)
        self._glances: list[Glance] = []
        self._visit: ContextVar[set[Glance] | None] = ContextVar(f"visit-{id(self)}", default=None)
        if self.is_sqlite:
            self.engine.dialect.colspecs = {**self.engine.dialect.colspecs, DateTime: UtcOnSqlite}
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)

    def create_tables(self) -> None:
        """Create what is missing, new columns of tables that are there included; nothing is changed or removed."""
        with self.writing() as connection:
            metadata.create_all(connection)
            _add_columns(connection)
            for table in metadata.tables.values():
                for index in table.indexes:
                    index.create(connection, checkfirst=True)

    @property
    def in_transaction(self) -> bool:
        """Whether the caller is inside a `writing()` block, whose changes nobody else sees yet."""
        return self._open.get() is not None

    def glance(self, query: str) -> Glance:
        """A short query that is asked very often, `?` for its parameters."""
        made = Glance(self, query)
        self._glances.append(made)
        return made

    @contextmanager
    def visit(self) -> Iterator[None]:
        """One request. On PostgreSQL a glance is taken once in it, and again after a write of its own.

        What another process commits meanwhile is seen from the next request on; on SQLite, where a look costs
        nothing, at once.
        """
        token = self._visit.set(set())
        try:
            yield
        finally:
            self._visit.reset(token)

    def looked(self, glance: Glance) -> bool:
        """Whether the request has taken this glance already; from now on it has."""
        taken = self._visit.get()
        if taken is None or self.is_sqlite:
            return False
        before = glance in taken
        taken.add(glance)
        return before

    def detached(self) -> Any:
        """A driver connection outside the pool; whoever takes it closes it."""
        connection = self.engine.raw_connection()
        driver = connection.driver_connection
        connection.detach()
        return driver

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading; inside a `writing()` block it is that block's.

        On PostgreSQL each statement sees what is committed by then; on SQLite all of them see what the first one saw.
        """
        if (current := self._open.get()) is not None:
            yield current
            return
        with self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction holding the write lock from its first statement; commits at the outermost end."""
        if (current := self._open.get()) is not None:
            yield current
            return
        with self.engine.connect().execution_options(boathouse_write=True) as connection, connection.begin():
            if not self.is_sqlite:  # what BEGIN IMMEDIATE is there: rooms read, then write, and count on nobody between
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS})")
            token = self._open.set(connection)
            try:
                yield connection
            finally:
                self._open.reset(token)
        if (taken := self._visit.get()) is not None:
            taken.clear()

    @contextmanager
    def alone(self, what: int) -> Iterator[None]:
        """On PostgreSQL, nobody in any process does the same meanwhile; on SQLite one process owns the home anyway."""
        if self.is_sqlite:
            yield
            return
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"SELECT pg_advisory_lock({what})")
            try:
                yield
            finally:
                connection.exec_driver_sql(f"SELECT pg_advisory_unlock({what})")

    def close(self) -> None:
        """Give every connection back."""
        for glance in self._glances:
            glance.close()
        self.engine.dispose()


def gone(error: BaseException) -> bool:
    """Whether an error says that the database does not answer, or went away meanwhile; the next try connects anew."""
    return isinstance(error, DBAPIError) and (error.connection_invalidated or _no_connection(error))


def _no_connection(error: DBAPIError) -> bool:
    return isinstance(error, OperationalError) and error.statement is None


def _add_columns(connection: Connection) -> None:
    """A column that a newer program knows may be null in rows of before, or has a default that the server fills in."""
    there = inspect(connection).get_multi_columns(filter_names=list(metadata.tables))
    quote = connection.dialect.identifier_preparer
    for (_, name), columns in there.items():
        known = {c["name"] for c in columns}
        for column in metadata.tables[name].columns:
            if column.name not in known:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                connection.exec_driver_sql(f"ALTER TABLE {quote.quote(name)} ADD COLUMN {definition}")


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin deferred transactions by itself
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_MILLISECONDS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("boathouse_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
