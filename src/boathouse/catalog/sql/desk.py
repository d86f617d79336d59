"""Users' queries: each gets an engine of its own that knows only the granted tables."""

import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.sql.result import QueryResult, failed
from boathouse.catalog.sql.sources import tables_of
from boathouse.catalog.values import TableInfo
from boathouse.errors import BoathouseError
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Engine, Origin

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class _Opened:
    """A granted table at one snapshot."""

    info: TableInfo
    folder: DeltaFolder
    snapshot: Any


class SqlDesk:
    """Runs users' queries, locked down, with a time limit."""

    def __init__(self, catalog: Catalog, seconds: float = 300, memory: str = "4GB") -> None:
        self._catalog = catalog
        self._seconds = seconds
        self._memory = memory

    @contextmanager
    def run(self, identity: Identity, query: str, environment: str) -> Iterator[QueryResult]:
        """The result of a query; two-level names mean `environment`. Raises InvalidInput, NotPermitted, NotFound."""
        wanted = {written: str(names.parse(written, environment, identity.scratch)) for written in tables_of(query)}
        tables = {name: self._open(identity, name) for name in dict.fromkeys(wanted.values())}
        engine = Engine(memory=self._memory)
        timer = threading.Timer(self._seconds, engine.connection.interrupt)
        timer.start()
        try:
            _prepare(engine, identity, {written: tables[name] for written, name in wanted.items()})
            rows = engine.connection.sql(query).to_arrow_reader(_BATCH_ROWS)
            versions = {n: t.snapshot.version() for n, t in sorted(tables.items())}
            inputs = {written: Origin(name, str(versions[name])) for written, name in wanted.items()}
            yield QueryResult(uuid.uuid4().hex, rows, versions, Origin(query=query, inputs=inputs))
        except BoathouseError:
            raise
        except Exception as error:
            raise failed(error) from error
        finally:
            timer.cancel()
            engine.connection.close()

    def _open(self, identity: Identity, name: str) -> _Opened:
        self._catalog.access.authorize(identity, "SELECT", "table", name)
        info = self._catalog.table(name)
        folder = self._catalog.folder(info)
        return _Opened(info, folder, folder.table())


def _prepare(engine: Engine, identity: Identity, opened: Mapping[str, _Opened]) -> None:
    groups = ", ".join("'" + g.replace("'", "''") + "'" for g in sorted(identity.names))
    engine.connection.execute(f"CREATE MACRO is_member(g) AS list_contains([{groups}], g)")
    for written, table in opened.items():
        _define(engine, written, table)
    engine.lock([str(table.folder.local) for table in opened.values() if table.folder.local])


def _define(engine: Engine, written: str, table: _Opened) -> None:
    levels = ['"' + level.replace('"', '""') + '"' for level in written.split(".")]
    if len(levels) == 3:
        engine.connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {levels[0]}")
    engine.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {'.'.join(levels[:-1])}")
    scan = engine.scan(table.snapshot)
    masked = ", ".join(f'({mask}) AS "{column}"' for column, mask in table.info.masks.items())
    columns = f"* REPLACE ({masked})" if masked else "*"
    kept = f" WHERE {table.info.row_filter}" if table.info.row_filter else ""
    engine.connection.execute(f"CREATE VIEW {'.'.join(levels)} AS SELECT {columns} FROM {scan}{kept}")
