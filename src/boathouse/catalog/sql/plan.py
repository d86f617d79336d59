"""From a user's SQL to what a worker may run: every name resolved, authorized and pinned to a snapshot."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.sql.reading import Reading, TableRead, check_expression, read
from boathouse.catalog.sql.snapshots import Snapshots
from boathouse.catalog.sql.sources import sources_of
from boathouse.catalog.sql.time_travel import moment, rewritten
from boathouse.catalog.values import TableInfo
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.lake import UNKNOWN, NamedScan, Origin, WorkerProcess, quoted

_LONGEST = 200_000
_BARRIER = " LIMIT 9223372036854775807"
"""A limit that cuts nothing off: DuckDB moves no condition below it, so that a predicate of the query cannot see,
and by its errors tell, rows that the filter hides."""


@dataclass(frozen=True)
class Plan:
    """A query ready for a worker, and the versions that it reads."""

    query: str
    versions: dict[str, int] = field(default_factory=dict)
    setup: list[str] = field(default_factory=list)
    sources: list[NamedScan] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    origin: Origin = UNKNOWN


class Planner:
    """Makes plans; needs a worker to take the query apart."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._snapshots = Snapshots()

    def plan(self, worker: WorkerProcess, identity: Identity, query: str, environment: str) -> Plan:
        """What to run for an identity. Raises InvalidInput, NotPermitted, NotFound."""
        text = rewritten(query.strip().rstrip(";"))
        reading = _read(worker, text)
        sources: list[NamedScan] = []
        versions: dict[str, int] = {}
        folders: list[str] = []
        inputs: dict[str, Origin] = {}
        schemas: dict[str, None] = {}
        for path in dict.fromkeys(table.path for table in reading.tables):
            source, name, version, folder = self._source(worker, identity, path, environment)
            sources.append(source)
            versions[name] = max(version, versions.get(name, 0))
            inputs[".".join(path)] = Origin(name, str(version))
            schemas |= dict.fromkeys(_schemas(path))
            folders += [folder] if folder else []
        setup = [*_functions(identity), *schemas]
        final = _aliased(text, reading.tables)
        return Plan(final, dict(sorted(versions.items())), setup, sources, folders, Origin(query=final, inputs=inputs))

    def _source(self, worker: WorkerProcess, identity: Identity, path: tuple[str, ...],
                environment: str) -> tuple[NamedScan, str, int, str | None]:  # fmt: skip
        last, when = moment(path[-1])
        name = str(names.parse(".".join([*path[:-1], last]), environment, identity.scratch))
        self._catalog.access.authorize(identity, "SELECT", "table", name)
        info = self._catalog.table(name)
        snapshot = self._snapshots.of(info, self._catalog.folder(info), when)
        before, after = _shown(worker, info)
        source = NamedScan(
            view=".".join(map(quoted, path)), before=before, after=after, files=snapshot.files,
            location=snapshot.location, version=snapshot.version,
            options=dict(snapshot.options) if snapshot.files is None else {},
        )  # fmt: skip
        return source, name, snapshot.version, snapshot.local


def _read(worker: WorkerProcess, text: str) -> Reading:
    """What DuckDB reads in a query, where SQLGlot reads the same. Raises InvalidInput."""
    if len(text) > _LONGEST:
        raise InvalidInput(f"the SQL is {len(text):,} characters long; at most {_LONGEST:,} are read")
    second = set(sources_of(text))
    parsed = worker.parse(text)
    reading = read(parsed.tree, parsed.kinds)
    first = {table.path for table in reading.tables}
    if first != second:
        doubtful = ", ".join(sorted(".".join(path) for path in first ^ second))
        raise InvalidInput(f"two parsers disagree on whether {doubtful} is a table here; write the query more plainly")
    return reading


def _shown(worker: WorkerProcess, info: TableInfo) -> tuple[str, str]:
    """SQL before and after a table's scan: masks in place of columns, and the rows that the filter leaves."""
    for expression in [*info.masks.values(), *([info.row_filter] if info.row_filter else [])]:
        _check(worker, expression)
    masked = ", ".join(f"({mask}\n) AS {quoted(column)}" for column, mask in info.masks.items())
    columns = f"* REPLACE ({masked})" if masked else "*"
    kept = f" WHERE ({info.row_filter}\n){_BARRIER}" if info.row_filter else ""
    return f"SELECT {columns} FROM ", kept


def _check(worker: WorkerProcess, expression: str) -> None:
    parsed = worker.parse(f"SELECT ({expression}\n)")
    check_expression(parsed.tree, parsed.kinds)


def _functions(identity: Identity) -> Iterable[str]:
    """Who asks, for masks, filters and queries."""
    groups = ", ".join(_text(g) for g in sorted(identity.names))
    yield f"CREATE MACRO is_member(g) AS list_contains([{groups}], g)"
    for name in ("current_user", "session_user", "user", "current_role"):
        yield f"CREATE MACRO {quoted(name)}() AS {_text(identity.principal)}"


def _schemas(path: tuple[str, ...]) -> Iterable[str]:
    if len(path) == 3:
        yield f"ATTACH IF NOT EXISTS ':memory:' AS {quoted(path[0])}"
    yield f"CREATE SCHEMA IF NOT EXISTS {'.'.join(map(quoted, path[:-1]))}"


def _aliased(text: str, tables: Iterable[TableRead]) -> str:
    """Tables of another time keep their plain name for columns: `t@v3` is still `t`."""
    encoded = text.encode()
    for table in sorted(tables, key=lambda t: t.end or 0, reverse=True):
        plain, at, _ = table.path[-1].partition("@")
        if at and not table.alias and table.end is not None:
            encoded = encoded[: table.end] + f" AS {quoted(plain)}".encode() + encoded[table.end :]
    return encoded.decode()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
