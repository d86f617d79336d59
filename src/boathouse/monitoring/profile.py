"""The profile of a table: one row for each window, slice, model and column.

Statistics of numeric columns are over their finite values: NaN is counted in `num_nan`, and like
infinities enters nothing else. `count` counts rows, and percents are of it, 0 to 100. `quantiles` (see
`statistics.QUANTILES`), `median` and `distinct_count` are approximate (t-digest, HyperLogLog).
`frequent_items` are the 50 most frequent values of text and Booleans, `other_count` the rows with another.
The row named ':table' describes the whole group and, for models, their quality.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import duckdb
import pyarrow as pa

from boathouse.clock import parse_instant
from boathouse.errors import InvalidInput
from boathouse.monitoring.bins import binned
from boathouse.monitoring.columns import Column, as_relation, columns_of, literal, pick, quoted
from boathouse.monitoring.cube import Cube, Slice, cube, find_slice, members
from boathouse.monitoring.gold import profile_schema
from boathouse.monitoring.quality import Quality, quality
from boathouse.monitoring.scores import scored
from boathouse.monitoring.spec import MonitorSpec
from boathouse.monitoring.statistics import items_sql, statistics_sql
from boathouse.monitoring.windows import Window, parse_granularity


def profile(
    con: duckdb.DuckDBPyConnection,
    relation_sql: str,
    spec: MonitorSpec,
    windows: Collection[Window] | None = None,
    *,
    log_type: str = "INPUT",
    commit_version: int | None = None,
    monitor_version: int = 0,
    bins: Mapping[str, Sequence[float]] | None = None,
    taken_at: datetime | None = None,
) -> pa.Table:
    """Profile a relation; the columns are those of `profile_schema(spec.model_id_col)`.

    `relation_sql` is a table's name or a query, on a connection whose TimeZone is UTC. `windows` keeps to
    windows of the spec's granularities (None: all that have rows); a window without rows gives no rows.
    Snapshots and `log_type="BASELINE"` are one group without a granularity: its window is `taken_at` for a
    snapshot and the span of the timestamps for a baseline. A baseline may lack the model, prediction and
    label columns and those that slices need. `bins` are the edges from `bin_edges`, the same for all
    profiles that are to be compared. Raises InvalidInput for what the relation does not have.
    """
    relation = as_relation(relation_sql)
    columns = columns_of(con, relation)
    baseline = log_type == "BASELINE"
    chosen = _chosen(spec, columns, baseline)
    slices = _slices(con, relation, spec, baseline)
    model = quoted(spec.model_id_col) if spec.model_id_col in columns else None
    if baseline or spec.kind == "snapshot":
        frames = [_whole(con, relation, spec, columns, taken_at)]
    else:
        frames = [_frame(spec, text, starts) for text, starts in _wanted(spec, windows).items()]
    constants = {
        "log_type": literal(log_type),
        "logging_table_commit_version": "NULL::INTEGER" if commit_version is None else str(commit_version),
        "monitor_version": str(monitor_version),
    }
    schema = profile_schema(spec.model_id_col)
    found = [schema.empty_table()]
    for frame in frames:
        with cube(con, relation, window=frame.start, slices=slices, model=model, where=frame.where) as rows:
            measured = quality(con, rows, spec, columns)
            query = _query(rows, chosen, constants | _keys(frame, spec), measured)
            aside = _aside(con, rows, chosen, bins or {}, measured)
            found.append(_fitted(_joined(con, query, aside), schema))
    return pa.concat_tables(found)


@dataclass(frozen=True)
class _Frame:
    """How rows fall in windows, in SQL: a row's window, that window's ends, and the rows to take."""

    granularity: str | None
    start: str
    window: str | None
    where: str


def _frame(spec: MonitorSpec, text: str, starts: list[datetime] | None) -> _Frame:
    granularity, timestamp = parse_granularity(text), quoted(spec.timestamp_col or "")
    start = granularity.start_sql(timestamp)
    ends = "{{'start': make_timestamptz(epoch_us(g.w)), 'end': make_timestamptz(epoch_us({}))}}"
    window = ends.format(granularity.end_sql("g.w"))
    if starts is None:
        return _Frame(text, start, window, f"{timestamp} IS NOT NULL")
    first, last = min(starts), granularity.end(max(starts))
    listed = ", ".join(f"TIMESTAMP '{at:%Y-%m-%d %H:%M:%S}'" for at in sorted(set(starts)))
    # The range lets a scan skip files; the list keeps windows between out.
    span = f"{timestamp} >= {_instant(first)} AND {timestamp} < {_instant(last)}"
    return _Frame(text, start, window, f"{span} AND {start} IN ({listed})")


def _whole(
    con: duckdb.DuckDBPyConnection,
    relation: str,
    spec: MonitorSpec,
    columns: Mapping[str, Column],
    taken_at: datetime | None,
) -> _Frame:
    ends = (taken_at, taken_at)
    if spec.timestamp_col in columns:
        at = quoted(spec.timestamp_col or "")
        utc = f"CAST({at} AS TIMESTAMPTZ)"
        [ends] = con.sql(f"SELECT min({utc}), max({utc}) FROM {relation}").fetchall()
    start, end = (end and _instant(end) for end in ends)
    window = f"{{'start': {start}, 'end': {end}}}" if start and end else None
    return _Frame(None, "NULL::TIMESTAMP", window, "true")


def _instant(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{parse_instant(moment).isoformat()}'"


def _wanted(spec: MonitorSpec, windows: Collection[Window] | None) -> dict[str, list[datetime] | None]:
    """The starts of the windows to profile by granularity; None is all of them."""
    if windows is None:
        return dict.fromkeys(spec.granularities)
    wanted: dict[str, list[datetime] | None] = {}
    for name, moment in windows:
        granularity = parse_granularity(name)
        if str(granularity) not in spec.granularities:
            known = ", ".join(spec.granularities)
            raise InvalidInput(f"the monitor of {spec.table} has no granularity {name!r}, only {known}")
        starts = wanted.setdefault(str(granularity), [])
        if starts is not None:
            starts.append(granularity.start(moment))
    return wanted


def _chosen(spec: MonitorSpec, columns: Mapping[str, Column], baseline: bool) -> list[Column]:
    """The columns to profile. A baseline may lack some; otherwise all the spec names must be there."""
    names = spec.columns if spec.columns is not None else tuple(columns)
    if baseline:
        return [columns[name] for name in names if name in columns]
    roles = (
        spec.timestamp_col,
        spec.prediction_col,
        spec.prediction_proba_col,
        spec.label_col,
        spec.model_id_col,
    )
    pick(columns, filter(None, roles), spec.table)
    return pick(columns, names, spec.table)


def _slices(
    con: duckdb.DuckDBPyConnection, relation: str, spec: MonitorSpec, baseline: bool
) -> tuple[Slice, ...]:
    found = []
    for expression in spec.slicing_exprs:
        try:
            found.append(find_slice(con, relation, expression))
        except InvalidInput:
            if not baseline:
                raise
    return tuple(found)


def _query(cube: Cube, columns: Sequence[Column], named: Mapping[str, str], measured: Quality | None) -> str:
    """All parts joined on the group: one row for each group and column."""
    parts = {"items": items_sql(cube, columns), "present": _PRESENT}
    if measured:
        parts["quality"] = f"SELECT -1 AS position, * FROM ({measured.sql})"
    ctes = ", ".join(f"{name} AS ({sql})" for name, sql in parts.items())
    joins = " ".join(f"LEFT JOIN {name} USING (g, position)" for name in parts)
    percents = ", ".join(f"100.0 * {part} / count AS {name}" for name, part in _PERCENTS.items())
    shown = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in named.items())
    return (
        f"WITH stats AS MATERIALIZED ({statistics_sql(cube, columns)}), {ctes}"
        f" SELECT *, {shown}, {percents}, {_OTHER} AS other_count FROM stats {joins}"
    )


_PERCENTS = {
    "percent_nan": "num_nan",
    "percent_null": "num_nulls",
    "percent_zeros": "num_zeros",
    "percent_distinct": "distinct_count",
}
_OTHER = "count - num_nulls - list_sum(list_transform(frequent_items, lambda item: item.count))"
_PRESENT = """SELECT g, -1 AS position,
    list(column_name ORDER BY position) FILTER (count > num_nulls) AS non_null_columns
    FROM stats WHERE position >= 0 GROUP BY g"""


def _aside(
    con: duckdb.DuckDBPyConnection,
    cube: Cube,
    columns: Sequence[Column],
    edges: Mapping[str, Sequence[float]],
    measured: Quality | None,
) -> list[pa.Table]:
    """What NumPy makes: tables of `g`, `position` and more."""
    groups = members(con, cube)
    if not len(groups.g):
        return []
    tables = binned(con, cube, groups, columns, edges)
    return [*tables, scored(con, groups, measured.scored)] if measured and measured.scored else tables


def _joined(con: duckdb.DuckDBPyConnection, query: str, aside: Sequence[pa.Table]) -> pa.Table:
    """The rows of the query in order, with the columns of the tables made aside."""
    names = [f"boathouse_{uuid4().hex}" for _ in aside]
    joins = " ".join(f"LEFT JOIN {name} USING (g, position)" for name in names)
    try:
        for name, table in zip(names, aside, strict=True):
            con.register(name, table)
        # Whole table before slices, all models before each.
        order = "g.w, g.k NULLS FIRST, g.v NULLS FIRST, g.m, position"
        return con.sql(f"SELECT * FROM ({query}) {joins} ORDER BY {order}").to_arrow_table()
    finally:
        for name in names:
            con.unregister(name)


def _keys(frame: _Frame, spec: MonitorSpec) -> dict[str, str]:
    found = {
        "granularity": literal(frame.granularity) if frame.granularity else "NULL::VARCHAR",
        "slice_key": "g.k",
        "slice_value": "g.v",
    }
    if spec.model_id_col:
        found[spec.model_id_col] = "g.m"
    return found | ({"window": frame.window} if frame.window else {})


def _fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with exactly the schema's columns; those it lacks are null."""
    present = set(table.column_names)
    arrays = [
        table[field.name].cast(field.type) if field.name in present else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(arrays, schema=schema)
