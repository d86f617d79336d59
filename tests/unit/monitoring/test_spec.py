from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.monitoring import MonitorSpec

LOG: dict[str, Any] = {
    "table": "flights.delay_inference",
    "problem_type": "classification",
    "timestamp_col": "request_time",
    "prediction_col": "prediction",
}


def test_the_kind_follows_from_what_is_given() -> None:
    assert MonitorSpec(**LOG).kind == "inference_log"
    assert MonitorSpec("raw.weather", timestamp_col="time_hour").kind == "time_series"
    assert MonitorSpec("raw.planes").kind == "snapshot"


def test_lists_become_tuples_and_granularities_are_spelled_once() -> None:
    spec = MonitorSpec(
        **LOG, granularities=["1 DAY", "1 day", "2 week"], slicing_exprs=["origin"], columns=["x"]
    )  # type: ignore[arg-type]
    assert spec.granularities == ("1 day", "2 weeks")
    assert (spec.slicing_exprs, spec.columns) == (("origin",), ("x",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"problem_type": "ranking"}, "problem_type 'ranking'; it is one of classification, regression"),
        ({"timestamp_col": None}, "give it a timestamp_col"),
        ({"prediction_col": None}, "give it a prediction_col or prediction_proba_col"),
        ({"problem_type": "regression", "prediction_proba_col": "p"}, "prediction_proba_col 'p'"),
        ({"problem_type": None}, "prediction_col 'prediction' but no problem_type"),
        ({"granularities": ("2 days",)}, "'2 days' is not a granularity; the nearest is '1 day'"),
        ({"granularities": ()}, "give it granularities"),
        ({"granularities": "1 day"}, "granularities is a list"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        MonitorSpec(**{**LOG, **changes})


@pytest.mark.parametrize(
    "expression",
    [
        "origin = 'JFK'; DROP TABLE t",
        "(SELECT max(salary) FROM hr.people)",
        "origin IN (SELECT code FROM secrets.codes)",
        "EXISTS (FROM hr.people)",
        "count(*)",
        "sum(x) OVER ()",
        "origin, dest",
        "origin AS o",
        "x FROM hr.people",
        "*",
        "",
        "origin = (",
    ],
)
def test_a_slice_is_one_expression_over_the_tables_own_columns(expression: str) -> None:
    with pytest.raises(InvalidInput, match="slicing expression"):
        MonitorSpec(**LOG, slicing_exprs=(expression,))


@pytest.mark.parametrize(
    "expression", ["origin", "distance > 1000", "upper(carrier) IN ('UA', 'AA')", "year(ts)"]
)
def test_plain_expressions_are_slices(expression: str) -> None:
    assert MonitorSpec(**LOG, slicing_exprs=(expression,)).slicing_exprs == (expression,)
