"""Column lineage of an origin: for every column that was made, the columns that it was made of.

Nothing here fails: where a query cannot be followed, all columns of its inputs count (`ALL_COLUMNS`).
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from boathouse.lake import Origin

ALL_COLUMNS = "*"
IDENTITY, TRANSFORMATION, AGGREGATION = "IDENTITY", "TRANSFORMATION", "AGGREGATION"
"""How a value goes into another, in OpenLineage's words."""

STRENGTH = ("CONDITIONAL", "FILTER", "WINDOW", IDENTITY, TRANSFORMATION, AGGREGATION)
"""The first three go into no value, they decide which one it is. Of two ways the later one is kept."""

Reference = tuple[str, str]
"""(node, column)."""

Parts = dict[Reference, str]
"""What one column is made of: column -> how."""

Deciders = dict[Reference, frozenset[str]]
"""The columns that decide which rows there are: column -> FILTER, JOIN, GROUP_BY, SORT."""


@dataclass(frozen=True)
class Made:
    """The columns that something has and what each is made of; `columns` None where they are not known.

    Keys of `columns` are in lower case, as SQL compares names; the values hold the name as written. `leaf` is a
    table whose columns are not known: any is taken to be there. `rest` is what other columns are made of.
    """

    columns: Mapping[str, tuple[str, Parts]] | None
    deciders: Deciders = field(default_factory=dict)
    tables: frozenset[str] = frozenset()
    leaf: str | None = None
    rest: Parts | None = None

    def of(self, column: str) -> Parts:
        """What a column is made of; of one that is not known, everything."""
        if self.columns is not None and column.lower() in self.columns:
            return dict(self.columns[column.lower()][1])
        if self.leaf is not None:
            return {(self.leaf, column): IDENTITY}
        return dict(self.rest) if self.rest is not None else everything(self.tables)

    def names(self) -> list[str] | None:
        """The columns as written; None where there may be others."""
        return None if self.columns is None or self.rest is not None else [name for name, _ in self.columns.values()]


def everything(tables: Iterable[str]) -> Parts:
    """All columns of some tables."""
    return {(table, ALL_COLUMNS): TRANSFORMATION for table in sorted(tables)}


Columns = Callable[[str], Sequence[str] | None]
"""The columns of a table, None where they are not known."""


Mapped = dict[str, dict[str, Any]]
"""Source -> its mapping: `columns` {output: {column: how}} and `rows` {column: [how]}."""


def mappings_of(origin: Origin, columns_of: Columns, outputs: Sequence[str] | None) -> Mapped:
    """Which columns of each source went into which output.

    `outputs` are the target's columns; None takes those that the origin has. The answer is shared: do not change it.
    """
    tables = origin.tables()
    known = tuple((table, tuple(columns) if (columns := columns_of(table)) is not None else None) for table in tables)
    return _mappings(json.dumps(_timeless(origin)), known, None if outputs is None else tuple(outputs))


@lru_cache(maxsize=256)  # a job writes the same query again and again
def _mappings(origin: str, known: tuple[tuple[str, tuple[str, ...] | None], ...], outputs: tuple[str, ...] | None) -> Mapped:
    made = follow(Origin.from_dict(json.loads(origin)), dict(known).get)
    produced = made.names()
    names = None if produced is None else {name.lower() for name in produced}
    found: Mapped = {table: {"columns": {}, "rows": {}} for table, _ in known}
    for output in (produced or ()) if outputs is None else outputs:
        if names is None or output.lower() in names:
            for (table, column), how in sorted(made.of(output).items()):
                found[table]["columns"].setdefault(output, {})[column] = how
    for (table, column), ways in sorted(made.deciders.items()):
        found[table]["rows"][column] = sorted(ways)
    return found


def _timeless(origin: Origin) -> dict[str, Any]:
    body = {"table": origin.table, "query": origin.query, "inputs": {n: _timeless(i) for n, i in origin.inputs.items()}}
    return {k: v for k, v in body.items() if v}


def follow(origin: Origin, columns_of: Columns) -> Made:
    """The columns of an origin."""
    if origin.table is not None:
        columns = columns_of(origin.table)
        if columns is None:
            return Made(None, {}, frozenset({origin.table}), origin.table)
        own = {c.lower(): (c, {(origin.table, c): IDENTITY}) for c in columns}
        return Made(own, {}, frozenset({origin.table}))
    inputs = {name: follow(made, columns_of) for name, made in origin.inputs.items()}
    if origin.query is None:
        return _mixed(inputs.values())
    from boathouse.catalog.lineage.query import follow_query

    return follow_query(origin.query, inputs)


def opaque(inputs: Iterable[Made]) -> Made:
    """What is made of inputs in a way that cannot be followed."""
    return Made(None, {}, frozenset(t for i in inputs for t in i.tables))


def _mixed(inputs: Iterable[Made]) -> Made:
    """Inputs went in, computed on outside of SQL: a column that has the name of one of theirs is taken for it."""
    parts = list(inputs)
    if len(parts) == 1 and parts[0].leaf is not None:
        return parts[0]
    tables = frozenset(t for i in parts for t in i.tables)
    columns: dict[str, tuple[str, Parts]] = {}
    for part in parts:
        for key, (name, made) in (part.columns or {}).items():
            changed = {r: TRANSFORMATION if how == IDENTITY else how for r, how in made.items()}
            columns[key] = (name, stronger(columns.get(key, (name, {}))[1], changed))
    return Made(columns, merged(*(p.deciders for p in parts)), tables, rest=everything(tables))


def stronger(*parts: Parts) -> Parts:
    """Parts together, each with the stronger of its ways."""
    found: Parts = {}
    for part in parts:
        for reference, how in part.items():
            known = found.get(reference)
            found[reference] = how if known is None else max(known, how, key=STRENGTH.index)
    return found


def merged(*deciders: Deciders) -> Deciders:
    """Deciders together."""
    found: Deciders = {}
    for some in deciders:
        for reference, ways in some.items():
            found[reference] = found.get(reference, frozenset()) | ways
    return found
