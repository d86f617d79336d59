"""How like a model is to one that was recorded."""

import math
from typing import Any

import numpy as np
import pytest

from boathouse.training import Comparison, apart, changed_packages, own_parameters, sides


def compared(metrics: dict[str, Any] | None = None, largest: float | None = 0.0, **parameters: Any) -> Comparison:
    return Comparison(parameters, metrics or {"auc": (0.7, 0.7)}, 10, largest, 1.0)


def test_nothing_that_differs_is_bit_equal() -> None:
    assert compared({"auc": (0.7, 0.7), "odd": (math.nan, math.nan)}, depth=("3", "3")).likeness() == "bit-equal"


@pytest.mark.parametrize(("largest", "likeness"), [(1e-9, "within tolerance"), (1e-3, "different"), (math.inf, "different")])
def test_predictions_are_near_or_not(largest: float, likeness: str) -> None:
    assert compared(largest=largest).likeness() == likeness


def test_metrics_are_near_or_not_and_a_missing_one_is_not() -> None:
    assert compared({"auc": (0.7, 0.7 + 1e-9)}).likeness() == "within tolerance"
    assert compared({"auc": (0.7, 0.71)}).likeness() == "different"
    assert compared({"auc": (0.7, 0.71)}).likeness(tolerance=0.1) == "within tolerance"
    assert compared({"auc": (0.7, None)}).likeness(tolerance=9) == "different"


def test_another_parameter_is_another_model() -> None:
    assert compared(depth=("3", "4")).likeness(tolerance=9) == "different"


def test_it_goes_through_json() -> None:
    one = compared({"odd": (math.inf, None)}, largest=math.inf, depth=("3", None))
    assert Comparison.from_dict(one.to_dict()) == one


def test_measures_of_time_are_no_part_of_it() -> None:
    assert sides({"auc": 1, "fit_seconds": 3}, {"auc": 1, "fit_seconds": 4, "rows": 2}) == {"auc": (1, 1), "rows": (None, 2)}


def test_a_number_beside_none_is_infinitely_far() -> None:
    assert apart([1.0, np.nan, 3.0], [1.0, np.nan, 3.5]) == (0.5, 3.0)
    assert apart([1.0], [np.nan])[0] == math.inf
    assert apart([], []) == (0.0, 0.0)


def test_changed_packages_are_named() -> None:
    assert changed_packages("a==1\nb==2\n", "a==1\nb==3\nc==1\n") == ("b 2 -> 3", "c none -> 1")


def test_a_models_own_parameters_are_plain_ones() -> None:
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import Pipeline

    found = own_parameters(Pipeline([("r", Ridge(alpha=2.0))]))
    assert found["model.r__alpha"] == "2.0"
    assert "model.steps" not in found
    assert own_parameters(object()) == {}
