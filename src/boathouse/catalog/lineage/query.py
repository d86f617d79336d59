"""Following one SQL statement: SQLGlot resolves its names, then every projection is taken apart, scope by scope."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

from boathouse.catalog.lineage.columns import (
    AGGREGATION,
    IDENTITY,
    STRENGTH,
    TRANSFORMATION,
    Deciders,
    Made,
    Parts,
    merged,
    opaque,
    stronger,
)
from boathouse.catalog.lineage.statement import selection

_log = logging.getLogger(__name__)
_LONGEST = 300_000
"""Characters; what is longer is not followed."""

_DECIDE = (("where", "FILTER"), ("having", "FILTER"), ("qualify", "FILTER"), ("group", "GROUP_BY"), ("order", "SORT"),
           ("distinct", "GROUP_BY"))  # fmt: skip


def follow_query(sql: str, inputs: Mapping[str, Made]) -> Made:
    """What a statement makes of its inputs, which it names as `inputs` does."""
    if len(sql) > _LONGEST:
        return opaque(inputs.values())
    try:
        return _Follower(inputs).follow(sql)
    except SqlglotError as error:
        _log.debug("a query is not followed: %s", error)  # SQLGlot does not know all that DuckDB does
    except Exception:  # lineage never stops the write that it tells of
        _log.warning("a query could not be followed", exc_info=True)
    return opaque(inputs.values())


class _Follower:
    """One statement under way."""

    def __init__(self, inputs: Mapping[str, Made]) -> None:
        self._inputs = inputs
        self._leaves = {f"__input_{i}": made for i, made in enumerate(inputs.values())}
        self._stand_in = {_plain(name): f"__input_{i}" for i, name in enumerate(inputs)}
        self._done: dict[int, Made] = {}
        self._under_way: set[int] = set()

    def follow(self, sql: str) -> Made:
        """The statement's columns."""
        tree = selection(sqlglot.parse_one(sql, dialect="duckdb"))
        if tree is None or any(tree.find_all(exp.Pivot, exp.Columns)):
            return opaque(self._inputs.values())
        qualified = qualify(
            tree.transform(self._renamed), dialect="duckdb", schema=self._schema(), validate_qualify_columns=False,
            identify=False, quote_identifiers=False,
        )  # fmt: skip
        scope = build_scope(qualified)
        return self._scope(scope) if scope else opaque(self._inputs.values())

    def _schema(self) -> dict[str, dict[str, str]]:
        known = {name: made.names() for name, made in self._leaves.items()}
        return {name: dict.fromkeys(columns, "unknown") for name, columns in known.items() if columns is not None}

    def _renamed(self, node: exp.Expr) -> exp.Expr:
        """An input under a name of one level, with the alias that its columns are written with."""
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return node
        stand_in = self._stand_in.get(_plain(".".join(part.name for part in node.parts)))
        if stand_in is None:
            return node
        renamed = node.copy()
        for level in ("db", "catalog"):
            renamed.set(level, None)
        renamed.set("this", exp.to_identifier(stand_in))
        if not renamed.alias:
            renamed.set("alias", exp.TableAlias(this=exp.to_identifier(node.name, quoted=True)))
        return renamed

    def _scope(self, scope: Scope) -> Made:
        key = id(scope)
        if key in self._done:
            return self._done[key]
        if key in self._under_way:
            return Made({}, {}, frozenset())  # a recursive expression: its anchor tells the columns
        self._under_way.add(key)
        made = self._set_operation(scope) if isinstance(scope.expression, exp.SetOperation) else self._select(scope)
        self._under_way.discard(key)
        self._done[key] = made
        return made

    def _set_operation(self, scope: Scope) -> Made:
        sides = [self._scope(side) for side in scope.set_operation_scopes]
        tables = frozenset(t for side in sides for t in side.tables)
        if any(side.columns is None for side in sides):
            return opaque(sides)
        first, *others = [side.columns or {} for side in sides]
        columns = dict(first)
        for other in others:
            keys = other if scope.expression.args.get("by_name") else first
            for key, (name, parts) in zip(keys, other.values(), strict=False):
                known = columns.get(key, (name, {}))
                columns[key] = (known[0], stronger(known[1], parts))
        return Made(columns, merged(*(side.deciders for side in sides)), tables)

    def _select(self, scope: Scope) -> Made:
        below = [self._source(source, scope) for _, source in scope.selected_sources.values()]
        below += [self._scope(inner) for inner in scope.subquery_scopes]
        tables = frozenset(t for made in below for t in made.tables)
        deciders = merged(*(made.deciders for made in below), *self._deciders(scope))
        if not isinstance(scope.expression, exp.Query):
            return Made(None, deciders, tables)
        columns: dict[str, tuple[str, Parts]] = {}
        for projection in scope.expression.selects:
            if projection.is_star:
                return self._unexpanded(below, deciders, tables)
            name = _free(projection.alias_or_name, columns)
            columns[name.lower()] = (name, self._parts(projection.unalias(), scope))
        return Made(columns, deciders, tables)

    def _unexpanded(self, below: list[Made], deciders: Deciders, tables: frozenset[str]) -> Made:
        if len(below) == 1:
            return Made(below[0].columns, deciders, tables, below[0].leaf)
        return Made(None, deciders, tables)

    def _deciders(self, scope: Scope) -> Iterator[Deciders]:
        for clause, way in _DECIDE:
            if (found := scope.expression.args.get(clause)) is not None:
                yield self._deciding(found, scope, way)
        if (group := scope.expression.args.get("group")) is not None and group.args.get("all"):
            plain = (p for p in scope.expression.selects if not p.find(exp.AggFunc))
            yield from (self._deciding(projection, scope, "GROUP_BY") for projection in plain)
        for join in scope.expression.args.get("joins") or ():
            for condition in (join.args.get("on"), *(join.args.get("using") or ())):
                if condition is not None:
                    yield self._deciding(condition, scope, "JOIN")
        if scope.is_correlated_subquery:
            outer = [c for c in scope.external_columns if scope.parent]
            yield from (self._each(self._column(c, scope), "FILTER") for c in outer)

    def _deciding(self, clause: exp.Expr, scope: Scope, way: str) -> Deciders:
        parts = [self._column(column, scope) for column in _columns(clause)]
        inner = [self._nested(node, scope) for node in _queries(clause)]
        return merged(*(self._each(p, way) for p in (*parts, *inner)))

    @staticmethod
    def _each(parts: Parts, way: str) -> Deciders:
        return {reference: frozenset({way}) for reference in parts}

    def _parts(self, value: exp.Expr, scope: Scope) -> Parts:
        """What a projection is made of."""
        bare = value
        while isinstance(bare, exp.Cast | exp.Paren):
            bare = bare.this
        plain = isinstance(bare, exp.Column)  # in another type it is the same value
        found: list[Parts] = []
        for column in _columns(value):
            own = IDENTITY if plain else _way(column, value)
            found.append({r: _then(how, own) for r, how in self._column(column, scope).items()})
        for query in _queries(value):
            found.append({r: _then(how, TRANSFORMATION) for r, how in self._nested(query, scope).items()})
        return stronger(*found)

    def _nested(self, query: exp.Expr, scope: Scope) -> Parts:
        inner = next((s for s in scope.subquery_scopes if s.expression is query or s.expression is query.unnest()), None)
        made = self._scope(inner) if inner else opaque(self._inputs.values())
        return stronger(*(made.of(name) for name in made.names() or [""]))

    def _column(self, column: exp.Column, scope: Scope | None) -> Parts:
        while scope is not None:
            if column.table in scope.sources:
                return self._source(scope.sources[column.table], scope).of(column.name)
            scope = scope.parent
        return {}

    def _source(self, source: Any, scope: Scope) -> Made:
        if isinstance(source, exp.Table):
            return self._leaves.get(source.name) or Made(None)
        if isinstance(source.expression, exp.Query):
            return self._scope(source)
        if source.subquery_scopes:
            return self._scope(source.subquery_scopes[0])  # LATERAL
        # an unnested list: its columns are made of what was unnested, or of nothing
        parts = stronger(*(self._column(c, source.parent or scope) for c in _columns(source.expression)))
        return Made(None, rest={r: _then(how, TRANSFORMATION) for r, how in parts.items()})


def _columns(tree: exp.Expr) -> Iterable[exp.Column]:
    """Columns of an expression, without those of queries inside it, which are scopes of their own."""
    return [node for node in tree.walk(prune=lambda n: isinstance(n, exp.Query)) if isinstance(node, exp.Column)]


def _queries(tree: exp.Expr) -> Iterable[exp.Expr]:
    nested = tree.walk(prune=lambda n: isinstance(n, exp.Query))
    return [node for node in nested if isinstance(node, exp.Query)]


def _way(column: exp.Expr, root: exp.Expr) -> str:
    """How a column goes into the expression that it stands in."""
    way = TRANSFORMATION
    node = column
    while node is not root and node.parent is not None:
        above = node.parent
        if isinstance(above, exp.AggFunc):
            way = AGGREGATION
        elif isinstance(above, exp.If) and node.arg_key == "this":
            return "CONDITIONAL"
        elif isinstance(above, exp.Filter) and node.arg_key == "expression":
            return "FILTER"
        elif isinstance(above, exp.Window) and node.arg_key != "this":
            return "WINDOW"
        node = above
    return way


def _then(first: str, second: str) -> str:
    """Two steps in one: what only decides keeps only deciding."""
    weaker = min(first, second, key=STRENGTH.index)
    return weaker if STRENGTH.index(weaker) < STRENGTH.index(IDENTITY) else max(first, second, key=STRENGTH.index)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    """The name that DuckDB gives a second column of a name."""
    return next(n for i in range(len(taken) + 1) if (n := f"{name}_{i}" if i else name).lower() not in taken)


def _plain(name: str) -> str:
    return name.replace('"', "").replace("`", "").lower()
