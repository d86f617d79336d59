"""Bins of numeric columns: edges from the baseline, counts and sums that add up across windows."""

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import numpy as np

from boathouse.monitoring.columns import Column, as_relation, columns_of, literal, pick
from boathouse.monitoring.cube import Cube


def bin_edges(
    con: duckdb.DuckDBPyConnection, relation_sql: str, columns: Iterable[str] | None = None, n: int = 64
) -> dict[str, list[float]]:
    """Edges of about `n` bins of equal count for each numeric column (None: all of them).

    At most n + 1 edges, ascending; bins are `[lo, hi)` with an open one at each end. A value so frequent
    that it fills more than one bin gets a bin of its own. Columns that are not numeric are left out.
    """
    relation = as_relation(relation_sql)
    known = columns_of(con, relation)
    chosen = known.values() if columns is None else pick(known, columns, relation_sql)
    steps = [i / n for i in range(n + 1)]
    edges = {}
    for column in chosen:
        if column.family == "numeric":
            # Column by column, as exact quantiles hold a whole column in memory.
            query = f"SELECT quantile_disc({column.number}, {steps}) FROM {relation}"
            [(found,)] = con.sql(query).fetchall()
            edges[column.name] = _edges(found or [])
    return edges


def _edges(quantiles: Sequence[float]) -> list[float]:
    values, times = np.unique(np.asarray(quantiles, float), return_counts=True)
    after = np.nextafter(values[times > 1], np.inf)
    return [float(edge) for edge in np.union1d(values, after)]


def bins_sql(cube: Cube, columns: Iterable[Column], edges: Mapping[str, Sequence[float]]) -> str | None:
    """A query over the CTE `rows`: `g`, `column_name` and `bins`, a full list even where nothing fell in."""
    parts = [_one(cube, c, edges[c.name]) for c in columns if c.family == "numeric" and c.name in edges]
    if not parts:
        return None
    return (
        "SELECT g, column_name, list_transform(range(len(edges) + 1), lambda i: {"
        " 'lo': coalesce(edges[i], '-inf'::DOUBLE), 'hi': coalesce(edges[i + 1], 'inf'::DOUBLE),"
        " 'count': coalesce(filled[i]['n'], 0), 'sum': coalesce(filled[i]['s'], 0)}) AS bins"
        f" FROM ({' UNION ALL '.join(parts)})"
    )


def _one(cube: Cube, column: Column, edges: Sequence[float]) -> str:
    place = f"CASE WHEN __x IS NOT NULL THEN {_search('__x', edges, 0)} END"
    values = f"(SELECT *, {column.number} AS __x FROM rows)"
    summed = cube.folded({"b": place}, {"n": "count(__x)", "s": "sum(__x)"}, source=values)
    return (
        f"SELECT g, {literal(column.name)} AS column_name, {list(edges)}::DOUBLE[] AS edges,"
        " map(list(b) FILTER (b IS NOT NULL),"
        " list({'n': n::BIGINT, 's': s}) FILTER (b IS NOT NULL)) AS filled"
        f" FROM ({summed}) GROUP BY g"
    )


def _search(x: str, edges: Sequence[float], first: int) -> str:
    """The bin of `x` as a binary search in SQL: the number of edges not above it."""
    if not edges:
        return f"{first}::BIGINT"
    middle = len(edges) // 2
    below = _search(x, edges[:middle], first)
    above = _search(x, edges[middle + 1 :], first + middle + 1)
    return f"CASE WHEN {x} < {edges[middle]!r}::DOUBLE THEN {below} ELSE {above} END"
