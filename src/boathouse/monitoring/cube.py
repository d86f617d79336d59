"""Groups of rows: the window, cut by one slice at a time, for each model and for all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb

from boathouse.errors import InvalidInput
from boathouse.monitoring.columns import literal

TOP_VALUES = 100
"""Slices of a per-value expression, by frequency."""


@dataclass(frozen=True)
class Slice:
    """One slicing expression; `sql` is its value as text, null for rows in no slice."""

    key: str
    sql: str


@dataclass(frozen=True)
class Cube:
    """Rows and the groups they fall in.

    `relation` is SQL that may follow FROM, `window` a TIMESTAMP expression, `model` an expression or
    None, `where` a condition on the rows. Grouping sets take one slice at a time, never their product.
    """

    relation: str
    window: str
    slices: tuple[Slice, ...] = ()
    model: str | None = None
    where: str = "true"

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that `rows` adds."""
        return ("__w", *self._cuts, *self._model)

    @property
    def rows(self) -> str:
        """A query: the relation's columns and the keys; the other queries expect it as the CTE `rows`."""
        values = [self.window, *(s.sql for s in self.slices)]
        values += [f"CAST({self.model} AS VARCHAR)"] if self.model else []
        added = ", ".join(f"{value} AS {key}" for value, key in zip(values, self.keys, strict=True))
        return f"SELECT *, {added} FROM {self.relation} WHERE {self.where}"

    def grouped(self, aggregates: Mapping[str, str]) -> str:
        """A query over the CTE `rows`: one row for each group, whose key is the column `g`.

        `g` is a struct `{w: window start, k: slice key, v: slice value, m: model or '*'}`. `aggregates` maps
        names to single aggregate calls. Rows are read once per slice: sketches are built for slice by
        model, then combined, as building one (a t-digest above all) costs more than the rest together.
        """
        states = ", ".join(f"{sql} EXPORT_STATE AS {name}" for name, sql in aggregates.items())
        final = ", ".join(f"finalize(combine_aggr({name})) AS {name}" for name in aggregates)
        passes = []
        for i, cut in enumerate(self._cuts or [None]):
            keys = ", ".join(("__w", *([cut] if cut else []), *self._model))
            source = f"(SELECT {keys}, {states} FROM rows GROUP BY ALL)"
            # The whole table comes from the first slice's pass.
            cuts = [*([None] if i == 0 else []), *([cut] if cut else [])]
            passes.append(self._sets(cuts, final, source, ()))
        return " UNION ALL ".join(passes)

    def folded(self, by: Mapping[str, str], sums: Mapping[str, str], *, source: str = "rows") -> str:
        """As `grouped`, by more columns and for what adds up: summed by all keys first, then into groups.

        `by` and `sums` map names to expressions and to aggregates over the source.
        """
        names = ", ".join((*self.keys, *(f"{sql} AS {name}" for name, sql in by.items())))
        parts = ", ".join(f"{sql} AS {name}" for name, sql in sums.items())
        summed = f"(SELECT {names}, {parts} FROM {source} GROUP BY ALL)"
        totals = ", ".join(f"sum({name}) AS {name}" for name in sums)
        return self._sets([None, *self._cuts], totals, summed, tuple(by))

    @property
    def _cuts(self) -> tuple[str, ...]:
        return tuple(f"__s{i}" for i in range(len(self.slices)))

    @property
    def _model(self) -> tuple[str, ...]:
        return ("__m",) if self.model else ()

    def _sets(self, cuts: Sequence[str | None], aggregates: str, source: str, by: tuple[str, ...]) -> str:
        """Grouping sets of the window with each cut, with and without the model."""
        used = [cut for cut in cuts if cut]
        models = [(), self._model] if self.model else [()]
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
