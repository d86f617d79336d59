"""A home's metadata database and its tables, moved to another kind of place; what was there stays as it was."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import obstore
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput
from boathouse.home import Home
from boathouse.lake import storages
from boathouse.platform.keeping.backup import Told
from boathouse.registry import prepare_mlflow
from boathouse.settings import Settings

_ROWS = 2_000
_VERSIONS = ("alembic_version",)
_PART = 64 << 20


@dataclass(frozen=True)
class Moved:
    """What was done: `what` is metadata, tables or format, `place` where they lie now without its password."""

    what: str
    place: str
    said: str
    tables: int = 0
    rows: int = 0
    files: int = 0
    bytes: int = 0


@contextmanager
def owned(settings: Settings) -> Iterator[None]:
    """Nobody else works on the home meanwhile. Raises HomeInUse, InvalidInput where there is none."""
    if not (settings.home / "home.json").exists():
        raise InvalidInput(f"{settings.home} is no home of Boathouse; set BOATHOUSE_HOME or --home")
    home = Home(settings)
    home.acquire()
    try:
        yield
    finally:
        home.release()


def bring_up_to_date(settings: Settings) -> Moved:
    """Make tables and columns that this program knows and the database has not, ours and MLflow's. The caller owns the home."""
    database = Database(settings.database_url)
    try:
        before = _columns(database)
        database.create_tables()
        prepare_mlflow(settings.database_url, _artifacts(settings))
        added = len(_columns(database) - before)
        said = f"{added} columns were added" if added else "up to date"
        return Moved("format", _shown(settings.database_url), said)
    finally:
        database.close()


def move_database(settings: Settings, target_url: str, told: Told = lambda _done, _all: None) -> Moved:
    """Copy every row of the metadata into an empty database, in one transaction, and compare their numbers.

    The caller owns the home. Raises InvalidInput, Conflict where the target holds rows already.
    """
    if make_url(settings.database_url) == make_url(target_url):
        raise InvalidInput("the metadata is in that database already")
    source, target = Database(settings.database_url), Database(target_url)
    try:
        _empty(target)
        target.create_tables()
        prepare_mlflow(target_url, _artifacts(settings))
        with source.engine.connect() as reading, target.writing() as writing:
            tables = _shared_tables(reading, writing)
            whole = sum(_count(reading, table) for table in tables)
            for table in reversed(tables):
                if _count(writing, table):  # what a new database is born with, such as MLflow's default experiment
                    writing.execute(table.delete())
            rows = 0
            for table in tables:
                for part in _copy(table, reading, writing):
                    rows += part
                    told(rows, whole)
            _continue_numbers(writing, tables)
        place = _shown(target_url)
        return Moved("metadata", place, f"{rows:,} rows of {len(tables)} tables are in {place}", tables=len(tables), rows=rows)
    finally:
        source.close()
        target.close()


def _shared_tables(reading: Connection, writing: Connection) -> list[sa.Table]:
    """The target's tables that the source has, those that others point to first."""
    shape = sa.MetaData()
    shape.reflect(writing)
    known = set(sa.inspect(reading).get_table_names())
    return [table for table in shape.sorted_tables if table.name not in _VERSIONS and table.name in known]


def _columns(database: Database) -> set[tuple[str, str]]:
    with database.reading() as connection:
        found = sa.inspect(connection).get_multi_columns()
    return {(str(name), column["name"]) for (_, name), columns in found.items() for column in columns}


def _artifacts(settings: Settings) -> str:
    return str(settings.path("mlflow-artifacts"))


def _shown(url: str) -> str:
    return make_url(url).render_as_string()


def _count(connection: Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


def _empty(target: Database) -> None:
    with target.reading() as connection:
        names = sa.inspect(connection).get_table_names()
        held = [name for name in names if name.startswith("bh_")
                and connection.execute(sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)).first()]  # fmt: skip
    if held:
        raise Conflict(f"the database to move to holds rows already ({held[0]}); give an empty one")


def _copy(table: sa.Table, reading: Connection, writing: Connection) -> Iterator[int]:
    """Copies a table, and tells part by part how many rows went over. Raises Conflict where they are not all there."""
    there = {c["name"] for c in sa.inspect(reading).get_columns(table.name)}
    columns = [c for c in table.columns if c.name in there and c.computed is None]
    count = 0
    for rows in _in_parts(reading, sa.select(*columns).order_by(*_parents_first(table))):
        writing.execute(table.insert(), rows)
        count += len(rows)
        yield len(rows)
    if (found := _count(writing, table)) != count:
        raise Conflict(f"{table.name}: {count} rows were read and {found} are there; nothing was moved")


def _parents_first(table: sa.Table) -> list[Any]:
    """Rows that point to rows of their own table come after those, which are older."""
    return list(table.primary_key.columns) if any(k.column.table is table for k in table.foreign_keys) else []


def _in_parts(reading: Connection, query: sa.Select[Any]) -> Iterator[list[dict[str, Any]]]:
    with reading.execution_options(stream_results=True).execute(query) as result:
        for part in result.mappings().partitions(_ROWS):
            yield [dict(row) for row in part]


def _continue_numbers(connection: Connection, tables: list[sa.Table]) -> None:
    """PostgreSQL counts in sequences, which know nothing of rows that brought their numbers."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        for column in table.primary_key.columns:
            if not isinstance(column.type, sa.Integer):
                continue
            quoted = connection.dialect.identifier_preparer.quote(table.name)
            name = connection.execute(sa.select(sa.func.pg_get_serial_sequence(quoted, column.name))).scalar()
            if name:
                newest = connection.execute(sa.select(sa.func.max(column))).scalar() or 0
                connection.execute(sa.select(sa.func.setval(name, max(newest, 1), newest > 0)))


def move_tables(settings: Settings, place: str, told: Told = lambda _done, _all: None) -> Moved:
    """Copy every file of the default storage into an empty one. The caller owns the home.

    Raises InvalidInput for a URL that is no storage, Conflict where something lies there, Unavailable.
    """
    source = storages(settings.storage, {}, os.environ).default
    target = storages(place, settings.storages, os.environ).default
    target.check()
    if target.holds_anything():
        raise Conflict(f"{target.url} is not empty; give an empty place")
    reading, writing = source.store(), target.store()
    files = [(str(meta["path"]), int(meta["size"])) for page in obstore.list(reading) for meta in page]
    whole, done = sum(size for _, size in files), 0
    for path, size in files:
        if size > _PART:
            obstore.put(writing, path, obstore.get(reading, path).stream(min_chunk_size=8 << 20), use_multipart=True)
        else:
            obstore.put(writing, path, obstore.get(reading, path).bytes())
        done += size
        told(done, whole)
    return Moved("tables", target.url, f"{len(files):,} files are in {target.url}", files=len(files), bytes=done)
