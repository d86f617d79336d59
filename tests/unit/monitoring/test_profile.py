import itertools
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput
from boathouse.monitoring import TABLE, MonitorSpec, bin_edges, profile, profile_schema

SPEC = MonitorSpec("flights.log", timestamp_col="ts", granularities=("1 day",))
FIRST = datetime(2013, 7, 1, tzinfo=UTC)


def row(table: pa.Table, **wanted: Any) -> dict[str, Any]:
    """The one row with these values; unless said, of the first day, the whole table and all models."""
    start = wanted.pop("start", FIRST)
    keys = {"slice_key": None, "slice_value": None, "column_name": TABLE, **wanted}
    keys |= {name: "*" for name in ("version",) if name in table.column_names and name not in wanted}
    rows = [r for r in table.to_pylist() if all(r[k] == v for k, v in keys.items())]
    [found] = [r for r in rows if start is None or r["window"]["start"] == start]
    return found


@pytest.fixture
def day(log: pd.DataFrame) -> pd.DataFrame:
    return log[log.ts.dt.date == FIRST.date()]


def test_numbers_are_described_as_pandas_does(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    found, x = row(profile(con, "log", SPEC), column_name="x"), day.x.dropna()
    [(nulls, nans)] = con.sql(
        "SELECT count_if(x IS NULL), count_if(isnan(x)) FROM log WHERE ts < '2013-07-02'"
    ).fetchall()
    assert (found["count"], found["num_nulls"], found["num_nan"]) == (len(day), nulls, nans)
    assert found["avg"] == pytest.approx(x.mean())
    assert found["stddev"] == pytest.approx(x.std())
    assert (found["min"], found["max"]) == (x.min(), x.max())
    assert found["median"] == pytest.approx(x.median(), abs=0.1)
    assert found["quantiles"] == pytest.approx(
        x.quantile([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]).tolist(), abs=0.5
    )
    assert found["distinct_count"] == pytest.approx(x.nunique(), rel=0.15)
    assert found["percent_null"] == pytest.approx(100 * nulls / len(day))
    assert found["data_type"] == "double"


def test_counts_and_constants_and_nothing_at_all(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    table = profile(con, "log", SPEC)
    count, constant, empty = (row(table, column_name=name) for name in ("n", "constant", "empty"))
    assert (count["num_zeros"], count["data_type"]) == ((day.n == 0).sum(), "bigint")
    assert count["percent_zeros"] == pytest.approx(100 * (day.n == 0).mean())
    assert (constant["stddev"], constant["distinct_count"], constant["median"]) == (0, 1, 5)
    assert (empty["avg"], empty["quantiles"], empty["percent_null"]) == (None, None, 100)


def test_text_and_booleans_list_their_most_frequent_values(
    con: duckdb.DuckDBPyConnection, day: pd.DataFrame
) -> None:
    table = profile(con, "log", SPEC)
    origin, wet = row(table, column_name="origin"), row(table, column_name="wet")
    counts = day.origin.value_counts().to_dict()
    assert {i["item"]: i["count"] for i in origin["frequent_items"]} == counts
    assert origin["frequent_items"][0]["item"] == day.origin.value_counts().index[0]
    assert (origin["min_length"], origin["avg_length"], origin["other_count"]) == (3, 3, 0)
    assert {i["item"] for i in wet["frequent_items"]} == {"true", "false"}
    assert (wet["data_type"], wet["max_length"], wet["avg"]) == ("boolean", None, None)


def test_values_beyond_the_fifty_most_frequent_are_other(con: duckdb.DuckDBPyConnection) -> None:
    rows = "SELECT TIMESTAMPTZ '2013-07-01 05:00+00' ts, (i % 60)::VARCHAR word FROM range(6000) t(i)"
    found = row(
        profile(con, f"{rows} UNION ALL SELECT TIMESTAMPTZ '2013-07-01 05:00+00', NULL", SPEC),
        column_name="word",
    )
    assert len(found["frequent_items"]) == 50
    assert found["other_count"] == 1000
    assert found["num_nulls"] == 1


def test_timestamps_are_seconds_without_a_mean(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    found = row(profile(con, "log", SPEC), column_name="ts")
    assert found["min"] == pytest.approx(day.ts.min().timestamp())
    assert (found["avg"], found["num_zeros"], found["data_type"]) == (None, None, "timestamp")


def test_nested_columns_only_count(con: duckdb.DuckDBPyConnection) -> None:
    rows = "SELECT now() ts, MAP {'a': 1} features, [1, 2] list, 'x'::BLOB raw, INTERVAL 1 day i"
    table = profile(con, rows, SPEC)
    for name, kind in (("features", "map"), ("list", "array"), ("raw", "binary"), ("i", "interval")):
        found = row(table, column_name=name, start=None)
        assert (found["count"], found["num_nulls"], found["distinct_count"], found["data_type"]) == (
            1,
            0,
            None,
            kind,
        )


def test_infinities_do_not_spoil_the_rest(con: duckdb.DuckDBPyConnection) -> None:
    rows = "SELECT now() ts, unnest([1.0::DOUBLE, 3.0, 'inf', '-inf', 'nan', NULL]) x"
    found = row(profile(con, rows, SPEC, bins={"x": [2.0]}), column_name="x", start=None)
    assert (found["count"], found["num_nulls"], found["num_nan"]) == (6, 1, 1)
    assert (found["avg"], found["min"], found["max"]) == (2, 1, 3)
    assert [b["count"] for b in found["bins"]] == [1, 1]


def test_the_table_row_lists_the_columns_with_values(
    con: duckdb.DuckDBPyConnection, day: pd.DataFrame
) -> None:
    found = row(profile(con, "log", SPEC))
    assert found["count"] == len(day)
    assert found["non_null_columns"] == [name for name in day.columns if name != "empty"]
    assert (found["data_type"], found["num_nulls"], found["percent_null"]) == (None, None, None)


def test_rows_carry_their_window_and_versions(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    table = profile(con, "log", SPEC, commit_version=26, monitor_version=3)
    assert table.schema == profile_schema()
    found = row(table)
    assert found["window"] == {"start": FIRST, "end": datetime(2013, 7, 2, tzinfo=UTC)}
    assert (found["log_type"], found["granularity"]) == ("INPUT", "1 day")
    assert (found["logging_table_commit_version"], found["monitor_version"]) == (26, 3)


def test_only_the_windows_asked_for_are_profiled(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    spec = MonitorSpec("flights.log", timestamp_col="ts", granularities=("1 day", "1 week"))
    whole = profile(con, "log", spec)
    some = profile(con, "log", spec, [("1 day", datetime(2013, 7, 2, 9, tzinfo=UTC)), ("1 week", FIRST)])
    starts = {(r["granularity"], r["window"]["start"].day) for r in some.to_pylist()}
    assert starts == {("1 day", 2), ("1 week", 1)}
    second = datetime(2013, 7, 2, tzinfo=UTC)
    assert row(some, start=second) == row(whole, start=second)


def test_no_windows_and_windows_without_rows_give_an_empty_table(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    for windows in ([], [("1 day", datetime(1999, 1, 1, tzinfo=UTC))]):
        table = profile(con, "log", SPEC, windows, bins={"x": [1.0]})
        assert (table.num_rows, table.schema) == (0, profile_schema())


def test_a_window_of_a_granularity_the_monitor_lacks_is_refused(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    with pytest.raises(InvalidInput, match="no granularity '1 month', only 1 day"):
        profile(con, "log", SPEC, [("1 month", FIRST)])


def test_slices_are_taken_one_key_at_a_time(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    spec = MonitorSpec(
        "flights.log", timestamp_col="ts", granularities=("1 day",), slicing_exprs=("origin", "n > 2")
    )
    table = profile(con, "log", spec)
    found = {(r["slice_key"], r["slice_value"]) for r in table.to_pylist()}
    assert found == {(None, None), ("n > 2", "true"), ("n > 2", "false")} | {
        ("origin", o) for o in ("JFK", "LGA", "EWR")
    }
    jfk = row(table, slice_key="origin", slice_value="JFK", column_name="n")
    busy = row(table, slice_key="n > 2", slice_value="true", column_name="n")
    assert (jfk["count"], jfk["avg"]) == (
        (day.origin == "JFK").sum(),
        pytest.approx(day.n[day.origin == "JFK"].mean()),
    )
    assert (busy["count"], busy["min"]) == ((day.n > 2).sum(), 3)


def test_a_column_with_many_values_has_slices_for_the_hundred_most_frequent(
    con: duckdb.DuckDBPyConnection,
) -> None:
    spec = MonitorSpec(
        "flights.log", timestamp_col="ts", granularities=("1 day",), slicing_exprs=("who",), columns=()
    )
    rows = "SELECT TIMESTAMP '2013-07-01' ts, i // (1 + i // 200) who FROM range(1000) t(i)"
    sizes = con.sql(f"SELECT who, count(*) FROM ({rows}) GROUP BY who").fetchall()
    expected = sorted(sizes, key=lambda pair: (-pair[1], str(pair[0])))[:100]
    found = {(r["slice_value"], r["count"]) for r in profile(con, rows, spec).to_pylist() if r["slice_key"]}
    assert found == {(str(who), count) for who, count in expected}


def test_every_model_and_all_together_are_profiled(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    spec = MonitorSpec(
        "flights.log",
        "classification",
        "ts",
        ("1 day",),
        "prediction",
        model_id_col="version",
        slicing_exprs=("wet",),
    )
    table = profile(con, "log", spec)
    assert table.schema == profile_schema("version")
    assert row(table)["count"] == len(day)
    assert row(table, version="2")["count"] == (day.version == "2").sum()
    both = row(table, version="2", slice_key="wet", slice_value="true")
    assert both["count"] == ((day.version == "2") & day.wet).sum()


def test_counts_and_sums_of_bins_are_numpys(con: duckdb.DuckDBPyConnection, day: pd.DataFrame) -> None:
    edges = bin_edges(con, "log", ["x", "n"], n=16)
    spec = MonitorSpec("flights.log", timestamp_col="ts", granularities=("1 day",), slicing_exprs=("wet",))
    table = profile(con, "log", spec, bins=edges)
    for name, rows, where in (
        ("x", day, {}),
        ("n", day[day.wet], {"slice_key": "wet", "slice_value": "true"}),
    ):
        values, found = rows[name].dropna(), row(table, column_name=name, **where)["bins"]
        ends = [-np.inf, *edges[name], np.inf]
        parts = [values[(values >= lo) & (values < hi)] for lo, hi in itertools.pairwise(ends)]
        assert [(b["lo"], b["hi"]) for b in found] == list(itertools.pairwise(ends))
        assert [b["count"] for b in found] == [len(part) for part in parts]
        assert [b["sum"] for b in found] == pytest.approx([part.sum() for part in parts])


def test_columns_without_values_have_empty_bins_and_others_none(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    table = profile(con, "log", SPEC, bins={"empty": [], "x": [0.0, 10.0], "origin": [1.0]})
    [empty] = row(table, column_name="empty")["bins"]
    assert (empty["count"], empty["sum"]) == (0, 0)
    assert len(row(table, column_name="x")["bins"]) == 3
    assert [row(table, column_name=name)["bins"] for name in ("n", "origin", TABLE)] == [None] * 3


def test_edges_are_quantiles_and_frequent_values_stand_alone(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    edges = bin_edges(con, "log", n=64)
    assert set(edges) == {"x", "n", "constant", "empty", "score", "prediction", "label"}
    assert edges["score"][32] == pytest.approx(log.score.median(), abs=0.002)
    assert len(edges["score"]) == 65
    assert edges["constant"] == [5.0, np.nextafter(5.0, np.inf)]
    assert edges["prediction"] == [0.0, np.nextafter(0.0, np.inf), 1.0, np.nextafter(1.0, np.inf)]
    assert edges["empty"] == []


def test_a_snapshot_is_one_group_at_one_time(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    spec = MonitorSpec("flights.log", slicing_exprs=("wet",))
    found = row(profile(con, "log", spec, taken_at=FIRST), column_name="n")
    assert found["window"] == {"start": FIRST, "end": FIRST}
    assert (found["granularity"], found["count"]) == (None, len(log))
    assert profile(con, "log", spec)["window"].null_count == 12 * 3


def test_a_baseline_is_one_group_and_may_lack_columns(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    spec = MonitorSpec(
        "flights.log",
        "classification",
        "ts",
        prediction_col="prediction",
        label_col="label",
        model_id_col="version",
        slicing_exprs=("origin", "version = '1'"),
    )
    table = profile(con, "SELECT ts, x, origin FROM log", spec, log_type="BASELINE")
    found = row(table, start=None)
    assert (found["granularity"], found["count"], found["version"]) == (None, len(log), "*")
    assert found["window"] == {"start": log.ts.min(), "end": log.ts.max()}
    assert set(table["slice_key"].to_pylist()) == {None, "origin"}
    assert found["accuracy_score"] is None


def test_a_column_that_is_not_there_names_the_nearest(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame
) -> None:
    spec = MonitorSpec("flights.log", timestamp_col="ts", columns=("orgin",))
    with pytest.raises(InvalidInput, match=r"flights.log has no column 'orgin'; the nearest is 'origin'"):
        profile(con, "log", spec)


def test_a_slice_the_table_cannot_answer_is_named(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    spec = MonitorSpec("flights.log", timestamp_col="ts", slicing_exprs=("dest = 'SFO'",))
    with pytest.raises(InvalidInput, match="the slicing expression \"dest = 'SFO'\" does not work here"):
        profile(con, "log", spec)


def test_odd_names_and_values_are_quoted(con: duckdb.DuckDBPyConnection) -> None:
    spec = MonitorSpec("t", timestamp_col='a "t"', granularities=("1 day",), slicing_exprs=('"it\'s"',))
    columns = (
        """TIMESTAMPTZ '2013-07-01 00:00+00' AS "a ""t\"\"", 'o''hare' AS "it's", 1 AS item, 2 AS g, 3 AS n"""
    )
    table = profile(con, f"SELECT {columns}", spec, bins={"item": [0.0], "g": [], "n": [1.0]})
    assert row(table, slice_key='"it\'s"', slice_value="o'hare", column_name="n")["avg"] == 3


def test_profiling_leaves_nothing_behind(con: duckdb.DuckDBPyConnection, log: pd.DataFrame) -> None:
    profile(con, "log", SPEC, bins=bin_edges(con, "log"))
    assert con.sql("SELECT table_name FROM information_schema.tables").fetchall() == [("log",)]


def test_more_rows_than_fit_in_memory_give_the_same_profile(
    con: duckdb.DuckDBPyConnection, log: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = MonitorSpec("flights.log", timestamp_col="ts", granularities=("1 day",), slicing_exprs=("origin",))
    exact = ["count", "num_nulls", "min", "max", "frequent_items", "bins"]
    kept = profile(con, "log", spec, bins={"n": [1.0, 3.0]}).select(exact)
    monkeypatch.setattr("boathouse.monitoring.cube._IN_MEMORY", 0)
    assert profile(con, "log", spec, bins={"n": [1.0, 3.0]}).select(exact) == kept
