"""Declared features against their definition, row by row in plain Python, on data that hypothesis makes up."""

import statistics
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boathouse.features.declared import AggregationFunction, DataFrameSource, Feature, SourceLateness, complete_sql
from boathouse.features.declared import operators as ops
from boathouse.features.declared import windows as w

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Row(NamedTuple):
    key: str | None
    hour: int | None
    value: int | None


keys = st.sampled_from(["a", "a", "a", "b", None])
hours = st.sampled_from([*range(12), *range(12), None])
rows = st.lists(st.builds(Row, keys, hours, st.sampled_from([*range(6), None])), max_size=30)
spines = st.lists(st.tuples(keys, st.sampled_from([*range(16), None])), min_size=1, max_size=12)
lengths = st.integers(1, 6).map(lambda n: n * HOUR)
lags = st.sampled_from([None, None, HOUR, 2 * HOUR])
starts = st.sampled_from([None, None, START + 2 * HOUR])
shifts = st.sampled_from([None, None, -HOUR, -3 * HOUR])
rolling = st.builds(w.RollingWindow, window_duration=st.one_of(st.none(), lengths), delay=lags, offset=shifts, start_time=starts)
tumbling = st.builds(w.TumblingWindow, window_duration=lengths, delay=lags, offset=shifts, start_time=starts)
common = {"delay": lags, "offset": shifts, "start_time": starts}
sliding = st.builds(w.SlidingWindow, window_duration=lengths, slide_duration=lengths, **common)
windows = st.one_of(rolling, tumbling, sliding)


def window_of(window: w.TimeWindow, at: datetime) -> tuple[datetime, datetime]:
    """The definition: [start, end) of the window that a moment sees."""
    origin = window.start_time or datetime(1970, 1, 1, tzinfo=UTC)
    shift, now = window.offset or timedelta(0), at - (window.delay or timedelta(0))
    if isinstance(window, w.RollingWindow):
        end = now + shift
    else:
        step = window.slide if isinstance(window, w.SlidingWindow) else window.window_duration
        assert step is not None
        end = origin + shift + ((now - origin - shift) // step) * step
    start = datetime(1, 1, 1, tzinfo=UTC) if window.window_duration is None else end - window.window_duration
    return (max(start, window.start_time) if window.start_time else start), end


def unique(values: list[int]) -> list[int]:
    return list(dict.fromkeys(values))


def percentile(values: list[int], share: float) -> int:
    return sorted(values)[max(0, -(-len(values) * int(share * 100) // 100) - 1)]


# (operator, its definition over the values without nulls, oldest first and of one time the smallest first)
DEFINED: list[tuple[ops.Operator, Callable[[list[int]], Any]]] = [
    (ops.Sum("value"), lambda v: sum(v) if v else None),
    (ops.Avg("value"), lambda v: statistics.fmean(v) if v else None),
    (ops.Min("value"), lambda v: min(v, default=None)),
    (ops.Max("value"), lambda v: max(v, default=None)),
    (ops.Count("value"), len),
    (ops.First("value"), lambda v: v[0] if v else None),
    (ops.Last("value"), lambda v: v[-1] if v else None),
    (ops.FirstN("value", n=2), lambda v: v[:2] or None),
    (ops.LastN("value", n=2), lambda v: v[::-1][:2] or None),
    (ops.FirstDistinct("value", n=2), lambda v: unique(v)[:2] or None),
    (ops.LastDistinct("value", n=2), lambda v: unique(v[::-1])[:2] or None),
    (ops.StddevPop("value"), lambda v: statistics.pstdev(v) if v else None),
    (ops.StddevSamp("value"), lambda v: statistics.stdev(v) if len(v) > 1 else None),
    (ops.VarPop("value"), lambda v: statistics.pvariance(v) if v else None),
    (ops.VarSamp("value"), lambda v: statistics.variance(v) if len(v) > 1 else None),
    (ops.ApproxCountDistinct("value"), lambda v: len(set(v))),
    (ops.ApproxPercentile("value", percentile=0.25), lambda v: percentile(v, 0.25) if v else None),
]


def table(given: list[Any], names: tuple[str, ...]) -> pa.Table:
    moments = [None if r[1] is None else START + r[1] * HOUR for r in given]
    columns = [pa.array([r[0] for r in given], pa.string()), pa.array(moments, pa.timestamp("us", "UTC"))]
    if len(names) == 3:
        columns.append(pa.array([r[2] for r in given], pa.int64()))
    return pa.table(columns, names=list(names))


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        yield connection


def computed(con: duckdb.DuckDBPyConnection, features: list[Feature], given: list[Row], spine: list[Any]) -> list[Any]:
    con.register("events", table(given, ("key", "at", "value")))
    con.register("spine", table(spine, ("key", "at")))
    return con.sql(complete_sql([(features, "events")], "spine", ["key", "at"])).fetchall()


@settings(max_examples=150, deadline=None)
@given(rows, spines, st.lists(windows, min_size=1, max_size=3), st.data())
def test_every_operator_over_every_window_gives_what_its_definition_says(con, given, spine, chosen, data) -> None:  # type: ignore[no-untyped-def]
    picked = data.draw(st.lists(st.sampled_from(DEFINED), min_size=len(chosen), max_size=len(chosen)))
    features = [
        Feature(source=DataFrameSource(None), entity=["key"], timeseries_column="at", name=f"f{i}",
                function=AggregationFunction(operator, window))
        for i, ((operator, _), window) in enumerate(zip(picked, chosen, strict=True))
    ]  # fmt: skip
    answers = computed(con, features, given, spine)
    assert [(a[0], a[1]) for a in answers] == [(k, None if h is None else START + h * HOUR) for k, h in spine]
    for (key, hour), answer in zip(spine, answers, strict=True):
        for (_, definition), window, value in zip(picked, chosen, answer[2:], strict=True):
            counted: list[int] = []
            if key is not None and hour is not None:
                start, end = window_of(window, START + hour * HOUR)
                inside = [r for r in given if r.key == key and r.hour is not None and start <= START + r.hour * HOUR < end]
                counted = [r.value for r in sorted(inside, key=lambda r: (r.hour, r.value or 0)) if r.value is not None]
            expected = definition(counted)
            assert value == (pytest.approx(expected) if isinstance(value, float) else expected)


@settings(max_examples=40, deadline=None)
@given(rows, spines)
def test_a_column_selection_is_the_newest_row_up_to_the_moment(con, given, spine) -> None:  # type: ignore[no-untyped-def]
    feature = Feature(source=DataFrameSource(None), entity="key", timeseries_column="at", function=ops.ColumnSelection("value"))
    for (key, hour), answer in zip(spine, computed(con, [feature], given, spine), strict=True):
        seen = [] if None in (key, hour) else [r for r in given if r.key == key and r.hour is not None and r.hour <= hour]
        newest = max(seen, key=lambda r: (r.hour, -1 if r.value is None else r.value), default=None)
        assert answer[2] == (newest.value if newest else None)


def test_a_source_that_settles_late_shows_its_rows_only_then(con: duckdb.DuckDBPyConnection) -> None:
    from boathouse.features.declared import DeltaTableSource

    source = DeltaTableSource("dev", "raw", "events", lateness=SourceLateness(2 * HOUR))
    window = w.RollingWindow(window_duration=4 * HOUR)
    feature = Feature(source=source, entity="key", timeseries_column="at", name="n",
                      function=AggregationFunction(ops.Count(), window))  # fmt: skip
    answers = computed(con, [feature], [Row("a", 1, 1)], [("a", 3), ("a", 4), ("a", 7), ("a", 8)])
    assert [a[2] for a in answers] == [0, 1, 1, 0]
