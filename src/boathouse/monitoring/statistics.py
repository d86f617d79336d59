"""Statistics of columns in SQL, for every group of a cube at once.

Columns of one family are read as one long column: the queries stay as short for fifty columns as for
one, where an aggregate for each would cost the planner more than a day's rows cost the engine.
"""

from collections.abc import Mapping, Sequence

from boathouse.monitoring.columns import Column, literal
from boathouse.monitoring.cube import Cube

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_ITEMS = 50
# Rarer values count as other at once: keeping all of 10,000 values for every group costs too much.
_CANDIDATES = 1000
_ITEM_LENGTH = 256

_NUMBERS: Mapping[str, str] = {
    "count": "count(*)",
    "present": "count(CASE WHEN kind > 0 THEN 1 END)",
    "distinct_count": "approx_count_distinct(x)",
    "num_zeros": "count(CASE WHEN x = 0 THEN 1 END)",
    "num_nan": "count(CASE WHEN kind = 2 THEN 1 END)",
    "avg": "avg(x)",
    "min": "min(x)",
    "max": "max(x)",
    "stddev": "stddev_samp(x)",
    "quantiles": f"approx_quantile(x, {list(QUANTILES)})",
}
_TEXTS: Mapping[str, str] = {
    "count": "count(*)",
    "present": "count(x)",
    "distinct_count": "approx_count_distinct(x)",
    "min_length": "min(length(x))",
    "max_length": "max(length(x))",
    "avg_length": "avg(length(x))",
}
# What only one family has, though another is read together with it.
_ONLY: Mapping[str, tuple[str, ...]] = {
    "numeric": ("num_zeros", "num_nan", "avg", "stddev", "quantiles"),
    "text": ("min_length", "max_length", "avg_length"),
}


def statistics_sql(cube: Cube, columns: Sequence[Column]) -> str:
    """A query: `g`, `position` (-1: the table) and the statistics of the table and of each column."""
    numbers = _family(columns, "numeric", "temporal")
    others = _family(columns, "text", "boolean", "other")
    parts = (
        f"SELECT g, -1 AS position, n AS count FROM ({cube.members()})",
        f"({cube.grouped(_NUMBERS, by='position', source=_long(cube, numbers, 'DOUBLE'))})",
        f"({cube.grouped(_TEXTS, by='position', source=_long(cube, others, 'VARCHAR'))})",
    )
    named = ["(-1, ':table', NULL, 'table')"]
    for i, column in enumerate(columns):
        named.append(f"({i}, {literal(column.name)}, {literal(column.data_type)}, {literal(column.family)})")
    only = ", ".join(
        f"CASE WHEN family = '{family}' THEN {name} END AS {name}"
        for family, names in _ONLY.items()
        for name in names
    )
    # The estimate of distinct values may run over the number of values there are.
    described = f"(VALUES {', '.join(named)}) AS named(position, column_name, data_type, family)"
    return (
        f"SELECT g, position, column_name, data_type, count, count - present AS num_nulls, min, max, {only},"
        " CASE WHEN family <> 'other' THEN least(distinct_count, present) END AS distinct_count,"
        f" quantiles[{QUANTILES.index(0.5) + 1}] AS median"
        f" FROM ({' UNION ALL BY NAME '.join(parts)})"
        f" JOIN {described} USING (position)"
    )


def _family(columns: Sequence[Column], *families: str) -> dict[int, Column]:
    return {i: column for i, column in enumerate(columns) if column.family in families}


def _long(cube: Cube, columns: Mapping[int, Column], kind: str) -> str:
    """A relation with the keys and one row for each row and column: `position`, `x`, `kind` (2: NaN)."""
    lists = {
        "position": ([str(position) for position in columns], "INTEGER"),
        "x": ([column.value for column in columns.values()], kind),
        "kind": (
            [f"CASE WHEN {c.is_nan} THEN 2 WHEN {c.sql} IS NULL THEN 0 ELSE 1 END" for c in columns.values()],
            "TINYINT",
        ),
    }
    unnested = ", ".join(
        f"unnest([{', '.join(values)}]::{type_}[]) AS {name}" for name, (values, type_) in lists.items()
    )
    return f"(SELECT {', '.join(cube.keys)}, {unnested} FROM {cube.rows})"


def items_sql(cube: Cube, columns: Sequence[Column]) -> str:
    """A query: `g`, `position` and `frequent_items`, the most frequent values of text and Booleans."""
    texts = _long(cube, _family(columns, "text", "boolean"), "VARCHAR")
    keys = ", ".join(cube.keys)
    # A value beyond the candidates becomes null, as a missing one is; other_count is what remains.
    known = "counted LEFT JOIN frequent USING (position, x)"
    listed = f"(SELECT {keys}, position, n, CASE WHEN common THEN x END AS x FROM {known})"
    item = "{'item': x, 'count': n::BIGINT}"
    top = f"list({item} ORDER BY n DESC, x) FILTER (x IS NOT NULL)[:{TOP_ITEMS}]"
    return f"""
        WITH counted AS MATERIALIZED (
            SELECT {keys}, position, x, count(*) AS n
            FROM (SELECT * REPLACE (left(x, {_ITEM_LENGTH}) AS x) FROM {texts}) GROUP BY ALL),
        frequent AS (
            SELECT position, x, true AS common FROM counted WHERE x IS NOT NULL GROUP BY position, x
            QUALIFY row_number() OVER (PARTITION BY position ORDER BY sum(n) DESC, x) <= {_CANDIDATES})
        SELECT g, position, coalesce({top}, []) AS frequent_items
        FROM ({cube.folded(["position", "x"], {"n": "sum(n)"}, listed)}) GROUP BY g, position"""
