"""SQL over whatever a caller may read: each query gets an engine of its own that knows only the granted tables."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.values import TableInfo
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Engine, Relation

_SAFE_SOURCES = {"range", "generateseries", "unnest", "explodinggenerateseries", "values"}


def tables_of(query: str) -> list[str]:
    """The tables a query reads, as it writes them. Raises InvalidInput for anything but one reading statement."""
    try:
        statements = [s for s in sqlglot.parse(query, dialect="duckdb") if s is not None]
    except SqlglotError as error:
        raise InvalidInput(f"the SQL cannot be read: {str(error).splitlines()[0]}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query | exp.Describe | exp.Summarize):
        raise InvalidInput("one SELECT is expected; tables are changed through Python (`lake.table(…)`) or jobs")
    return _sources(statements[0])


def _sources(tree: exp.Expr) -> list[str]:
    found: dict[str, None] = {}
    for lateral in tree.find_all(exp.Lateral):
        if not isinstance(lateral.this, exp.Subquery):
            _check_source(lateral.this)
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            _check_source(table.this)
            continue
        name = ".".join(part.name for part in table.parts)
        if not _is_local(table):
            found[name] = None
    return list(found)


def _check_source(source: exp.Expr) -> None:
    kind = (source.name if isinstance(source, exp.Anonymous) else type(source).__name__).lower()
    if kind not in _SAFE_SOURCES:
        raise InvalidInput(f"{kind}() is not allowed in FROM: read tables by their names")


def _is_local(table: exp.Table) -> bool:
    """Whether a name of one level means a common table expression that is in scope where it stands."""
    if len(table.parts) != 1:
        return False
    within: exp.Expr | None = None
    node: exp.Expr | None = table
    while node is not None:
        clause = next((part for part in node.args.values() if isinstance(part, exp.With)), None)
        if clause is not None:
            defined = clause.expressions
            if within in defined:  # it sees those before it, and itself where they are recursive
                defined = defined[: defined.index(within) + bool(clause.args.get("recursive"))]
            if table.name.lower() in {cte.alias_or_name.lower() for cte in defined}:
                return True
        within = node if isinstance(node, exp.CTE) else within
        node = node.parent
    return False


class SqlDesk:
    """Runs users' queries, locked down, with a time limit."""

    def __init__(self, catalog: Catalog, seconds: float = 300, memory: str = "4GB") -> None:
        self._catalog = catalog
        self._seconds = seconds
        self._memory = memory

    @contextmanager
    def run(self, identity: Identity, query: str, environment: str) -> Iterator[Relation]:
        """The result of a query; two-level names mean `environment`. Raises InvalidInput, NotPermitted, NotFound."""
        wanted = {written: names.parse(written, environment, identity.scratch) for written in tables_of(query)}
        opened = {w: self._open(identity, str(n)) for w, n in wanted.items()}
        engine = Engine(memory=self._memory)
        timer = threading.Timer(self._seconds, engine.connection.interrupt)
        timer.start()
        try:
            _prepare(engine, identity, opened)
            yield engine.relation(query)
        except BoathouseError:
            raise
        except Exception as error:
            raise InvalidInput(f"the query failed: {str(error).splitlines()[0]}") from error
        finally:
            timer.cancel()
            engine.connection.close()

    def versions(self, identity: Identity, query: str, environment: str) -> dict[str, int]:
        """Table -> newest version, of what a query reads."""
        full = {str(names.parse(t, environment, identity.scratch)) for t in tables_of(query)}
        return {name: DeltaFolder(self._catalog.table(name).location, name).version() for name in sorted(full)}

    def _open(self, identity: Identity, name: str) -> TableInfo:
        self._catalog.access.authorize(identity, "SELECT", "table", name)
        return self._catalog.table(name)


def _prepare(engine: Engine, identity: Identity, opened: Mapping[str, TableInfo]) -> None:
    groups = ", ".join("'" + g.replace("'", "''") + "'" for g in sorted(identity.names))
    engine.connection.execute(f"CREATE MACRO is_member(g) AS list_contains([{groups}], g)")
    for written, info in opened.items():
        _define(engine, written, info)
    folders = (DeltaFolder(info.location, info.name).local for info in opened.values())
    engine.lock([str(folder) for folder in folders if folder])


def _define(engine: Engine, written: str, info: TableInfo) -> None:
    levels = ['"' + level.replace('"', '""') + '"' for level in written.split(".")]
    if len(levels) == 3:
        engine.connection.execute(f"ATTACH IF NOT EXISTS ':memory:' AS {levels[0]}")
    engine.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {'.'.join(levels[:-1])}")
    scan = engine.scan(DeltaFolder(info.location, info.name).table())
    masked = ", ".join(f'({mask}) AS "{column}"' for column, mask in info.masks.items())
    columns = f"* REPLACE ({masked})" if masked else "*"
    kept = f" WHERE {info.row_filter}" if info.row_filter else ""
    engine.connection.execute(f"CREATE VIEW {'.'.join(levels)} AS SELECT {columns} FROM {scan}{kept}")
