"""Versions of tables that somebody needs: a vacuum keeps them, and whoever drops their table is told."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlalchemy as sa

from boathouse.catalog.store import pins
from boathouse.database import Database

_PINNING = 0x70_69_6E
"""What servers of one database wait for one another with."""


class Pins:
    """Who needs which version."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nothing is pinned meanwhile, by no server: for a vacuum, which reads the pins and then deletes files."""
        with self._lock, self._database.alone(_PINNING):
            yield

    def pin(self, name: str, version: int, holder: str) -> None:
        """Keep a table's version for as long as `holder` needs it."""
        row = {"table_name": name, "version": version, "holder": holder}
        with self.still(), self._database.writing() as connection:
            known = sa.select(pins).where(*(pins.c[k] == v for k, v in row.items()))
            if not connection.execute(known).first():
                connection.execute(pins.insert().values(**row))

    def hold(self, prefix: str, wanted: Mapping[str, Mapping[str, int]]) -> None:
        """Holder -> the versions of tables that it needs, of all holders whose names begin so; others of them need none."""
        rows = {(table, version, holder) for holder, tables in wanted.items() for table, version in tables.items()}
        theirs = pins.c.holder.startswith(prefix, autoescape=True)
        with self.still(), self._database.writing() as connection:
            there = {(r.table_name, r.version, r.holder) for r in connection.execute(sa.select(pins).where(theirs))}
            for table, version, holder in there - rows:
                here = (pins.c.table_name == table, pins.c.version == version, pins.c.holder == holder)
                connection.execute(pins.delete().where(*here))
            for table, version, holder in sorted(rows - there):
                connection.execute(pins.insert().values(table_name=table, version=version, holder=holder))

    def of(self, name: str) -> dict[int, str]:
        """Version -> who needs it."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(pins).where(pins.c.table_name == name).order_by(pins.c.holder)).all()
        return {r.version: ", ".join(other.holder for other in rows if other.version == r.version) for r in rows}
