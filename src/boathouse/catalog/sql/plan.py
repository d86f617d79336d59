"""From a user's SQL to what a worker may run: every name resolved, authorized and pinned to a snapshot."""

from collections.abc import Callable
from dataclasses import dataclass, field

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.sql.asker import asker
from boathouse.catalog.sql.parsing import Parsing
from boathouse.catalog.sql.reading import Reading
from boathouse.catalog.sql.schema_views import SCHEMA, schema_view
from boathouse.catalog.sql.snapshots import Snapshots
from boathouse.catalog.sql.splice import Path, spliced
from boathouse.catalog.sql.time_travel import Moment, moment, rewritten
from boathouse.catalog.values import TableInfo
from boathouse.errors import BoathouseError, Conflict, InvalidInput, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import UNKNOWN, NamedScan, Origin, WorkerProcess, quoted

Identify = Callable[[str], Identity]
"""An owner's name -> who that is, with groups."""

_OURS = ("memory", "bh#")
"""A schema for what a query cannot name itself: no name of ours holds a #."""
_TAKEN = frozenset({"system", "temp", "memory"})
"""Catalogs that every engine has already."""
_NESTED = 16
_BARRIER = " LIMIT 9223372036854775807"
"""A limit that cuts nothing off: DuckDB moves no condition below it, so that a predicate of the query cannot see,
and by its errors tell, rows that a filter or a view hides."""


@dataclass(frozen=True)
class Plan:
    """A query ready for a worker, and the versions that it reads."""

    query: str
    versions: dict[str, int] = field(default_factory=dict)
    setup: list[str] = field(default_factory=list)
    scans: list[NamedScan] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    origin: Origin = UNKNOWN


class Planner:
    """Makes plans, for any thread; needs a worker to take the query apart."""

    def __init__(self, catalog: Catalog, identify: Identify = Identity) -> None:
        self.catalog = catalog
        self.identify = identify
        self.snapshots = Snapshots()
        self.parsing = Parsing()

    def plan(self, worker: WorkerProcess, identity: Identity, query: str, environment: str) -> Plan:
        """What to run for an identity. Raises InvalidInput, NotPermitted, NotFound."""
        return _Planning(self, worker, identity, environment).plan(query)

    def reading(self, worker: WorkerProcess, query: str) -> tuple[str, Reading]:
        """A query with its time travel inside names, and what it reads. Raises InvalidInput."""
        text = rewritten(query.strip().rstrip(";").strip())
        return text, self.parsing.query(worker, text)


class _Planning:
    """One plan in the making."""

    def __init__(self, planner: Planner, worker: WorkerProcess, identity: Identity, environment: str) -> None:
        self._planner = planner
        self._catalog = planner.catalog
        self._worker = worker
        self._identity = identity
        self._environment = environment
        self._scans: list[NamedScan] = []
        self._schemas: dict[str, None] = {}
        self._folders: dict[str, None] = {}
        self._versions: dict[str, int] = {}
        self._within: dict[tuple[str, Moment], Path] = {}

    def plan(self, query: str) -> Plan:
        text, reading = self._planner.reading(self._worker, query)
        places: dict[Path, Path] = {}
        inputs: dict[str, Origin] = {}
        for path in dict.fromkeys(table.path for table in reading.tables):
            places[path] = self._place(path)
            origin = self._read(path, places[path], reading.condition)
            inputs[".".join(places[path])] = origin
        final = spliced(text, reading.tables, places)
        setup = [*asker(self._identity), *self._schemas]
        return Plan(final, dict(sorted(self._versions.items())), setup, self._scans, list(self._folders),
                    Origin(query=final, inputs=inputs))  # fmt: skip

    def _place(self, path: Path) -> Path:
        """The name under which the engine finds a table: the one that is written, where that is free."""
        if (path[-2:-1] and path[-2].lower() == SCHEMA) or (len(path) > 1 and path[0].lower() in _TAKEN):
            return *_OURS, str(len(self._scans))
        return path

    def _read(self, path: Path, place: Path, condition: str) -> Origin:
        if len(path) in (2, 3) and path[-2].lower() == SCHEMA:
            environment = path[0] if len(path) == 3 else self._environment
            self._catalog.access.authorize(self._identity, "USE CATALOG", "catalog", environment)
            self._add(NamedScan(_written(place), rows=schema_view(self._catalog, self._identity, environment, path[-1])), place)
            return UNKNOWN
        last, when = moment(path[-1])
        name = str(names.parse(".".join([*path[:-1], last]), self._environment, self._identity.scratch))
        self._catalog.access.authorize(self._identity, "SELECT", "table", name)
        info = self._catalog.table(name)
        version = self._define(info, when, place, (), condition)
        return Origin(name, None if version is None else str(version))

    def _define(self, info: TableInfo, when: Moment, place: Path, views: tuple[str, ...], condition: str = "") -> int | None:
        """A table or view under a name of the engine's; whoever calls has authorized. Its version."""
        before, after = self._shown(info)
        if info.view is not None:
            if when != Moment():
                raise InvalidInput(f"{info.name} is a view, which has no versions: ask for one of its tables'")
            text, hides = self._view(info, info.view, (*views, info.name))
            tail = after or (_BARRIER if hides else "")
            self._add(NamedScan(_written(place), before, tail, files=f"({text}\n)"), place)
            return None
        if info.masks or info.row_filter:  # the condition is on what is shown, which the log does not know
            condition = ""
        snapshot = self._planner.snapshots.of(info, self._catalog.folder(info), when, condition)
        options = {} if snapshot.files is not None else dict(self._catalog.reading_options(self._identity, info))
        scan = NamedScan(
            _written(place), before, after, snapshot.files, snapshot.location, snapshot.version, options, condition
        )
        self._add(scan, place)
        if snapshot.local:
            self._folders[snapshot.local] = None
        if not views or self._may_read(info.name):
            self._versions[info.name] = max(snapshot.version, self._versions.get(info.name, 0))
        return snapshot.version

    def _view(self, info: TableInfo, definition: str, views: tuple[str, ...]) -> tuple[str, bool]:
        """A view's SQL over names of ours, and whether it hides rows of tables that the caller may not read.

        Its owner must still hold SELECT on what it reads. Raises NotPermitted, Conflict.
        """
        if len(views) > _NESTED or info.name in views[:-1]:
            raise Conflict(f"{views[0]} is made of itself, or of more than {_NESTED} views on each other; replace one of them")
        mine = info.owner == self._identity.principal  # inside a throw-away schema too
        owner = self._identity if mine else self._planner.identify(info.owner)
        text, reading = self._planner.reading(self._worker, definition)
        places: dict[Path, Path] = {}
        hides = False
        for path in dict.fromkeys(table.path for table in reading.tables):
            last, when = moment(path[-1])
            name = str(names.parse(".".join([*path[:-1], last])))
            inner = self._inner(name, info)
            if not self._catalog.access.allows(owner, "SELECT", "table", name):
                raise self._owner_lacks(info)
            hides = hides or not self._may_read(name)
            if (name, when) not in self._within:
                self._within[name, when] = (*_OURS, f"{len(self._within)} {name}")
                self._define(inner, when, self._within[name, when], views)
            places[path] = self._within[name, when]
        return spliced(text, reading.tables, places), hides

    def _inner(self, name: str, view: TableInfo) -> TableInfo:
        try:
            return self._catalog.table(name)
        except BoathouseError as error:
            raise Conflict(f"the view {view.name} reads a table that is gone; its owner {view.owner} can replace it") from error

    def _owner_lacks(self, info: TableInfo) -> NotPermitted:
        self._catalog.audit.record(self._identity.principal, "denied SELECT", info.name, {"owner": info.owner}, "denied")
        return NotPermitted(f"the view {info.name} cannot be read: its owner {info.owner} may not read all that it is made of")

    def _may_read(self, name: str) -> bool:
        return self._catalog.access.allows(self._identity, "SELECT", "table", name)

    def _shown(self, info: TableInfo) -> tuple[str, str]:
        """SQL before and after a table's scan: masks in place of columns, and the rows that the filter leaves."""
        for column, mask in info.masks.items():
            self._planner.parsing.expression(self._worker, mask, f"the mask of {info.name}.{column}")
        if info.row_filter:
            self._planner.parsing.expression(self._worker, info.row_filter, f"the row filter of {info.name}")
        masked = ", ".join(f"({mask}\n) AS {quoted(column)}" for column, mask in info.masks.items())
        columns = f"* REPLACE ({masked})" if masked else "*"
        kept = f" WHERE ({info.row_filter}\n){_BARRIER}" if info.row_filter else ""
        return f"SELECT {columns} FROM ", kept

    def _add(self, scan: NamedScan, place: Path) -> None:
        if len(place) == 3 and place[0] != _OURS[0]:
            self._schemas[f"ATTACH IF NOT EXISTS ':memory:' AS {quoted(place[0])}"] = None
        self._schemas[f"CREATE SCHEMA IF NOT EXISTS {_written(place[:-1])}"] = None
        self._scans.append(scan)


def _written(path: Path) -> str:
    return ".".join(map(quoted, path))
