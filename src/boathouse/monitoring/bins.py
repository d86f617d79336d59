"""Bins of numeric columns: edges from the baseline, counts and sums that add up across windows.

Placed by NumPy: 15 million values took 1.3 CPU seconds, against 7.5 for a search written as SQL CASE and
11 for an ASOF join, and a CASE for each of many columns takes the planner longer than a day's rows.
"""

from collections.abc import Iterable, Mapping, Sequence

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boathouse.monitoring.columns import Column, as_relation, columns_of, pick
from boathouse.monitoring.cube import Cube, Members


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


def binned(
    con: duckdb.DuckDBPyConnection,
    cube: Cube,
    groups: Members,
    columns: Sequence[Column],
    edges: Mapping[str, Sequence[float]],
) -> list[pa.Table]:
    """Group `g`, `position` of the column and its `bins`: always a full list, also where nothing fell in.

    One table, or none where no column has edges.
    """
    from scipy.sparse import csr_array

    ones = np.ones(len(groups.cell))
    belongs = csr_array((ones, (groups.group, groups.cell)), shape=(len(groups.g), groups.cells))
    tables = []
    for position, column in enumerate(columns):
        if column.family == "numeric" and column.name in edges:
            inner = np.asarray(edges[column.name], float)
            query = (
                f"SELECT __k, x FROM (SELECT __k, {column.number} AS x FROM {cube.rows}) WHERE x IS NOT NULL"
            )
            rows = con.sql(query).to_arrow_table()
            x = rows["x"].to_numpy()
            place = (rows["__k"].to_numpy(), np.searchsorted(inner, x, side="right"))
            # Repeated places add up.
            shape = (groups.cells, len(inner) + 1)
            totals = [belongs @ csr_array((values, place), shape=shape) for values in (np.ones(len(x)), x)]
            bins = _bins(inner, *(total.toarray() for total in totals))
            where = {"g": groups.g, "position": pa.repeat(position, len(groups.g))}
            tables.append(pa.table({**where, "bins": bins}))
    return [pa.concat_tables(tables)] if tables else []


def _bins(inner: NDArray[np.float64], counts: NDArray[np.float64], sums: NDArray[np.float64]) -> pa.Array:
    groups, k = counts.shape
    lo, hi = np.append(-np.inf, inner), np.append(inner, np.inf)
    fields = {
        "lo": np.tile(lo, groups),
        "hi": np.tile(hi, groups),
        "count": counts.astype(np.int64).ravel(),
        "sum": sums.ravel(),
    }
    flat = pa.StructArray.from_arrays([pa.array(values) for values in fields.values()], list(fields))
    return pa.ListArray.from_arrays(np.arange(groups + 1, dtype=np.int32) * k, flat)
