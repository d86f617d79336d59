import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics as sk

from boathouse.monitoring import binary_metrics, cbpe, multiclass_metrics, regression_metrics

RANDOM = np.random.default_rng(3)


def labelled(n: int = 5000) -> tuple[np.ndarray, np.ndarray]:
    p = np.round(RANDOM.beta(2, 3, n), 2)  # rounded: many ties
    return (RANDOM.random(n) < p).astype(int), p


def test_binary_measures_equal_scikit_learns() -> None:
    y, p = labelled()
    found, hit = binary_metrics(y, p), p >= 0.5
    assert found["roc_auc_score"] == pytest.approx(sk.roc_auc_score(y, p), abs=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, p), abs=1e-12)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, p), abs=1e-12)
    assert found["accuracy_score"] == sk.accuracy_score(y, hit)
    for name in ("precision", "recall", "f1"):
        ours = found["f1_score" if name == "f1" else name]
        assert ours == pytest.approx(getattr(sk, f"{name}_score")(y, hit), abs=1e-12)
    assert (found["mean_label"], found["mean_prediction"]) == pytest.approx((y.mean(), p.mean()))


def test_calibration_error_is_the_weighted_gap_of_ten_bins() -> None:
    y, p = labelled()
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(p[bins == b].mean() - y[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    assert binary_metrics(y, p)["calibration_error"] == pytest.approx(sum(gaps), abs=1e-12)
    assert binary_metrics([0, 1], [0.0, 1.0])["calibration_error"] == 0


def test_one_class_has_no_auc_but_the_rest() -> None:
    found = binary_metrics([1, 1, 1], [0.9, 0.4, 0.8])
    assert found["roc_auc_score"] is None
    assert found["recall"] == pytest.approx(2 / 3)
    assert found["precision"] == 1


def test_missing_labels_and_scores_are_left_out() -> None:
    assert binary_metrics([1, 0, np.nan, 1], [0.9, 0.2, 0.5, np.nan]) == binary_metrics([1, 0], [0.9, 0.2])
    assert binary_metrics([None, 0.0], [0.1, None])["log_loss"] is None
    assert binary_metrics([], [])["num_labels"] == 0


def test_multiclass_measures_equal_scikit_learns() -> None:
    y, guess = RANDOM.choice(list("abc"), 500), RANDOM.choice(list("abcd"), 500)
    proba = RANDOM.dirichlet(np.ones(4), 500)
    found = multiclass_metrics(y, guess, proba, classes=list("abcd"))
    assert found["accuracy_score"] == sk.accuracy_score(y, guess)
    for name in ("precision", "recall", "f1"):
        for how in ("macro", "weighted"):
            ours = found[f"{'f1_score' if name == 'f1' else name}.{how}"]
            theirs = getattr(sk, f"{name}_score")(y, guess, average=how, zero_division=0)
            assert ours == pytest.approx(theirs, abs=1e-12)
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, proba, labels=list("abcd")), abs=1e-12)


def test_multiclass_leaves_out_missing_values() -> None:
    y = np.array(["a", None, "b", "a"], dtype=object)
    guess = np.array(["a", "b", "b", None], dtype=object)
    assert multiclass_metrics(y, guess)["num_labels"] == 2
    assert multiclass_metrics(y, guess)["accuracy_score"] == 1
    assert multiclass_metrics([], [])["f1_score.macro"] is None


def test_regression_measures_equal_scikit_learns() -> None:
    y = RANDOM.normal(3, 5, 1000)
    guess = y + RANDOM.normal(0, 1, 1000)
    found = regression_metrics(y, guess)
    assert found["mean_squared_error"] == pytest.approx(sk.mean_squared_error(y, guess))
    assert found["root_mean_squared_error"] == pytest.approx(sk.root_mean_squared_error(y, guess))
    assert found["mean_average_error"] == pytest.approx(sk.mean_absolute_error(y, guess))
    assert found["mean_absolute_percentage_error"] == pytest.approx(
        sk.mean_absolute_percentage_error(y, guess)
    )
    assert found["r2_score"] == pytest.approx(sk.r2_score(y, guess))


def test_r2_needs_labels_that_vary() -> None:
    assert regression_metrics([2, 2], [1, 3])["r2_score"] is None
    assert regression_metrics([], [])["mean_squared_error"] is None


def test_cbpe_estimates_quality_without_labels() -> None:
    y, p = labelled(20_000)
    shifted = np.clip(RANDOM.beta(4, 2, 20_000), 0.02, 0.98)
    truth = (RANDOM.random(20_000) < shifted).astype(int)
    estimate, realised = cbpe(y, p, shifted), binary_metrics(truth, shifted)
    for name in ("accuracy_score", "roc_auc_score", "mean_label"):
        assert estimate[name] == pytest.approx(realised[name], abs=0.02)


def test_cbpe_of_nothing_is_nothing() -> None:
    assert cbpe([], [], [0.5])["roc_auc_score"] is None
    assert cbpe([0, 1], [0.2, 0.8], [])["accuracy_score"] is None


def test_expected_auc_leaves_out_pairs_of_a_row_with_itself() -> None:
    y, p = np.array([0, 1] * 50), np.full(100, 0.5)
    assert cbpe(y, p, [0.5, 0.5])["roc_auc_score"] == pytest.approx(0.5)


def test_importing_the_measures_does_not_import_scikit_learn() -> None:
    code = "import sys, boathouse.monitoring; assert not {'sklearn', 'scipy', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
