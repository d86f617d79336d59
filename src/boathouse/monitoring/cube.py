"""Groups of rows: the window, cut by one slice at a time, for each model and for all together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boathouse.errors import InvalidInput
from boathouse.monitoring.columns import literal

TOP_VALUES = 100
"""Slices of a per-value expression, by frequency."""

_IN_MEMORY = 2_000_000

_Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Slice:
    """One slicing expression; `sql` is its value as text, null for rows in no slice."""

    key: str
    sql: str


@dataclass(frozen=True)
class Cube:
    """Rows in a temporary table and the groups they fall in: see `cube`.

    A group is a struct `g`: `{w: window start, k: slice key, v: slice value, m: model or '*'}`. Grouping
    sets take one slice at a time, never their product. `cells` is the table of the rows' distinct keys,
    numbered by `__k` as the rows are.
    """

    rows: str
    cells: str
    slices: tuple[Slice, ...]
    by_model: bool

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of `rows` that say where a row belongs."""
        return ("__w", *self._cuts, *self._model)

    def grouped(self, aggregates: Mapping[str, str], *, by: str = "", source: str = "") -> str:
        """A query: one row for each group, whose key is the column `g`, and value of the column `by`.

        `aggregates` maps names to single aggregate calls over `source` (default: the rows), which has the
        keys. It is read once per slice: sketches are built for slice by model, then combined, as building
        one (a t-digest above all) costs more than the rest together.
        """
        states = ", ".join(f"{sql} EXPORT_STATE AS {name}" for name, sql in aggregates.items())
        final = ", ".join(f"finalize(combine_aggr({name})) AS {name}" for name in aggregates)
        more = (by,) if by else ()
        passes = []
        for i, cut in enumerate(self._cuts or [None]):
            keys = ", ".join(("__w", *([cut] if cut else []), *self._model, *more))
            summed = f"(SELECT {keys}, {states} FROM {source or self.rows} GROUP BY ALL)"
            # The whole table comes from the first slice's pass.
            cuts = [*([None] if i == 0 else []), *([cut] if cut else [])]
            passes.append(self._sets(cuts, final, summed, more))
        return " UNION ALL ".join(passes)

    def folded(self, by: Sequence[str], sums: Mapping[str, str], source: str) -> str:
        """As `grouped`, by any columns and for what adds up: summed by all keys first, then into groups."""
        names = ", ".join((*self.keys, *by))
        parts = ", ".join(f"{sql} AS {name}" for name, sql in sums.items())
        totals = ", ".join(f"sum({name}) AS {name}" for name in sums)
        summed = f"(SELECT {names}, {parts} FROM {source} GROUP BY ALL)"
        return self._sets([None, *self._cuts], totals, summed, tuple(by))

    def members(self) -> str:
        """A query: each group `g`, its cells `ks`, its grouping set `cut` and the number `n` of its rows."""
        found = f"list(__k) AS ks, grouping({', '.join(self.keys)}) AS cut, sum(__n)::BIGINT AS n"
        return self._sets([None, *self._cuts], found, self.cells, ())

    @property
    def _cuts(self) -> tuple[str, ...]:
        return tuple(f"__s{i}" for i in range(len(self.slices)))

    @property
    def _model(self) -> tuple[str, ...]:
        return ("__m",) if self.by_model else ()

    def _sets(self, cuts: Sequence[str | None], aggregates: str, source: str, by: tuple[str, ...]) -> str:
        """Grouping sets of the window with each cut, with and without the model."""
        used = [cut for cut in cuts if cut]
        models = [(), self._model] if self.by_model else [()]
        sets = (("__w", *([cut] if cut else []), *model, *by) for cut in cuts for model in models)
        # A slice or model that is null is no group of its own; what is null after this was rolled up.
        real = " AND ".join(f"(grouping({k}) = 1 OR {k} IS NOT NULL)" for k in (*used, *self._model))
        keys = (
            f"CASE WHEN {cut} IS NOT NULL THEN {literal(self.slices[int(cut[3:])].key)} END" for cut in used
        )
        group = (
            f"{{'w': __w, 'k': coalesce({', '.join((*keys, 'NULL::VARCHAR'))}),"
            f" 'v': coalesce({', '.join((*used, 'NULL::VARCHAR'))}),"
            f" 'm': coalesce({', '.join((*self._model, literal('*')))})}}"
        )
        return (
            f"SELECT {', '.join((f'{group} AS g', *by, aggregates))} FROM {source}"
            f" GROUP BY GROUPING SETS ({', '.join('(' + ', '.join(one) + ')' for one in sets)})"
            f" HAVING {real or 'true'}"
        )


@contextmanager
def cube(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    *,
    window: str,
    slices: tuple[Slice, ...] = (),
    model: str | None = None,
    where: str = "true",
) -> Iterator[Cube]:
    """The rows of a relation with their groups, while the context lasts.

    `relation` is SQL that may follow FROM, `window` a TIMESTAMP expression over it, `model` an expression
    or None, `where` a condition. Up to two million rows are read once into memory; more are read again by
    each query.
    """
    name = f"boathouse_{uuid4().hex}"
    made = Cube(f"{name}_rows", f"{name}_cells", slices, model is not None)
    values = [window, *(s.sql for s in slices), *([f"CAST({model} AS VARCHAR)"] if model else [])]
    keyed = ", ".join(f"{value} AS {key}" for value, key in zip(values, made.keys, strict=True))
    keys = ", ".join(made.keys)
    same = " AND ".join(f"r.{key} IS NOT DISTINCT FROM c.{key}" for key in made.keys)
    con.execute(
        f"CREATE TEMP TABLE {made.cells} AS SELECT *, CAST(row_number() OVER () - 1 AS INTEGER) AS __k FROM"
        f" (SELECT {keys}, count(*) AS __n FROM (SELECT {keyed} FROM {relation} WHERE {where}) GROUP BY ALL)"
    )
    [(count,)] = con.sql(f"SELECT coalesce(sum(__n), 0) FROM {made.cells}").fetchall()
    kind = "TABLE" if count <= _IN_MEMORY else "VIEW"
    try:
        con.execute(
            f"CREATE TEMP {kind} {made.rows} AS SELECT r.*, c.__k"
            f" FROM (SELECT *, {keyed} FROM {relation} WHERE {where}) r JOIN {made.cells} c ON {same}"
        )
        yield made
    finally:
        con.execute(f"DROP {kind} IF EXISTS {made.rows}")
        con.execute(f"DROP TABLE {made.cells}")


@dataclass(frozen=True)
class Members:
    """The groups `g` and, as pairs of shape (m,), which `group` (its position in `g`) has which `cell`."""

    g: pa.ChunkedArray
    cut: _Ints
    group: _Ints
    cell: _Ints
    cells: int

    def maps(self) -> Iterator[_Ints]:
        """For each grouping set, the group that each cell is in; -1 for none."""
        for cut in np.unique(self.cut):
            group_of = np.full(self.cells, -1)
            chosen = self.cut[self.group] == cut
            group_of[self.cell[chosen]] = self.group[chosen]
            yield group_of


def members(con: duckdb.DuckDBPyConnection, cube: Cube) -> Members:
    """The groups of a cube and their cells."""
    found = con.sql(cube.members()).to_arrow_table()
    ks = found["ks"].combine_chunks()
    group = np.repeat(np.arange(len(ks)), np.diff(ks.offsets.to_numpy()))
    cell = ks.values.to_numpy()
    cells = int(cell.max()) + 1 if len(cell) else 0
    return Members(found["g"], found["cut"].to_numpy(), group, cell, cells)


def find_slice(con: duckdb.DuckDBPyConnection, relation: str, expression: str) -> Slice:
    """A slicing expression with the values it takes: both of a Boolean, else the most frequent.

    Raises InvalidInput when the relation cannot answer the expression.
    """
    try:
        kind = con.sql(f"SELECT ({expression}) FROM {relation} LIMIT 0").types[0].id
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(f"the slicing expression {expression!r} does not work here: {reason}") from error
    text = f"CAST(({expression}) AS VARCHAR)"
    if kind == "boolean":
        return Slice(expression, text)
    found = con.sql(
        f"SELECT __v FROM (SELECT {text} AS __v FROM {relation}) WHERE __v IS NOT NULL"
        f" GROUP BY __v ORDER BY count(*) DESC, __v LIMIT {TOP_VALUES}"
    ).fetchall()
    listed = ", ".join(literal(value) for (value,) in found) or "NULL"
    return Slice(expression, f"CASE WHEN {text} IN ({listed}) THEN {text} END")
