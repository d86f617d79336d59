"""The catalog: environments' schemas, tables, volumes and models, who owns them and what they hold."""

import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from boathouse import names
from boathouse.catalog.access import AccessControl
from boathouse.catalog.audit import Audit
from boathouse.catalog.credentials import CredentialDesk
from boathouse.catalog.held import note_change
from boathouse.catalog.lineage import Lineage, Source, kind_of, mappings_of, name_of
from boathouse.catalog.listing import Listing
from boathouse.catalog.new_table import columns_of, new_table, table_of
from boathouse.catalog.opening import Opening
from boathouse.catalog.pins import Pins
from boathouse.catalog.places import Places
from boathouse.catalog.protection import Protection
from boathouse.catalog.quarantine import Quarantine, guarded_alike, inherit, is_quarantine, quarantine_of
from boathouse.catalog.rows import SecurableRows, no_table, securable_of
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.store import securables
from boathouse.catalog.values import Securable, SecurableKind, TableAccess, TableInfo
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound
from boathouse.events import Outbox
from boathouse.identity import Identity
from boathouse.lake import UNKNOWN, Credentials, DeltaFolder, Origin, Storage, Storages

_MAKING = 0x626F6175
"""The lock that makers of tables take on PostgreSQL, one number for all of Boathouse in a database."""
_INSIDE: tuple[SecurableKind, ...] = ("table", "model", "volume")
"""What a schema holds."""


class Catalog:
    """Securables and what callers may do with them. Every method that takes an identity authorizes it."""

    def __init__(self, database: Database, access: AccessControl, audit: Audit, lineage: Lineage, outbox: Outbox,
                 storages: Storages, credential_lifetime: timedelta = timedelta(minutes=30),
                 kept_from: Sequence[Path] = (), walled: bool = False) -> None:  # fmt: skip
        self._database = database
        self.access = access
        self.audit = audit
        self.lineage = lineage
        self.protection = Protection(access, audit)
        self._outbox = outbox
        self._listing = Listing(database, access)
        self.places = Places(database, storages, kept_from, walled)
        self._rows = SecurableRows(database, audit, lineage, self.places)
        self._credentials = CredentialDesk(storages, audit, credential_lifetime)
        self._opening = Opening(access, self.places, self._credentials, self.table)
        self.quarantine = Quarantine(self, database)
        self._making = threading.Lock()
        self.pins = Pins(database)
        self.awaited: Callable[[str, pa.Schema], Mapping[str, Any]] = lambda _name, _schema: {}
        """What is declared elsewhere about a table that is being made: its expectations and freshness."""
        self.unpublish: Callable[[Collection[str], bool], None] = lambda _tables, _force: None
        """Ends the serving of tables that are dropped: told by the platform, which knows online stores."""

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with self._making, self._database.alone(_MAKING):
            yield

    def storage(self, environment: str) -> Storage:
        """Where an environment's tables and files lie."""
        return self.places.of(environment)

    def folder(self, table: str | TableInfo) -> DeltaFolder:
        """A table's files, for the server's own use; whoever calls has authorized. Raises NotFound, Conflict for a view."""
        return self._opening.folder(self.table(table) if isinstance(table, str) else table)

    def reading_options(self, identity: Identity, table: TableInfo) -> Mapping[str, str]:
        """What opens a table's files for reading, and no other where the store has STS; whoever calls has authorized."""
        return self._opening.reading_options(identity, table)

    def create_catalog(self, name: str, owner: str, comment: str = "") -> Securable:
        """An environment's catalog."""
        return self._rows.add("catalog", names.check_level(name), "", owner, comment)

    def create_schema(self, identity: Identity, name: str, comment: str = "", exists_ok: bool = False) -> Securable:
        """A schema, `environment.schema`."""
        catalog, _, schema = name.partition(".")
        names.check_level(schema)
        if known := self._rows.find("schema", name):
            if exists_ok:
                return known
            raise AlreadyExists(f"the schema {name} exists already")
        self.require("catalog", catalog)
        self.access.authorize(identity, "CREATE SCHEMA", "schema" if identity.scratch else "catalog",
                              name if identity.scratch else catalog)  # fmt: skip
        return self._rows.add("schema", name, catalog, identity.principal, comment)

    def drop_schema(self, identity: Identity, name: str, cascade: bool = False, force: bool = False) -> None:
        """Remove a schema; with `cascade` all that is in it.

        Raises Conflict when it is not empty, and unless forced when a table is in use or a model's record needs it.
        """
        self.require("schema", name)
        self.access.authorize(identity, "MANAGE", "schema", name)
        inside = [s for kind in _INSIDE for s in self.securables(kind, parent=name)]
        if inside and not cascade:
            raise Conflict(f"{name} holds {len(inside)} objects, {inside[0].name} among them; drop them, or use --cascade")
        tables = [s.name for s in inside if s.kind == "table"]
        self.protection.check(identity, "drop table", "table", *tables, force=force, needed=self._needed(tables))
        with self._unpublished(tables, force):
            for securable in inside:
                self._rows.remove(identity, securable.kind, securable.name)
        self._rows.remove(identity, "schema", name)

    def create_table(self, identity: Identity, spec: TableSpec, exists_ok: bool = False) -> TableInfo:
        """A table with its folder at version 0, or one that lies at an external location.

        Raises AlreadyExists, InvalidInput, and Conflict for a location that overlaps what is taken.
        """
        name = names.parse(spec.name)
        spec = replace(spec, name=str(name))
        with self._one_at_a_time():  # what lies in the folder of a table without a row is debris
            if self._rows.find("table", spec.name):
                if not self.visible(identity, "table", spec.name):
                    self.access.authorize(identity, "SELECT", "table", spec.name)
                if exists_ok:
                    return self.table(spec.name)
                raise AlreadyExists(f"the table {spec.name} exists already")
            self._ensure_schema(identity, name)
            self.access.authorize(identity, "CREATE TABLE", "schema", name.schema_name)
            spec = self._with_awaited(spec)
            spec, properties = new_table(self.places, self.access, identity, spec)
            with self._database.writing() as connection:
                self._rows.add("table", spec.name, name.schema_name, identity.principal, spec.description, properties)
                if properties["table_type"] == "EXTERNAL":
                    self.places.take(connection, "table", spec.name, properties["location"])
                self._outbox.emit(connection, "table.created", spec.name, {"principal": identity.principal})
        return self.table(spec.name)

    def _with_awaited(self, spec: TableSpec) -> TableSpec:
        """A table with what is declared about it, which goes before what its maker says."""
        if spec.view is not None or spec.schema is None:
            return spec
        found = self.awaited(spec.name, spec.schema)
        rules = {**spec.expectations, **found.get("expectations", {})}
        return replace(spec, expectations=rules, freshness=found.get("freshness") or spec.freshness)

    def create_beside(self, identity: Identity, name: str, spec: TableSpec, properties: Mapping[str, Any]) -> None:
        """A table of the same owner, grants, masks and filter as another; whoever calls has authorized. One there stays."""
        with self._one_at_a_time():
            if self._rows.find("table", spec.name):
                return
            spec, made = new_table(self.places, self.access, identity, spec)
            with self._database.writing() as connection:
                info = self.table(name)
                guards = {"masks": dict(info.masks), "row_filter": info.row_filter}
                self._rows.add("table", spec.name, names.parse(name).schema_name, info.owner, spec.description,
                          {**made, **guards, **properties})  # fmt: skip
                inherit(connection, name, spec.name)
                self._outbox.emit(connection, "table.created", spec.name, {"principal": identity.principal})

    def replace_view(self, identity: Identity, spec: TableSpec) -> TableInfo:
        """A view that reads otherwise than before; its grants, masks and owner stay. Raises AlreadyExists for a table."""
        if self.table(spec.name).view is None:
            raise AlreadyExists(f"{spec.name} is a table, which no view replaces")
        self.access.authorize(identity, "MANAGE", "table", spec.name)
        self._rows.change_table(identity, spec.name, {"view": spec.view, "columns": columns_of(spec)}, "replace view")
        return self.table(spec.name)

    def drop_table(self, identity: Identity, name: str, force: bool = False) -> None:
        """Remove a table, with its files unless they lie outside, and what is published of it online.

        Raises Conflict (unless forced) for one that something uses or a model's record needs, Unavailable for an online store.
        """
        self.require("table", name)
        self.access.authorize(identity, "MANAGE", "table", name)
        beside = [n for n in guarded_alike(self._database, "table", name) if n != name]
        self.protection.check(identity, "drop table", "table", name, force=force, needed=self._needed((name, *beside)))
        with self._unpublished([name], force):
            for table in (*beside, name):
                self._rows.remove(identity, "table", table)

    @contextmanager
    def _unpublished(self, tables: Sequence[str], force: bool) -> Iterator[None]:
        """Before tables go, and once more after it: somebody may publish one meanwhile."""
        if found := [name for name in tables if self.table(name).keys]:
            self.unpublish(found, force)
        yield
        if found:
            self.unpublish(found, True)

    def table(self, name: str) -> TableInfo:
        """A table's description. Raises NotFound."""
        row = self._rows.row("table", name)
        if row is None:
            raise no_table(name)
        return table_of(self.places, row)

    def open_table(self, identity: Identity, name: str, wanted: Sequence[str] = ("SELECT",), *,
                   versioned: bool = True) -> TableAccess:  # fmt: skip
        """The yes that lets a caller reach a table, with keys to its files where there are some to give.

        Raises NotPermitted, NotFound, and Unavailable when the store gives no keys.
        """
        return self._opening.open(identity, name, wanted, versioned)

    def open_here(self, identity: Identity, name: str, wanted: Sequence[str]) -> TableAccess:
        """The yes for work inside the server, under its own keys: never to be handed out. Raises as `granted`."""
        return self._opening.open_here(identity, name, wanted)

    def granted(self, identity: Identity, name: str, wanted: Sequence[str]) -> TableAccess:
        """The yes without keys; its table has no version. Raises NotPermitted, NotFound, Conflict."""
        return self._opening.granted(identity, name, wanted)

    def tables(self, identity: Identity, schema: str | None = None, *, catalog: str | None = None,
               limit: int | None = None, after: str | None = None) -> list[TableInfo]:  # fmt: skip
        """The tables that the identity may know of, by name: all, or the first `limit` whose names come after `after`."""
        rows = self._listing.rows(identity, "table", catalog=catalog, schema=schema, after=after, limit=limit)
        return [table_of(self.places, row) for row in rows]

    def tagged(self, tag: str) -> list[TableInfo]:
        """All tables with a tag, for the platform's own use."""
        found = (table_of(self.places, row) for row in self._rows.mentioning("table", tag))
        return [table for table in found if tag in table.tags]

    def listed(self, identity: Identity, kind: SecurableKind, schema: str | None = None, *, catalog: str | None = None,
               limit: int | None = None, after: str | None = None) -> list[Securable]:  # fmt: skip
        """Securables of a kind that the identity may know of, in pages as `tables` gives them."""
        rows = self._listing.rows(identity, kind, catalog=catalog, schema=schema, after=after, limit=limit)
        return [securable_of(row) for row in rows]

    def visible(self, identity: Identity, kind: SecurableKind, name: str) -> bool:
        """Whether the identity may know that this exists."""
        return self.access.sees(identity, kind, name)

    def securables(self, kind: SecurableKind, parent: str | None = None) -> list[Securable]:
        """Securables of a kind, by name."""
        return self._rows.all(kind, parent)

    def count(self, kind: SecurableKind, catalog: str) -> int:
        """How many securables of a kind a catalog holds, whoever may see them."""
        return self._rows.count(kind, catalog)

    def describe(self, identity: Identity, name: str, changes: Mapping[str, Any], force: bool = False) -> TableInfo:
        """Change a table's description, tags, masks, row filter, columns, expectations, freshness or Delta properties.

        It needs MANAGE, for columns alone MODIFY. Raises NotFound, NotPermitted, InvalidInput, and Conflict for
        columns in use that would go or have another type, unless forced.
        """
        allowed = {"description", "tags", "masks", "row_filter", "columns", "properties", "expectations", "freshness"}
        if unknown := set(changes) - allowed:
            raise InvalidInput(f"a table has no {sorted(unknown)[0]!r}; change one of {', '.join(sorted(allowed))}")
        self.access.authorize(identity, "MODIFY" if set(changes) <= {"columns"} else "MANAGE", "table", name)
        if "columns" in changes:
            self.check_columns(identity, name, {c["name"]: c["type"] for c in changes["columns"]}, force)
        if changes.get("properties"):
            self.folder(name).set_properties(changes["properties"])
        guards = {k: v for k, v in changes.items() if k in ("masks", "row_filter")}
        if any(guards.values()):
            from boathouse.catalog.guards import check_guards  # which reads SQL by what imports this module

            check_guards(self.table(name), guards)
        if guards and is_quarantine(self._database, quarantine_of(name)):
            self._rows.change_table(identity, quarantine_of(name), guards, "alter table")
        self._rows.change_table(identity, name, {k: v for k, v in changes.items() if k != "properties"}, "alter table")
        return self.table(name)

    def check_columns(self, identity: Identity, name: str, columns: Mapping[str, str], force: bool = False) -> None:
        """Before a table has these columns (name -> type). Raises Conflict for one in use that goes or changes, unless forced."""
        if changed := [c.name for c in self.table(name).columns if columns.get(c.name) != c.type]:
            self.protection.check(identity, "change columns of", "table", name, columns=changed, force=force)

    def register(self, identity: Identity, kind: SecurableKind, name: str, privilege: str, comment: str = "",
                 properties: Mapping[str, Any] | None = None) -> None:  # fmt: skip
        """Make a model, endpoint or volume known to grants; a known one stays."""
        if self._rows.find(kind, name):
            return
        levels = name.split(".")
        if len(levels) == 3:
            self._ensure_schema(identity, names.parse(name))
            self.access.authorize(identity, privilege, "schema", ".".join(levels[:2]))
        else:
            self.access.authorize(identity, privilege, "catalog", levels[0])
        self._rows.add(kind, name, name.rpartition(".")[0], identity.principal, comment, properties)

    def adopt(self, kind: SecurableKind, name: str, owner: str, project: str | None = None) -> None:
        """Note something that another room has made, and who owns it; known already, it stays as it is.

        A job belongs to a `project`, of which it has its grants too.
        """
        if project:
            self._adopt_job(name, owner, project)
            return
        schema = name.rpartition(".")[0] if kind != "experiment" else name.partition(".")[0]
        if schema.count(".") == 1:
            self._add_once("schema", schema, schema.partition(".")[0], owner)
        self._add_once(kind, name, schema, owner)

    def _add_once(self, kind: SecurableKind, name: str, parent: str, owner: str) -> None:
        if not self._rows.find(kind, name):
            with suppress(AlreadyExists):  # its event may come through on another thread meanwhile
                self._rows.add(kind, name, parent, owner)

    def _adopt_job(self, name: str, owner: str, project: str) -> None:
        self._add_once("job", name, project, owner)
        with self._database.writing() as connection:
            moved = (securables.c.kind == "job", securables.c.name == name, securables.c.parent != project)
            if connection.execute(securables.update().where(*moved).values(parent=project)).rowcount:
                note_change(connection, "job", name)

    def unregister(self, identity: Identity, kind: SecurableKind, name: str) -> None:
        """Forget a securable and its grants; its data is its owner room's affair."""
        self._rows.remove(identity, kind, name)

    def add_place(self, identity: Identity, kind: SecurableKind, name: str, url: str, comment: str = "") -> None:
        """Note a securable that is a place outside; the caller has authorized. Raises AlreadyExists, Conflict."""
        with self._one_at_a_time(), self._database.writing() as connection:
            self._rows.add(kind, name, "", identity.principal, comment)
            self.places.take(connection, kind, name, url)

    def scoped(self, identity: Identity, name: str, place: Storage, write: bool) -> Credentials | None:
        """Short-lived keys to a securable's place, for whoever was authorized; None where the store has no STS."""
        return self._credentials.scoped(identity, name, place, write)

    def note_write(self, identity: Identity, name: str, version: int, operation: str,
                   sources: Sequence[Source | tuple[str, str | None]] = (),
                   columns: Sequence[tuple[str, str]] | None = None, *, origin: Origin = UNKNOWN,
                   replaces: bool = False, restored: int | None = None) -> None:  # fmt: skip
        """A caller wrote a version: lineage, an audit entry and an event that triggers can hear.

        `sources` and the tables of `origin`, which tells of columns too, are what it was made out of. `replaces`
        says that nothing of earlier versions is left, `restored` which version came back instead.
        """
        self.access.authorize(identity, "MODIFY", "table", name)
        info = self.table(name)
        written = [c for c, _ in columns] if columns else [c.name for c in info.columns]
        self.note_lineage(identity, (name, str(version)), sources, origin, written, operation, replaces, restored)
        with self._database.writing() as connection:
            self.audit.write(connection, identity.principal, operation.lower(), name,
                             {"version": version, "run": identity.run_id})  # fmt: skip
            self._outbox.emit(connection, "table.updated", name, {"version": version, "run_id": identity.run_id})
        if columns:
            self.follow_columns(identity, name, columns)

    def follow_columns(self, identity: Identity, name: str, columns: Sequence[tuple[str, str]]) -> None:
        """Note the (name, type) of the columns that a table has by now; committed, so it is too late to refuse."""
        info = self.table(name)
        if [(c.name, c.type) for c in info.columns] != list(columns):
            comments = {c.name: c.comment for c in info.columns}
            fields = [{"name": n, "type": t, "comment": comments.get(n, "")} for n, t in columns]
            self._rows.change_table(identity, name, {"columns": fields}, "alter table")

    def note_lineage(self, identity: Identity, target: tuple[str, str | None],
                     sources: Sequence[Source | tuple[str, str | None]], origin: Origin = UNKNOWN,
                     columns: Sequence[str] | None = None, operation: str = "", replaces: bool = False,
                     restored: int | None = None) -> None:  # fmt: skip
        """What a caller says that something, with these columns, was made out of; what it may not see is not taken."""
        given = [Source(*source) for source in sources]
        named = {source.node for source in given}
        given += [Source(node, version, "derived") for node, version in origin.tables().items() if node not in named]
        mapped = mappings_of(origin, self._columns_of, columns) if any(self.sees(identity, t) for t in origin.tables()) else {}
        kept = [source._replace(mapping=mapped.get(source.node)) for source in given if self.sees(identity, source.node)]
        replaces = replaces and target[0] not in origin.tables()  # rows of its own may be among the new ones
        self.lineage.record(kept, target, identity.principal, identity.run_id, operation=operation,
                            replaces=replaces, restored=restored)  # fmt: skip

    def _columns_of(self, node: str) -> list[str] | None:
        found = self._rows.find("table", node) if kind_of(node) == "table" else None
        return [c.name for c in self.table(node).columns] if found else None

    def sees(self, identity: Identity, node: str) -> bool:
        """Whether the identity may know of a node of the lineage."""
        kind, name = kind_of(node), name_of(node)
        if kind == "endpoint":
            return self.access.allows(identity, "QUERY", "endpoint", name)
        securable: dict[str, SecurableKind] = {"table": "table", "model": "model", "volume": "volume"}
        return kind not in securable or self.visible(identity, securable[kind], name)

    def _needed(self, tables: Iterable[str]) -> dict[str, dict[int, str]]:
        return {table: holders for table in tables if (holders := self.pins.of(table))}

    def _ensure_schema(self, identity: Identity, name: names.Name) -> None:
        if not self._rows.find("schema", name.schema_name):
            self.create_schema(identity, name.schema_name, exists_ok=True)

    def exists(self, kind: SecurableKind, name: str) -> bool:
        """Whether there is such a securable, whoever may know of it."""
        return self._rows.find(kind, name) is not None

    def require(self, kind: SecurableKind, name: str) -> Securable:
        """A securable that exists. Raises NotFound."""
        if found := self._rows.find(kind, name):
            return found
        raise NotFound(f"no {kind} is named {name}; `boathouse {kind}s list` shows those there are", kind=kind, name=name)

    def located(self, name: str, location: str) -> str:
        """A kept location as a URL: what the catalog placed is kept relative, so that storage and home can move."""
        return self.places.at(name, location).url
