"""How sure the difference between two models is."""

import numpy as np
import pytest
from sklearn import metrics

from boathouse.delivery import paired_bootstrap
from boathouse.errors import InvalidInput

RANDOM = np.random.default_rng(7)
Y = (RANDOM.random(3000) < 0.3).astype(float)
GOOD = np.clip(0.35 * Y + 0.3 + 0.2 * RANDOM.standard_normal(3000), 0.01, 0.99).round(2)
POOR = np.clip(0.10 * Y + 0.4 + 0.2 * RANDOM.standard_normal(3000), 0.01, 0.99).round(2)

REFERENCE = {
    "roc_auc": metrics.roc_auc_score,
    "log_loss": metrics.log_loss,
    "brier": metrics.brier_score_loss,
    "accuracy": lambda y, p: metrics.accuracy_score(y, p >= 0.5),
    "f1": lambda y, p: metrics.f1_score(y, p >= 0.5),
    "precision": lambda y, p: metrics.precision_score(y, p >= 0.5),
    "recall": lambda y, p: metrics.recall_score(y, p >= 0.5),
    "rmse": metrics.root_mean_squared_error,
    "mse": metrics.mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "r2": metrics.r2_score,
}


@pytest.mark.parametrize("metric", REFERENCE)
def test_the_difference_is_that_of_the_whole_sample(metric: str) -> None:
    difference, low, high = paired_bootstrap(Y, GOOD, POOR, metric, n=20)
    measure = REFERENCE[metric]
    assert difference == pytest.approx(measure(Y, GOOD) - measure(Y, POOR), abs=1e-12)
    assert low <= difference <= high


@pytest.mark.parametrize("metric", ["roc_auc", "r2", "f1"])
def test_weights_and_repeated_rows_give_the_same_interval(metric: str) -> None:
    by_weight = paired_bootstrap(Y, GOOD, POOR, metric, n=10, seed=3)
    by_rows = paired_bootstrap(Y, GOOD, POOR, REFERENCE[metric], n=10, seed=3)
    assert by_weight == pytest.approx(by_rows, abs=1e-12)


def test_a_clear_difference_excludes_zero_and_none_includes_it() -> None:
    _, low, _ = paired_bootstrap(Y, GOOD, POOR, "roc_auc")
    assert low > 0
    shaken = np.clip(GOOD + 0.02 * RANDOM.standard_normal(3000), 0.01, 0.99)
    _, low, high = paired_bootstrap(Y, GOOD, shaken, "roc_auc")
    assert low < 0.01
    assert high - low < 0.02


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    hits = 0
    for trial in range(60):
        random = np.random.default_rng(trial)
        y = random.standard_normal(300)
        _, low, high = paired_bootstrap(
            y, y + random.normal(0, 1, 300), y + random.normal(0, 1, 300), "mse", seed=trial
        )
        hits += low <= 0 <= high
    assert 50 <= hits <= 60


def test_a_seed_repeats_it() -> None:
    assert paired_bootstrap(Y, GOOD, POOR, "brier") == paired_bootstrap(Y, GOOD, POOR, "brier")
    assert paired_bootstrap(Y, GOOD, POOR, "brier") != paired_bootstrap(Y, GOOD, POOR, "brier", seed=1)


def test_one_class_alone_has_no_area_under_the_curve() -> None:
    assert np.isnan(paired_bootstrap([1, 1, 1], [0.1, 0.2, 0.3], [0.3, 0.2, 0.1], "roc_auc", n=5)).all()


def test_lengths_and_names_are_checked() -> None:
    with pytest.raises(InvalidInput, match="one length of at least one row"):
        paired_bootstrap([0, 1], [0.1], [0.2, 0.3], "roc_auc")
    with pytest.raises(InvalidInput, match="one length of at least one row"):
        paired_bootstrap([], [], [], "roc_auc")
    with pytest.raises(InvalidInput, match="did you mean 'roc_auc'"):
        paired_bootstrap([0, 1], [0.1, 0.2], [0.2, 0.3], "rocauc")
