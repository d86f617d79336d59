"""Statistics of columns in SQL, for every group of a cube at once."""

from collections.abc import Mapping, Sequence

from boathouse.monitoring.columns import Column, literal
from boathouse.monitoring.cube import Cube
from boathouse.monitoring.gold import TABLE

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
TOP_ITEMS = 50
# Rarer values count as other at once: keeping all of 10,000 values for every group costs too much.
_CANDIDATES = 1000
_ITEM_LENGTH = 256

_FIELDS: Mapping[str, str] = {
    "position": "INTEGER",
    "column_name": "VARCHAR",
    "data_type": "VARCHAR",
    "count": "BIGINT",
    "num_nulls": "BIGINT",
    "distinct_count": "BIGINT",
    "num_zeros": "BIGINT",
    "num_nan": "BIGINT",
    "avg": "DOUBLE",
    "min": "DOUBLE",
    "max": "DOUBLE",
    "stddev": "DOUBLE",
    "quantiles": "DOUBLE[]",
    "median": "DOUBLE",
    "min_length": "DOUBLE",
    "max_length": "DOUBLE",
    "avg_length": "DOUBLE",
}


def statistics_sql(cube: Cube, columns: Sequence[Column]) -> str:
    """A query over the CTE `rows`: `g` and one row for the table and each column."""
    aggregates = {"n": "count(*)"}
    cells = [_cell({"position": "-1", "column_name": literal(TABLE), "count": "n"})]
    for position, column in enumerate(columns):
        named = {name: f"c{position}_{name}" for name in _aggregates(column)}
        aggregates |= {named[name]: sql for name, sql in _aggregates(column).items()}
        cells.append(_cell(_row(column, position, named)))
    wide = cube.grouped(aggregates)
    return f"SELECT g, c.* FROM (SELECT g, unnest([{', '.join(cells)}]) AS c FROM ({wide}))"


def _cell(found: Mapping[str, str]) -> str:
    fields = (f"'{name}': CAST({found.get(name, 'NULL')} AS {kind})" for name, kind in _FIELDS.items())
    return f"{{{', '.join(fields)}}}"


def _row(column: Column, position: int, named: Mapping[str, str]) -> dict[str, str]:
    """The fields of a column's row from the names of its aggregates."""
    found = dict(named) | {
        "position": str(position),
        "column_name": literal(column.name),
        "data_type": literal(column.data_type),
        "count": "n",
        "num_nulls": f"n - {named['present']}",
    }
    if "distinct_count" in named:
        # The estimate may run over the number of values there are.
        found["distinct_count"] = f"least({named['distinct_count']}, {named['present']})"
    if "quantiles" in named:
        found["median"] = f"{named['quantiles']}[{QUANTILES.index(0.5) + 1}]"
    return found


def _aggregates(column: Column) -> dict[str, str]:
    value = column.sql
    found = {"present": f"count({value})"}
    if column.family == "other":
        return found
    found["distinct_count"] = f"approx_count_distinct({value})"
    if column.family == "numeric":
        x = column.number
        found |= {how: f"{how}({x})" for how in ("avg", "min", "max")}
        found |= {
            "stddev": f"stddev_samp({x})",
            "quantiles": f"approx_quantile({x}, {list(QUANTILES)})",
            "num_zeros": f"count(CASE WHEN {x} = 0 THEN 1 END)",
            "num_nan": f"count(CASE WHEN {column.is_nan} THEN 1 END)",
        }
    elif column.family == "temporal":
        seconds = f"epoch({value})"
        found |= {
            "min": f"min({seconds})",
            "max": f"max({seconds})",
            "median": f"approx_quantile({seconds}, 0.5)",
        }
    elif column.family == "text":
        length = f"length(CAST({value} AS VARCHAR))"
        found |= {f"{how}_length": f"{how}({length})" for how in ("min", "max", "avg")}
    return found


def items_sql(cube: Cube, columns: Sequence[Column]) -> str | None:
    """A query over the CTE `rows`: `g`, `column_name` and the most frequent values of text and Booleans."""
    parts = [_items(cube, column) for column in columns if column.family in ("text", "boolean")]
    return " UNION ALL ".join(f"({part})" for part in parts) or None


def _items(cube: Cube, column: Column) -> str:
    keys = ", ".join(cube.keys)
    text = f"left(CAST({column.sql} AS VARCHAR), {_ITEM_LENGTH})"
    frequent = (
        "SELECT item FROM counted WHERE item IS NOT NULL"
        f" GROUP BY item ORDER BY sum(n) DESC, item LIMIT {_CANDIDATES}"
    )
    known = f"CASE WHEN item IN ({frequent}) THEN item END"
    grouped = cube.folded({"item": known}, {"n": "sum(n)"}, source="counted")
    pair = "{'item': item, 'count': n::BIGINT}"
    top = f"list({pair} ORDER BY n DESC, item) FILTER (item IS NOT NULL)[:{TOP_ITEMS}]"
    return (
        f"WITH counted AS MATERIALIZED (SELECT {keys}, __v AS item, count(*) AS n"
        f" FROM (SELECT *, {text} AS __v FROM rows) GROUP BY ALL)"
        f" SELECT g, {literal(column.name)} AS column_name, coalesce({top}, []) AS frequent_items"
        f" FROM ({grouped}) GROUP BY g"
    )
