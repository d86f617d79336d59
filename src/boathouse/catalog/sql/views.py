"""Views: their SQL is kept with full names, and read with the rights of their owner."""

import pyarrow as pa

from boathouse import names
from boathouse.catalog.service import Catalog
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.sql.plan import Planner
from boathouse.catalog.sql.reading import TableRead
from boathouse.catalog.sql.schema_views import SCHEMA
from boathouse.catalog.sql.splice import Path, spliced
from boathouse.catalog.sql.statements import CreateView
from boathouse.catalog.sql.time_travel import moment
from boathouse.catalog.values import TableInfo
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import Origin, WorkerPool, quoted


class ViewMaker:
    """Makes and replaces views."""

    def __init__(self, catalog: Catalog, planner: Planner, pool: WorkerPool) -> None:
        self._catalog = catalog
        self._planner = planner
        self._pool = pool

    def make(self, identity: Identity, said: CreateView, name: str, environment: str, schema: pa.Schema, origin: Origin) -> None:
        """A view over a query that was run for its columns, so that the caller may read all in it.

        Raises AlreadyExists, InvalidInput, NotPermitted.
        """
        known = self._known(identity, name)
        if known and not said.replace:
            if said.if_not_exists:
                return
            raise AlreadyExists(f"there is a {'view' if known.view is not None else 'table'} {name} already")
        owner = self._owner(identity, known)
        text, read = self._definition(identity, said.query, environment)
        if name in self._behind(read):
            raise InvalidInput(f"{name} would be made of itself")
        if lacking := [t for t in read if not self._catalog.access.allows(owner, "SELECT", "table", t)]:
            raise NotPermitted(f"{owner.principal}, the owner of {name}, may not read {lacking[0]}, so nobody could by this view")
        spec = TableSpec(name, self._columns(said, schema, name), view=self._named(said, text))
        if known:
            self._catalog.replace_view(identity, spec)
        else:
            self._catalog.create_table(identity, spec)
        # each definition is a version; what it reads has none, since it shows whatever there is
        version = self._catalog.lineage.next_version(name)
        sources = [(table, None) for table in origin.tables()]
        self._catalog.note_lineage(identity, (name, version), sources, origin, operation="CREATE VIEW", replaces=True)

    def _known(self, identity: Identity, name: str) -> TableInfo | None:
        try:
            found = self._catalog.table(name)
        except NotFound:
            return None
        if not self._catalog.visible(identity, "table", name):
            self._catalog.access.authorize(identity, "SELECT", "table", name)
        return found

    def _owner(self, identity: Identity, known: TableInfo | None) -> Identity:
        """Who reads for all: to change what that reads is for the owner alone, whoever else may MANAGE the view."""
        if known is None or known.owner == identity.principal:
            return identity
        if known.owner not in identity.names:
            raise NotPermitted(
                f"{known.name} is read with the rights of its owner {known.owner}, who alone may replace it; drop it instead"
            )
        return self._planner.identify(known.owner)

    def _definition(self, identity: Identity, query: str, environment: str) -> tuple[str, list[str]]:
        """The query with full names, and the tables that it reads."""
        with self._pool.worker() as worker:
            text, reading = self._planner.reading(worker, query)
        if reading.parameters:
            raise InvalidInput("a view takes no parameters")
        places: dict[Path, Path] = {}
        full: dict[str, None] = {}
        for table in reading.tables:
            name = self._full(identity, table, environment)
            mark = table.path[-1].partition("@")[1:]
            places[table.path] = (name.catalog, name.schema, name.object + "".join(mark))
            full[str(name)] = None
        return spliced(text, reading.tables, places), list(full)

    def _full(self, identity: Identity, table: TableRead, environment: str) -> names.Name:
        if table.start is None:
            raise InvalidInput(f"a view reads {table.written} with SELECT … FROM only")
        if len(table.path) > 1 and table.path[-2].lower() == SCHEMA:
            raise InvalidInput(f"{SCHEMA} shows each caller something else, which a view cannot")
        return names.parse(".".join([*table.path[:-1], moment(table.path[-1])[0]]), environment, identity.scratch)

    def _behind(self, read: list[str]) -> set[str]:
        """All tables and views that these are made of, themselves among them."""
        found: set[str] = set()
        waiting = list(read)
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            view = self._catalog.table(name).view
            if view is not None:
                with self._pool.worker() as worker:
                    reading = self._planner.reading(worker, view)[1]
                waiting += [".".join([*t.path[:-1], moment(t.path[-1])[0]]) for t in reading.tables]
        return found

    def _columns(self, said: CreateView, schema: pa.Schema, name: str) -> pa.Schema:
        if said.columns and len(said.columns) != len(schema):
            raise InvalidInput(f"{name} names {len(said.columns)} columns, its query gives {len(schema)}")
        columns = said.columns or schema.names
        if len({c.lower() for c in columns}) < len(columns):
            raise InvalidInput(f"{name}: two columns have one name ({', '.join(columns)}); name them with AS")
        return pa.schema([field.with_name(column) for field, column in zip(schema, columns, strict=True)])

    def _named(self, said: CreateView, text: str) -> str:
        if not said.columns:
            return text
        return f"SELECT * FROM ({text}\n) AS renamed({', '.join(map(quoted, said.columns))})"
