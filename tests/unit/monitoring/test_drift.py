import itertools
from datetime import UTC, datetime
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from boathouse.monitoring import TABLE, MonitorSpec, bin_edges, drift, drift_schema, profile

SPEC = MonitorSpec("t", timestamp_col="ts", granularities=("1 day",))
DAY = datetime(2013, 7, 2, tzinfo=UTC)
RANDOM = np.random.default_rng(11)


def compared(
    con: duckdb.DuckDBPyConnection, before: list[Any], after: list[Any], spec: MonitorSpec = SPEC
) -> dict[str, Any]:
    """The drift of column `x` from the first list of values to the second."""
    table = pa.table({"x": [*before, *after], "day": [1] * len(before) + [2] * len(after)})
    con.register("given", table)
    rows = "(SELECT TIMESTAMP '2013-07-01' + to_days(day::INTEGER - 1) AS ts, x FROM given)"
    edges = bin_edges(con, f"(FROM {rows} WHERE ts < '2013-07-02')", ["x"])
    found = drift(profile(con, rows, spec, bins=edges))
    [one] = [r for r in found.to_pylist() if r["column_name"] == "x" and r["slice_key"] is None]
    return one


@pytest.mark.parametrize("shift", [0.0, 0.1, 1.0, 8.0])
def test_ks_and_wasserstein_are_scipys_to_a_bins_width(con: duckdb.DuckDBPyConnection, shift: float) -> None:
    before, after = RANDOM.lognormal(0, 1, 8000), RANDOM.lognormal(0, 1, 4000) + shift
    found, exact = compared(con, list(before), list(after)), stats.ks_2samp(after, before, method="asymp")
    assert found["ks_test"]["statistic"] == pytest.approx(exact.statistic, abs=1 / 64)
    assert found["ks_test"]["statistic"] <= exact.statistic + 1e-12
    distance = stats.wasserstein_distance(after, before)
    assert found["wasserstein_distance"] == pytest.approx(distance, abs=0.02 * before.std())
    assert found["wasserstein_distance"] <= distance + 1e-9


def test_the_ks_p_value_is_scipys_for_values_the_bins_tell_apart(con: duckdb.DuckDBPyConnection) -> None:
    before, after = RANDOM.integers(0, 8, 4000), RANDOM.integers(0, 9, 2000)
    found, exact = (
        compared(con, before.tolist(), after.tolist())["ks_test"],
        stats.ks_2samp(after, before, method="asymp"),
    )
    assert found["statistic"] == pytest.approx(exact.statistic, abs=1e-12)
    assert found["pvalue"] == pytest.approx(exact.pvalue, abs=0.01)


def test_psi_is_that_of_ten_groups_with_half_a_row_more_each(con: duckdb.DuckDBPyConnection) -> None:
    before, after = RANDOM.normal(0, 1, 6400), RANDOM.normal(0.5, 1, 3000)
    inner = np.quantile(before, np.arange(1, 10) / 10)
    p, q = (np.bincount(np.searchsorted(inner, x), minlength=10) + 0.5 for x in (after, before))
    p, q = p / p.sum(), q / q.sum()
    found = compared(con, before.tolist(), after.tolist())
    assert found["population_stability_index"] == pytest.approx(np.sum((p - q) * np.log(p / q)), rel=0.1)
    assert found["js_distance_binned"] == pytest.approx(jensenshannon(p, q, base=2), rel=0.1)
    assert found["js_distance"] is None


def test_psi_without_drift_stays_under_its_noise_floor(con: duckdb.DuckDBPyConnection) -> None:
    given = pa.table({"x": RANDOM.normal(size=55_000), "i": np.arange(55_000)})
    con.register("given", given)
    rows = "SELECT TIMESTAMP '2013-07-01' + to_days((i // 500)::INTEGER) AS ts, x FROM given WHERE i < 50000"
    source = "SELECT x FROM given WHERE i >= 50000"
    edges = bin_edges(con, source)
    spec = MonitorSpec("t", timestamp_col="ts", granularities=("1 day",), columns=("x",))
    baseline = profile(con, source, spec, log_type="BASELINE", bins=edges)
    found = drift(profile(con, rows, spec, bins=edges), baseline).to_pylist()
    days = [r for r in found if r["drift_type"] == "BASELINE" and r["column_name"] == "x"]
    assert len(days) == 100
    assert sum(r["population_stability_index"] > r["noise_floor"] for r in days) <= 4
    assert days[0]["noise_floor"] == pytest.approx((1 / 500 + 1 / 5000) * stats.chi2.ppf(0.99, 9))


def test_a_value_that_moves_off_a_constant_is_a_large_drift(con: duckdb.DuckDBPyConnection) -> None:
    same, moved = compared(con, [5.0] * 500, [5.0] * 300), compared(con, [5.0] * 500, [4.0] * 300)
    assert (same["population_stability_index"], same["wasserstein_distance"]) == (
        pytest.approx(0, abs=1e-6),
        0,
    )
    assert same["noise_floor"] == 0
    assert moved["population_stability_index"] > 5
    assert moved["wasserstein_distance"] == pytest.approx(1)
    assert moved["ks_test"]["statistic"] == 1


def test_nulls_are_a_group_of_their_own(con: duckdb.DuckDBPyConnection) -> None:
    values = RANDOM.normal(size=1000)
    found = compared(con, values.tolist(), [*values[:500].tolist(), *[None] * 400, *[float("nan")] * 100])
    assert found["population_stability_index"] > 2
    assert found["percent_null_delta"] == 40
    assert found["ks_test"]["statistic"] < 0.1
    nothing = compared(con, values.tolist(), [None] * 100)
    assert nothing["population_stability_index"] > 5
    assert (nothing["ks_test"], nothing["wasserstein_distance"], nothing["avg_delta"]) == (None, None, None)


def test_categories_are_compared_as_scipy_does(con: duckdb.DuckDBPyConnection) -> None:
    before, after = RANDOM.choice(list("abcd"), 900), RANDOM.choice(list("abcd"), 600, p=[0.1, 0.2, 0.3, 0.4])
    q, p = (np.array([(x == v).sum() for v in "abcd"]) for x in (before, after))
    found, exact = (
        compared(con, before.tolist(), after.tolist()),
        stats.chi2_contingency([p, q], correction=False),
    )
    assert found["chi_squared_test"]["statistic"] == pytest.approx(exact.statistic)
    assert found["chi_squared_test"]["pvalue"] == pytest.approx(exact.pvalue)
    gap = np.abs(p / p.sum() - q / q.sum())
    assert found["tv_distance"] == pytest.approx(gap.sum() / 2)
    assert found["l_infinity_distance"] == pytest.approx(gap.max())
    assert found["js_distance"] == pytest.approx(jensenshannon(p, q, base=2))
    assert found["ks_test"] is None


def test_new_and_missing_categories_are_seen(con: duckdb.DuckDBPyConnection) -> None:
    found = compared(con, ["a"] * 50 + ["b"] * 50, ["a"] * 50 + ["c"] * 50)
    assert found["tv_distance"] == pytest.approx(0.5)
    assert np.isfinite(found["population_stability_index"])
    assert compared(con, [True] * 9 + [False], [True] * 5 + [False] * 5)[
        "l_infinity_distance"
    ] == pytest.approx(0.4)


def test_one_category_before_and_after_is_no_drift(con: duckdb.DuckDBPyConnection) -> None:
    found = compared(con, ["a"] * 50, ["a"] * 20)
    assert found["chi_squared_test"] == {"statistic": 0, "pvalue": 1}
    assert (found["js_distance"], found["population_stability_index"], found["noise_floor"]) == (0, 0, 0)


def test_many_categories_do_not_drift_by_chance(con: duckdb.DuckDBPyConnection) -> None:
    names = np.array([f"c{i}" for i in range(3000)])
    found = compared(con, RANDOM.choice(names, 6000).tolist(), RANDOM.choice(names, 6000).tolist())
    assert found["js_distance"] < 0.1
    assert found["tv_distance"] < 0.05


def test_deltas_are_the_window_minus_what_it_is_compared_with(con: duckdb.DuckDBPyConnection) -> None:
    found = compared(con, [0, 1, 2, 3], [0, 0, 0, None, None])
    assert (found["count_delta"], found["n_window"], found["n_baseline"]) == (1, 5, 4)
    assert found["avg_delta"] == -1.5
    assert (found["percent_null_delta"], found["percent_zeros_delta"]) == (40, pytest.approx(60 - 25))
    assert (found["drift_type"], found["window"]["start"], found["window_cmp"]["end"]) == (
        "CONSECUTIVE",
        DAY,
        DAY,
    )


def days(con: duckdb.DuckDBPyConnection, spec: MonitorSpec = SPEC, **options: Any) -> pa.Table:
    rows = """SELECT TIMESTAMPTZ '2013-07-01 00:00+00' + to_days(d::INTEGER) AS ts, (d * i)::DOUBLE AS x,
        CASE WHEN d <> 1 THEN 1 END AS y, i % 2 = 0 AS even, 'v' || (i % 2) AS version
        FROM range(5) days(d), range(40) t(i) WHERE d <> 3"""
    return profile(con, rows, spec, **options)


def test_the_table_row_says_which_columns_came_and_went(con: duckdb.DuckDBPyConnection) -> None:
    rows = [r for r in drift(days(con)).to_pylist() if r["column_name"] == TABLE]
    assert [r["non_null_columns_delta"] for r in rows] == [
        {"added": 0, "missing": 1},
        {"added": 1, "missing": 0},
    ]


def test_a_window_after_a_gap_has_no_consecutive_drift(con: duckdb.DuckDBPyConnection) -> None:
    rows = drift(days(con)).to_pylist()
    assert sorted({r["window"]["start"].day for r in rows}) == [2, 3]


def test_models_and_slices_are_compared_with_themselves(con: duckdb.DuckDBPyConnection) -> None:
    spec = MonitorSpec(
        "t", "regression", "ts", ("1 day",), "x", model_id_col="version", slicing_exprs=("even",)
    )
    profiles = days(con, spec)
    found = drift(profiles)
    assert found.schema == drift_schema("version")
    kept = [r for r in found.to_pylist() if r["column_name"] == TABLE and r["window"]["start"] == DAY]
    assert {(r["version"], r["slice_value"]) for r in kept} == {
        (model, value) for model, value in itertools.product(("*", "v0", "v1"), (None, "true", "false"))
    } - {("v0", "false"), ("v1", "true")}
    assert {r["n_baseline"] for r in kept} == {20, 40}


def test_the_baseline_of_all_models_serves_those_it_does_not_know(con: duckdb.DuckDBPyConnection) -> None:
    spec = MonitorSpec(
        "t", "regression", "ts", ("1 day",), "x", model_id_col="version", slicing_exprs=("even",)
    )
    source = "SELECT i::DOUBLE AS x, 1 AS y FROM range(100) t(i)"
    edges = bin_edges(con, source)
    baseline = profile(con, source, spec, log_type="BASELINE", bins=edges)
    rows = [
        r for r in drift(days(con, spec, bins=edges), baseline).to_pylist() if r["drift_type"] == "BASELINE"
    ]
    assert {(r["version"], r["slice_key"]) for r in rows} == {("*", None), ("v0", None), ("v1", None)}
    assert {(r["n_baseline"], r["window_cmp"]) for r in rows} == {(100, None)}
    assert all(r["population_stability_index"] is not None for r in rows if r["column_name"] == "x")


def test_changed_windows_are_compared_and_those_right_after(con: duckdb.DuckDBPyConnection) -> None:
    profiles = days(con)
    rows = drift(profiles, windows=[("1 day", datetime(2013, 7, 1, 9, tzinfo=UTC))]).to_pylist()
    assert {r["window"]["start"] for r in rows} == {DAY}
    assert drift(profiles, windows=[("1 day", datetime(2013, 7, 5, tzinfo=UTC))]).num_rows == 0


def test_bins_of_other_edges_are_not_compared(con: duckdb.DuckDBPyConnection) -> None:
    baseline = days(con, log_type="BASELINE", bins={"x": [1.0, 2.0]})
    rows = drift(days(con, bins={"x": [1.0, 3.0]}), baseline).to_pylist()
    [found] = [
        r
        for r in rows
        if r["column_name"] == "x" and r["drift_type"] == "BASELINE" and r["window"]["start"] == DAY
    ]
    assert found["population_stability_index"] is None
    assert found["avg_delta"] is not None


def test_snapshots_are_compared_with_the_one_before(con: duckdb.DuckDBPyConnection) -> None:
    spec = MonitorSpec("t")
    taken = [datetime(2013, 7, day, tzinfo=UTC) for day in (1, 4, 9)]
    tables = [
        profile(con, f"SELECT i AS x FROM range({10 * at.day}) t(i)", spec, taken_at=at) for at in taken
    ]
    rows = [r for r in drift(pa.concat_tables(tables)).to_pylist() if r["column_name"] == "x"]
    assert [(r["window"]["start"], r["window_cmp"]["start"], r["count_delta"]) for r in rows] == [
        (taken[1], taken[0], 30),
        (taken[2], taken[1], 50),
    ]


def test_nothing_gives_an_empty_table_of_the_right_columns(con: duckdb.DuckDBPyConnection) -> None:
    empty = days(con, windows=[])
    assert drift(empty, empty).schema == drift_schema()
    assert drift(empty).num_rows == 0


def test_drift_reads_rows_that_come_back_from_parquet(con: duckdb.DuckDBPyConnection, tmp_path: Any) -> None:
    import pyarrow.parquet as pq

    profiles = days(con, bins={"x": [1.0, 2.0]})
    pq.write_table(profiles, tmp_path / "gold.parquet")
    again = con.sql(f"FROM '{tmp_path}/gold.parquet'").to_arrow_table()
    assert drift(again).to_pylist() == drift(profiles).to_pylist()
