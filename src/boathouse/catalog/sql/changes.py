"""Statements that change tables, done through the catalog's own methods: its privileges, audit, lineage and events."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
from sqlglot import exp

from boathouse import names
from boathouse.catalog.function_sql import parse_create_function
from boathouse.catalog.functions import Functions
from boathouse.catalog.maintenance import vacuum
from boathouse.catalog.service import Catalog
from boathouse.catalog.spec import TableSpec
from boathouse.catalog.sql import statements as st
from boathouse.catalog.sql.datafusion import Columns, NotAlike, condition, value
from boathouse.catalog.sql.result import QueryResult, RowStream
from boathouse.catalog.sql.spool import spooled
from boathouse.catalog.sql.subqueries import with_parameters, worked_out
from boathouse.catalog.sql.views import ViewMaker
from boathouse.catalog.values import TableInfo
from boathouse.catalog.work import gate
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import (
    SOURCE,
    TARGET,
    UNCHANGED,
    UNKNOWN,
    Clause,
    Commit,
    DeltaFolder,
    Origin,
    change_chosen,
    column_types,
    duckdb_type,
    merge,
    quoted,
    source_schema,
)

Parameters = Mapping[str, Any] | Sequence[Any] | None


@dataclass(frozen=True)
class Asking:
    """Who asks for a statement, where, and how queries inside it are run."""

    identity: Identity
    environment: str
    parameters: Parameters
    run: Callable[..., AbstractContextManager[QueryResult]]
    stream: Callable[[str], AbstractContextManager[RowStream]]

    def name(self, path: st.Path) -> str:
        """A table's full name. Raises InvalidName."""
        return str(names.parse(".".join(path), self.environment, self.identity.scratch))

    def schema_name(self, path: st.Path) -> str:
        """A schema's full name. Raises InvalidInput."""
        if len(path) == 1:
            scratch = self.identity.scratch
            return f"{self.environment}.{names.scratch_schema(scratch, path[0]) if scratch else path[0]}"
        if len(path) != 2:
            raise InvalidInput(f"{'.'.join(path)} is no schema: write schema or environment.schema")
        return ".".join(path)


@dataclass(frozen=True)
class Outcome:
    """What a statement did."""

    statement: str
    name: str
    version: int | None = None
    rows: int | None = None

    def to_arrow(self) -> pa.Table:
        """One row."""
        schema = pa.schema([("statement", pa.string()), ("name", pa.string()), ("version", pa.int64()), ("rows", pa.int64())])
        return pa.Table.from_pylist([self.__dict__], schema=schema)


class Changes:
    """Does statements."""

    def __init__(self, catalog: Catalog, functions: Functions, views: ViewMaker) -> None:
        self._catalog = catalog
        self._functions = functions
        self._views = views

    def do(self, asking: Asking, statement: st.Statement) -> Outcome:
        """Raises InvalidInput, NotPermitted, NotFound, AlreadyExists, Conflict."""
        does: dict[type, Callable[[Asking, Any], Outcome]] = {
            st.CreateTable: self._create_table, st.CreateSchema: self._create_schema, st.Drop: self._drop,
            st.CreateView: self._create_view, st.CreateFunction: self._create_function,
            st.Insert: self._insert, st.Delete: self._delete, st.Update: self._update,
            st.Merge: self._merge, st.Optimize: self._optimize, st.Vacuum: self._vacuum,
        }  # fmt: skip
        try:
            return does[type(statement)](asking, statement)
        except NotAlike as reason:
            raise InvalidInput(f"{reason}: compute it in the source of the MERGE") from reason

    def _create_schema(self, asking: Asking, said: st.CreateSchema) -> Outcome:
        name = asking.schema_name(said.name)
        self._catalog.create_schema(asking.identity, name, exists_ok=said.if_not_exists)
        return Outcome("CREATE SCHEMA", name)

    def _create_view(self, asking: Asking, said: st.CreateView) -> Outcome:
        name = asking.name(said.name)
        with asking.run(said.query, limit=0) as result:
            self._views.make(asking.identity, said, name, asking.environment, result.schema, result.origin)
        return Outcome("CREATE VIEW", name)

    def _create_function(self, asking: Asking, said: st.CreateFunction) -> Outcome:
        described, may_replace, unless = parse_create_function(said.text)
        name = asking.name(tuple(described.name.split(".")))
        if unless and self._catalog.exists("function", name):
            return Outcome("CREATE FUNCTION", name)
        made = self._functions.create(asking.identity, replace(described, name=name), may_replace)
        return Outcome("CREATE FUNCTION", name, made.version)

    def _create_table(self, asking: Asking, said: st.CreateTable) -> Outcome:
        name = asking.name(said.name)
        query = said.query or "SELECT " + ", ".join(f"NULL::{c.type} AS {quoted(c.name)}" for c in said.columns)
        with asking.run(query, limit=0) as result:
            schema = result.schema
        if len({n.lower() for n in schema.names}) < len(schema.names):
            raise InvalidInput(f"{name}: two columns have one name ({', '.join(schema.names)}); name them with AS")
        needed = {f"{c.name}_is_needed": f"{quoted(c.name)} IS NOT NULL" for c in said.columns
                  if c.required and c.name not in said.primary_keys}  # fmt: skip
        spec = TableSpec(
            name, schema, primary_keys=said.primary_keys, event_time=said.event_time, partition_by=said.partition_by,
            description=said.comment, column_comments={c.name: c.comment for c in said.columns if c.comment},
            constraints={**needed, **said.checks}, properties=said.properties,
        )  # fmt: skip
        try:
            self._catalog.create_table(asking.identity, spec)
        except AlreadyExists:
            if said.if_not_exists:
                return Outcome("CREATE TABLE", name)
            raise
        if said.query is None:
            return Outcome("CREATE TABLE", name, 0, 0)
        try:
            commit = self._fill(asking, name, said.query)
        except BaseException:
            self._catalog.drop_table(asking.identity, name)
            raise
        return Outcome("CREATE TABLE", name, commit.version, commit.rows)

    def _drop(self, asking: Asking, said: st.Drop) -> Outcome:
        kind = f"DROP {said.kind}"
        if said.kind == "SCHEMA":
            name = asking.schema_name(said.name)
            with contextlib.suppress(*([NotFound] if said.if_exists else [])):
                self._catalog.drop_schema(asking.identity, name, said.cascade)
            return Outcome(kind, name)
        name = asking.name(said.name)
        if said.kind == "FUNCTION":
            with contextlib.suppress(*([NotFound] if said.if_exists else [])):
                self._functions.drop(asking.identity, name)
            return Outcome(kind, name)
        try:
            is_view = self._visible(asking.identity, name).view is not None
        except NotFound:
            if said.if_exists:
                return Outcome(kind, name)
            raise
        if is_view != (said.kind == "VIEW"):
            raise InvalidInput(f"{name} is a {'view: DROP VIEW' if is_view else 'table: DROP TABLE'} removes it")
        self._catalog.drop_table(asking.identity, name)
        return Outcome(kind, name)

    def _insert(self, asking: Asking, said: st.Insert) -> Outcome:
        name = asking.name(said.name)
        self._changeable(asking, name, reads=False)
        commit = self._fill(asking, name, said.query, said.columns, said.by_name)
        return Outcome("INSERT", name, commit.version, commit.rows)

    def _fill(self, asking: Asking, name: str, query: str, columns: Sequence[str] = (), by_name: bool = False) -> Commit:
        """The rows of a query into a table, each value cast to its column's type as INSERT does it."""
        folder = self._catalog.folder(name)
        schema = folder.schema()
        with asking.run(query, limit=0) as result:
            given = result.schema.names
        targets = [_known(schema, c, name) for c in (given if by_name else columns or schema.names)]
        if len(targets) != len(given):
            raise InvalidInput(f"{name} takes {len(targets)} values ({', '.join(targets)}), the query gives {len(given)}")
        if len(set(targets)) < len(targets):
            raise InvalidInput(f"a column of {name} is named twice in {', '.join(targets)}")
        places = [f"c{place}" for place in range(len(targets))]
        casts = [f"{p}::{duckdb_type(schema.field(c).type)} AS {quoted(c)}" for p, c in zip(places, targets, strict=True)]
        cast = f"SELECT {', '.join(casts)} FROM ({query}\n) AS given({', '.join(places)})"
        with spooled(asking.stream(cast)) as (stream, origin):
            info = self._catalog.table(name)
            commit = gate(self._catalog, asking.identity, info, folder).write(stream, folder.append)
        self._note(asking, folder, commit, origin)
        return commit

    def _delete(self, asking: Asking, said: st.Delete) -> Outcome:
        name = asking.name(said.name)
        info = self._changeable(asking, name, reads=said.where is not None)
        folder = self._catalog.folder(info)
        before = folder.version()
        if said.where is None:
            commit = folder.delete()
        else:
            where = with_parameters(said.where, asking.parameters)
            try:
                commit = folder.delete(condition(_alone(asking, where), _columns_of(folder, said)))
            except NotAlike as reason:
                commit = self._chosen(asking, folder, info, said, where, {}, reason)
        return self._changed(asking, folder, commit, "DELETE", before, replaces=said.where is None)

    def _update(self, asking: Asking, said: st.Update) -> Outcome:
        name = asking.name(said.name)
        info = self._changeable(asking, name, reads=True)
        folder = self._catalog.folder(info)
        schema, before = folder.schema(), folder.version()
        values = {_known(schema, c, name): with_parameters(v, asking.parameters) for c, v in said.values.items()}
        where = with_parameters(said.where, asking.parameters) if said.where is not None else None
        columns = _columns_of(folder, said)
        try:
            made = {quoted(c): value(_alone(asking, v), schema.field(c).type, columns) for c, v in values.items()}
            only = condition(_alone(asking, where), columns) if where is not None else None
            commit = gate(self._catalog, asking.identity, info, folder).update(made, only)
        except NotAlike as reason:
            commit = self._chosen(asking, folder, info, said, where, values, reason)
        return self._changed(asking, folder, commit, "UPDATE", before)

    def _chosen(self, asking: Asking, folder: DeltaFolder, info: TableInfo, said: st.Delete | st.Update,
                where: exp.Expression | None, values: Mapping[str, exp.Expression], reason: NotAlike) -> Commit:  # fmt: skip
        """The rows to change, and their new values, are worked out in DuckDB and found again by the table's keys."""
        if not info.primary_keys:
            raise InvalidInput(
                f"{reason}, and {info.name} has no primary keys to find its rows by: compare columns with values, or rewrite "
                "the table from a query"
            )
        if info.masks or info.row_filter:
            raise InvalidInput(f"{reason}, and {info.name} shows its rows through masks or a filter: compare columns with values")
        keys, schema = info.primary_keys, folder.schema()
        new = {c: v.sql(dialect="duckdb") for c, v in values.items()}
        columns = [*map(quoted, keys), *(f"{v} AS {quoted(f'set {c}')}" for c, v in new.items())]
        if new and info.expectations:  # which are asked of the whole row
            columns += [f"{new.get(c, quoted(c))} AS {quoted(f'new {c}')}" for c in schema.names]
        level = names.parse(info.name)
        alias = quoted(said.alias or level.object)
        tail = f" WHERE {where.sql(dialect='duckdb')}" if where is not None else ""

        def choose(version: int) -> pa.Table:
            place = ".".join([quoted(level.catalog), quoted(level.schema), quoted(f"{level.object}@v{version}")])
            query = f"SELECT DISTINCT {', '.join(columns)} FROM {place} AS {alias}{tail}"
            with asking.run(query) as result:
                found = result.to_arrow()
            types = [*keys, *values, *(schema.names if len(found.column_names) > len(keys) + len(values) else ())]
            fields = [pa.field(n, schema.field(c).type) for n, c in zip(found.column_names, types, strict=True)]
            return found.cast(pa.schema(fields))

        if not values:
            return change_chosen(folder, keys, choose, None, "DELETE")
        taken = {c: f"set {c}" for c in values}
        return gate(self._catalog, asking.identity, info, folder).change(
            lambda judge: change_chosen(folder, keys, choose, taken, "UPDATE", judge)
        )

    def _merge(self, asking: Asking, said: st.Merge) -> Outcome:
        name = asking.name(said.name)
        info = self._changeable(asking, name, reads=True)
        folder = self._catalog.folder(info)
        before = folder.version()
        query = f"SELECT * FROM {said.source}"
        with spooled(asking.stream(query)) as (stream, origin):
            target = folder.schema()
            source = source_schema(stream.schema, target)
            columns = Columns({said.alias: (TARGET, target), said.source_alias: (SOURCE, source)})
            clauses = [self._clause(asking, when, columns, target, source, name) for when in said.whens]
            on = condition(self._bound(asking, said.condition), columns)
            commit = gate(self._catalog, asking.identity, info, folder).change(
                lambda judge: merge(folder, stream, on, clauses, judge)
            )
        return self._changed(asking, folder, commit, "MERGE", before, origin.through(_merged(said), said.source_alias))

    def _clause(self, asking: Asking, when: st.When, columns: Columns, target: pa.Schema, source: pa.Schema,
                name: str) -> Clause:  # fmt: skip
        on = "matched" if when.matched else "not_matched_by_source" if when.by_source else "not_matched"
        only = condition(self._bound(asking, when.condition), columns) if when.condition is not None else None
        if when.action == "delete":
            return Clause(on, "delete", only)  # type: ignore[arg-type]
        if when.values is None:
            known = {f.name.lower(): f.name for f in source}
            copied = {c: f"{SOURCE}.{quoted(known[c.lower()])}" for c in target.names if c.lower() in known}
            return Clause(on, when.action, only, copied)  # type: ignore[arg-type]
        values = {_known(target, c, name): self._bound(asking, v) for c, v in when.values.items()}
        return Clause(on, when.action, only, {c: value(v, target.field(c).type, columns) for c, v in values.items()})  # type: ignore[arg-type]

    def _optimize(self, asking: Asking, said: st.Optimize) -> Outcome:
        name = asking.name(said.name)
        folder = self._catalog.folder(self._changeable(asking, name, reads=False))
        before = folder.version()
        return self._changed(asking, folder, folder.optimize(said.z_order), "OPTIMIZE", before)

    def _vacuum(self, asking: Asking, said: st.Vacuum) -> Outcome:
        name = asking.name(said.name)
        self._changeable(asking, name, reads=False)
        done = vacuum(self._catalog, asking.identity, name, said.hours, said.dry_run)
        return Outcome("VACUUM", name, None, len(done.files))

    def _visible(self, identity: Identity, name: str) -> TableInfo:
        """Raises NotFound for what there is not, or may not be seen."""
        if not self._catalog.visible(identity, "table", name):
            raise NotFound(f"no table is named {name}; `boathouse tables list` shows those there are")
        return self._catalog.table(name)

    def _bound(self, asking: Asking, tree: exp.Expression) -> exp.Expression:
        return _alone(asking, with_parameters(tree, asking.parameters))

    def _changeable(self, asking: Asking, name: str, reads: bool) -> TableInfo:
        """The table, for whoever may MODIFY it; who changes rows by what is in them must be shown all of it."""
        info = self._catalog.granted(asking.identity, name, ("SELECT", "MODIFY") if reads else ("MODIFY",)).info
        manages = self._catalog.access.allows(asking.identity, "MANAGE", "table", name)
        if reads and (info.masks or info.row_filter) and not manages:
            raise NotPermitted(
                f"{name} has masks or a row filter: only who may MANAGE it changes rows by what stands in them",
                missing={"privilege": "MANAGE", "securable": name},
            )
        return info

    def _changed(self, asking: Asking, folder: DeltaFolder, commit: Commit, statement: str, before: int,
                 origin: Origin = UNKNOWN, replaces: bool = False) -> Outcome:  # fmt: skip
        """`before` is the version before the change: where nothing met the condition, nothing was committed."""
        if commit.operation == UNCHANGED or commit.version == before:
            return Outcome(statement, folder.name, commit.version, 0)
        self._note(asking, folder, commit, origin, replaces)
        return Outcome(statement, folder.name, commit.version, _counted(folder, commit.version))

    def _note(self, asking: Asking, folder: DeltaFolder, commit: Commit, origin: Origin, replaces: bool = False) -> None:
        self._catalog.note_write(
            asking.identity, folder.name, commit.version, commit.operation, (), column_types(folder.schema()),
            origin=origin, replaces=replaces,
        )  # fmt: skip


def _merged(said: st.Merge) -> str:
    """What the clauses write, as one SELECT over the source, for the lineage of columns."""
    values: dict[str, list[str]] = {}
    for when in said.whens:
        for column, given in (when.values or {}).items():
            values.setdefault(column, []).append(given.sql(dialect="duckdb"))
    written = [f"{f'coalesce({chr(44).join(v)})' if len(v) > 1 else v[0]} AS {quoted(c)}" for c, v in values.items()]
    if any(when.values is None and when.action != "delete" for when in said.whens):
        written.append(f"{quoted(said.source_alias)}.*")
    condition = said.condition.sql(dialect="duckdb")
    return f"SELECT {', '.join(written or ['1'])} FROM {quoted(said.source_alias)} LEFT JOIN {quoted(said.alias)} ON {condition}"


def _alone(asking: Asking, tree: exp.Expression) -> exp.Expression:
    """An expression with its subqueries answered. Raises NotAlike where one needs the row it stands beside."""
    try:
        return worked_out(tree, lambda query, most: _values(asking, query, most))
    except InvalidInput as error:
        raise NotAlike(str(error)) from error


def _values(asking: Asking, query: str, most: int) -> list[tuple[Any, ...]]:
    """The rows of a subquery. Raises InvalidInput for more than `most`."""
    with asking.run(query, limit=most + 1) as result:
        rows = result.to_arrow()
    if rows.num_rows > most:
        raise InvalidInput(f"a subquery gives more than {most:,} rows: join it by MERGE INTO … USING (…)")
    return [tuple(row.values()) for row in rows.to_pylist()]


def _columns_of(folder: DeltaFolder, said: st.Delete | st.Update) -> Columns:
    return Columns({said.alias or said.name[-1]: ("", folder.schema())})


def _known(schema: pa.Schema, column: str, name: str) -> str:
    for known in schema.names:
        if known.lower() == column.lower():
            return str(known)
    raise InvalidInput(f"{name} has no column {column!r} (it has {', '.join(schema.names)})")


def _counted(folder: DeltaFolder, version: int) -> int | None:
    """How many rows a commit touched, where its entry in the log tells."""
    entry = next((e for e in folder.history(1) if e.get("version") == version), {})
    metrics: Mapping[str, Any] = entry.get("operationMetrics") or {}
    told = ("deleted_rows", "updated_rows", "target_rows_inserted", "target_rows_updated", "target_rows_deleted")
    counts = [int(metrics[f"num_{k}"]) for k in told if metrics.get(f"num_{k}") is not None]
    return sum(counts) if counts else None
