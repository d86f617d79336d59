import random
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest

from boathouse.alerts import Rule, evaluate
from boathouse.errors import InvalidInput
from boathouse.monitoring import MonitorSpec, bin_edges, drift, profile

FIRST = datetime(2013, 7, 1, tzinfo=UTC)
RULE = Rule("quality_drop", "roc_auc < 0.68")


def weeks(*values: float | None, **fields: Any) -> list[dict[str, Any]]:
    """A profile row of the table for each week from the first of July on."""
    row = {"granularity": "1 week", "slice_key": None, "slice_value": None, "column_name": ":table"}
    row |= {"log_type": "INPUT", "model_version": "*", "count": 5000, "num_labels": 4000, **fields}
    starts = [FIRST + i * timedelta(weeks=1) for i in range(len(values))]
    return [
        {**row, "window": {"start": at}, "roc_auc_score": v} for at, v in zip(starts, values, strict=True)
    ]


def test_the_newest_windows_must_all_violate() -> None:
    verdict = evaluate(RULE, weeks(0.67, 0.641))
    assert verdict.state == "firing"
    assert verdict.reason == "roc_auc 0.641 < 0.68 in 2 consecutive weeks (2013-07-01, 2013-07-08)"
    assert verdict.windows[-1] == (FIRST + timedelta(weeks=1), {"roc_auc": 0.641}, True)


def test_one_violation_of_two_is_said_and_does_not_fire() -> None:
    verdict = evaluate(RULE, weeks(0.7, 0.641))
    assert (verdict.state, verdict.reason) == ("ok", "roc_auc 0.641 < 0.68 in 1 of 2 weeks (2013-07-08)")
    assert evaluate(RULE, weeks(0.641)).state == "ok"


def test_recovery_ends_it() -> None:
    verdict = evaluate(RULE, weeks(0.6, 0.6, 0.712))
    assert (verdict.state, verdict.reason) == ("ok", "roc_auc 0.712 not < 0.68 in the week of 2013-07-15")


def test_a_rule_over_one_window_names_it() -> None:
    verdict = evaluate(Rule("r", "roc_auc < 0.68", windows=1), weeks(0.7, 0.6))
    assert verdict.reason == "roc_auc 0.6 < 0.68 in the week of 2013-07-08"


def test_windows_whose_labels_are_still_to_come_are_passed_over() -> None:
    verdict = evaluate(RULE, weeks(0.6, None, 0.65, float("nan"), None))
    assert verdict.state == "firing"
    assert "(2013-07-01, 2013-07-15)" in verdict.reason
    assert [w.violated for w in verdict.windows] == [True, None, True, None, None]


def test_too_few_labelled_rows_are_no_data() -> None:
    verdict = evaluate(RULE, weeks(0.5, 0.5, num_labels=99))
    assert (verdict.state, verdict.reason) == ("no_data", "no window has roc_auc over at least 100 rows")
    assert (
        evaluate(Rule("r", "roc_auc < 0.68", min_rows=50), weeks(0.5, 0.5, num_labels=99)).state == "firing"
    )
    assert evaluate(RULE, []).state == "no_data"


def test_metrics_that_need_no_labels_count_all_rows() -> None:
    rows = weeks(None, None, num_labels=None, percent_null=30.0, column_name="temp")
    assert evaluate(Rule("nulls", "percent_null > 20", column="temp"), rows).state == "firing"
    assert evaluate(Rule("volume", "count < 10000"), weeks(None, None, count=3)).state == "firing"


def test_only_the_rows_of_the_rule_are_read() -> None:
    others = [
        *weeks(0.1, 0.1, granularity="1 day"),
        *weeks(0.1, 0.1, slice_key="origin", slice_value="JFK"),
        *weeks(0.1, 0.1, model_version="3"),
        *weeks(0.1, 0.1, log_type="BASELINE"),
        *weeks(0.1, 0.1, drift_type="CONSECUTIVE"),
        *weeks(0.1, 0.1, column_name="temp"),
        *weeks(0.1, 0.1, window=None)[:0],
    ]
    assert evaluate(RULE, others).windows == []
    sliced = Rule("r", "roc_auc < 0.68", slice=("origin", "JFK"))
    assert evaluate(sliced, others).state == "firing"
    assert evaluate(Rule("r", "roc_auc < 0.68", model="3"), others).state == "firing"
    assert evaluate(Rule("r", "roc_auc < 0.68", granularity="1 day"), others).reason.endswith(
        "in 2 consecutive days (2013-07-01, 2013-07-08)"
    )


def test_the_order_of_rows_does_not_matter() -> None:
    rows = weeks(0.7, 0.6, None, 0.65, 0.64)
    expected = evaluate(RULE, rows)
    for seed in range(5):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert evaluate(RULE, shuffled) == expected


def test_profile_and_drift_of_a_window_are_read_as_one() -> None:
    rows = weeks(0.6, 0.6, column_name="score")
    drifts = [
        {
            **row,
            "roc_auc_score": None,
            "population_stability_index": 0.3,
            "n_window": 5000,
            "drift_type": "BASELINE",
        }
        for row in rows
    ]
    rule = Rule("both", "psi > 0.2 and roc_auc < 0.68", column="score")
    assert evaluate(rule, [*drifts, *rows]).state == "firing"
    assert evaluate(rule, drifts).state == "no_data"


@pytest.mark.parametrize(
    ("granularity", "text"),
    [
        ("30 minutes", "in 2 consecutive windows of 30 minutes (2013-07-01 00:00, 2013-07-08 00:00)"),
        ("1 hour", "in 2 consecutive hours (2013-07-01 00:00, 2013-07-08 00:00)"),
        ("1 month", "in 2 consecutive months (2013-07-01, 2013-07-08)"),
        (None, "in 2 consecutive snapshots (2013-07-01 00:00, 2013-07-08 00:00)"),
    ],
)
def test_the_reason_names_the_granularity(granularity: str | None, text: str) -> None:
    rule = Rule("r", "roc_auc < 0.68", granularity=granularity)
    assert evaluate(rule, weeks(0.6, 0.6, granularity=granularity)).reason == f"roc_auc 0.6 < 0.68 {text}"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"windows": 0}, "windows=0; it needs at least 1"),
        ({"granularity": "2 days"}, "nearest is '1 day'"),
        ({"condition": "rocauc < 1"}, "nearest is 'roc_auc'"),
    ],
)
def test_a_wrong_rule_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        Rule(**{"name": "r", "condition": "roc_auc < 0.68", **changes})


def test_rules_read_what_profile_and_drift_write() -> None:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    rows = """SELECT TIMESTAMPTZ '2013-07-01 00:00+00' + to_days((7 * w)::INTEGER) AS ts, i / 400 + w AS temp,
        i / 400 AS p, (i / 400 > 0.6)::INTEGER AS late, 'v1' AS model_version
        FROM range(3) w(w), range(400) t(i)"""
    spec = MonitorSpec("t", "classification", "ts", ("1 week",), None, "p", "late", "model_version")
    profiles = profile(con, rows, spec, bins=bin_edges(con, rows))
    read = [*profiles.to_pylist(), *drift(profiles).to_pylist()]
    gap = Rule("rate", "abs(mean_prediction - mean_label) > 0.05")
    psi = Rule(
        "shift", "psi > 0.2 and psi > noise_floor", column="temp", model="v1", drift_type="CONSECUTIVE"
    )
    assert evaluate(gap, read).reason.startswith("abs(mean_prediction - mean_label) 0.1")
    assert [evaluate(rule, read).state for rule in (gap, psi)] == ["firing", "firing"]
