"""Metrics of two classes, of several, and of numbers, with their intervals; fairness."""

import numpy as np
import pytest
from sklearn import metrics as sklearn

from boathouse.delivery.fairness import fairness
from boathouse.delivery.metrics import difference, measure, moved, task_of
from boathouse.delivery.threshold import METRICS, SYNONYMS, direction_of
from boathouse.errors import InvalidInput
from boathouse.scoring import Prediction

CHANCE = np.random.default_rng(7)
KINDS = np.array(["hen", "ox", "pig"])


def several(right: float, rows: int = 400) -> tuple[np.ndarray, Prediction]:
    chance = np.random.default_rng(3)
    y = chance.choice(KINDS, rows)
    each = chance.random((rows, 3)) + right * (y[:, None] == KINDS)
    each /= each.sum(axis=1, keepdims=True)
    return y, Prediction(KINDS[each.argmax(axis=1)], None, KINDS, each)


def test_classes_that_are_text_are_measured_as_scikit_learn_does() -> None:
    y, p = several(0.5)
    found = measure(["accuracy", "f1_macro", "log_loss", "roc_auc"], y, p, task_of(y, p))
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(y, p.values))
    assert found["f1_macro"] == pytest.approx(sklearn.f1_score(y, p.values, average="macro"))
    assert found["log_loss"] == pytest.approx(sklearn.log_loss(y, p.class_probabilities, labels=KINDS))
    assert found["roc_auc"] == pytest.approx(sklearn.roc_auc_score(y, p.class_probabilities, multi_class="ovr", labels=KINDS))


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro", "log_loss", "roc_auc"])
def test_the_difference_of_two_models_of_several_classes_is_that_of_their_metrics(metric: str) -> None:
    (y, ours), (_, theirs) = several(0.6), several(0.3)
    task = task_of(y, ours, theirs)
    found, low, high = difference(metric, y, ours, theirs, task) or (0, 0, 0)
    measured = measure([metric], y, ours, task)[metric] - measure([metric], y, theirs, task)[metric]
    assert found == pytest.approx(measured)
    assert low < found < high


@pytest.mark.parametrize(("metric", "use"), [("f1", "f1_macro"), ("precision_score", "precision_macro"), ("brier", "log_loss")])
def test_metrics_of_two_classes_say_what_to_use_for_more(metric: str, use: str) -> None:
    y, p = several(0.5)
    with pytest.raises(InvalidInput, match=rf"{metric} is of two classes and this model has 3: use {use}"):
        measure([metric], y, p, task_of(y, p))


def test_two_classes_that_are_text_have_the_last_as_the_favourable_one() -> None:
    y = np.array(["no", "yes", "yes", "no"])
    p = Prediction(np.array(["no", "yes", "no", "no"]), np.array([0.1, 0.9, 0.4, 0.2]), np.array(["no", "yes"]))
    found = measure(["roc_auc", "recall", "precision", "brier"], y, p, task_of(y, p))
    assert (found["roc_auc"], found["recall"], found["precision"]) == (1.0, 0.5, 1.0)
    assert found["brier"] == pytest.approx((0.01 + 0.01 + 0.36 + 0.04) / 4)


def test_numbers_are_no_classes() -> None:
    y = CHANCE.normal(size=50)
    p = Prediction(y + 1, None)
    assert task_of(y, p).classes is None
    assert measure(["rmse", "mae"], y, p, task_of(y, p)) == pytest.approx({"rmse": 1, "mae": 1})


def test_every_metric_that_bundles_may_name_is_measured_and_has_a_better_side() -> None:
    y = np.array([0, 1, 1, 0])
    p = Prediction(np.array([0, 1, 0, 0]), np.array([0.1, 0.9, 0.4, 0.2]), np.array([0, 1]))
    found = measure([*METRICS, *SYNONYMS], y, p, task_of(y, p))
    assert {name: found[name] for name in SYNONYMS} == {name: found[ours] for name, ours in SYNONYMS.items()}
    assert all(direction_of(name, {}) for name in found)
    assert difference("mean_absolute_error", y, p, p, task_of(y, p)) == difference("mae", y, p, p, task_of(y, p)) == (0, 0, 0)


def test_how_far_predictions_moved() -> None:
    def says(p: list[float]) -> Prediction:
        return Prediction(np.ones(2), np.array(p), np.arange(2), np.array([[1 - v, v] for v in p]))

    assert moved(says([0.9, 0.7]), says([0.5, 0.5])) == pytest.approx(0.3)
    assert moved(Prediction(np.array(["a", "b"]), None), Prediction(np.array(["a", "c"]), None)) == 0.5
    numbers = np.array([0.0, 1.5, 3.25])
    assert moved(Prediction(numbers + 1, None), Prediction(numbers, None)) == pytest.approx(1 / numbers.std())


def test_fairness_is_inside_minus_outside() -> None:
    y = np.array([1, 1, 0, 0, 1, 1, 0, 0])
    chosen = np.array([1, 1, 1, 0, 1, 0, 0, 0])
    inside = np.array([True] * 4 + [False] * 4)
    assert fairness(y, chosen, inside) == pytest.approx(
        {"statistical_parity": 0.5, "equal_opportunity": 0.5, "predictive_equality": 0.5, "predictive_parity": 2 / 3 - 1}
    )
    assert np.isnan(fairness(y, chosen, np.ones(8, dtype=bool))["equal_opportunity"])
