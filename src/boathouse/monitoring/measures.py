"""Measures of a model's quality over arrays: NumPy only, nothing read, nothing kept.

Names are those of the published metric tables. A measure that the data leave undefined (AUC of one
class) is None. Rows where the label or the prediction is missing are left out.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

CALIBRATION_BINS = 10
"""Equal-width bins of the score for the calibration error."""

_EPS = float(np.finfo(np.float64).eps)

Measures = dict[str, float | None]
_Floats = NDArray[np.float64]


def binary_metrics(y: ArrayLike, p: ArrayLike, threshold: float = 0.5) -> Measures:
    """Quality of scores `p` (probability of the positive class) for labels `y` (0 or 1), both shape (n,).

    The predicted class is `p >= threshold`; precision, recall and f1_score are of the positive class.
    `calibration_error` is the expected calibration error over ten equal bins, `brier` the mean squared
    error of the score, `mean_label` the base rate.
    """
    label, score = _complete(y, p)
    n = len(label)
    if not n:
        return {"num_labels": 0.0} | dict.fromkeys(_BINARY)
    hit = score >= threshold
    true_positive = float(np.sum(label[hit]))
    clipped = np.clip(score, _EPS, 1 - _EPS)
    return {
        "num_labels": float(n),
        "accuracy_score": float(np.mean(hit == (label == 1))),
        "precision": _ratio(true_positive, float(np.sum(hit))),
        "recall": _ratio(true_positive, float(np.sum(label))),
        "f1_score": _ratio(2 * true_positive, float(np.sum(hit) + np.sum(label))),
        "roc_auc_score": weighted_auc(score, label, 1 - label),
        "log_loss": float(-np.mean(np.log(np.where(label == 1, clipped, 1 - clipped)))),
        "brier": float(np.mean((score - label) ** 2)),
        "calibration_error": _calibration_error(label, score),
        "mean_prediction": float(np.mean(score)),
        "mean_label": float(np.mean(label)),
    }


def multiclass_metrics(
    y: Sequence[Any] | NDArray[Any],
    predicted: Sequence[Any] | NDArray[Any],
    proba: ArrayLike | None = None,
    classes: Sequence[Any] | None = None,
) -> Measures:
    """Quality of predicted classes, shape (n,); log loss too with `proba` of shape (n, len(classes)).

    `.macro` is the mean over the classes that occur, `.weighted` the mean weighted by their labels; a
    class never predicted has precision 0, one without labels recall 0.
    """
    labels, guesses = np.asarray(y), np.asarray(predicted)
    kept = ~(_missing(labels) | _missing(guesses))
    names, codes = np.unique(np.concatenate([labels[kept], guesses[kept]]), return_inverse=True)
    n = int(kept.sum())
    if not n:
        return {"num_labels": 0.0} | dict.fromkeys(_MULTICLASS)
    truth, guess = codes[:n], codes[n:]
    support = np.bincount(truth, minlength=len(names))
    hits = np.bincount(truth[truth == guess], minlength=len(names))
    guessed = np.bincount(guess, minlength=len(names))
    found: Measures = {"num_labels": float(n), "accuracy_score": float(np.mean(truth == guess))}
    for name, whole in (("precision", guessed), ("recall", support), ("f1_score", (guessed + support) / 2)):
        each = hits / np.maximum(whole, 0.5)
        found[f"{name}.macro"] = float(each.mean())
        found[f"{name}.weighted"] = float(np.average(each, weights=support))
    found["log_loss"] = None
    if proba is not None and classes is not None:
        column = {name: i for i, name in enumerate(classes)}
        chosen = np.asarray(proba, float)[kept, [column[name] for name in labels[kept].tolist()]]
        found["log_loss"] = float(-np.mean(np.log(np.clip(chosen, _EPS, 1 - _EPS))))
    return found


def regression_metrics(y: ArrayLike, predicted: ArrayLike) -> Measures:
    """Quality of predicted numbers, shape (n,); errors are in the label's unit, MAPE is a fraction.

    `r2_score` is None where the labels do not vary.
    """
    label, guess = _complete(y, predicted)
    if not len(label):
        return {"num_labels": 0.0} | dict.fromkeys(_REGRESSION)
    error = guess - label
    squared = float(np.mean(error**2))
    spread = float(np.var(label))
    return {
        "num_labels": float(len(label)),
        "mean_squared_error": squared,
        "root_mean_squared_error": squared**0.5,
        "mean_average_error": float(np.mean(np.abs(error))),
        "mean_absolute_percentage_error": float(np.mean(np.abs(error) / np.maximum(np.abs(label), _EPS))),
        "r2_score": 1 - squared / spread if spread else None,
        "mean_prediction": float(np.mean(guess)),
        "mean_label": float(np.mean(label)),
    }


def cbpe(y_reference: ArrayLike, p_reference: ArrayLike, p: ArrayLike, threshold: float = 0.5) -> Measures:
    """Accuracy and AUC that scores `p` should have before their labels are known.

    Confidence-based performance estimation: scores are calibrated by isotonic regression on a labelled
    reference, then each row counts as positive with its calibrated probability. It sees a shift of the
    inputs and is blind to a change of what the inputs mean, so show it beside realised values.
    """
    from sklearn.isotonic import IsotonicRegression

    label, known = _complete(y_reference, p_reference)
    score = np.asarray(p, float)
    score = score[np.isfinite(score)]
    if not len(label) or not len(score):
        return {"accuracy_score": None, "roc_auc_score": None, "mean_label": None}
    calibration = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(known, label)
    chance = np.asarray(calibration.predict(score), float)
    with_itself = float(np.sum(chance * (1 - chance)))
    return {
        "accuracy_score": float(np.mean(np.where(score >= threshold, chance, 1 - chance))),
        "roc_auc_score": weighted_auc(score, chance, 1 - chance, with_itself),
        "mean_label": float(np.mean(chance)),
    }


def weighted_auc(score: _Floats, positive: _Floats, negative: _Floats, own: float = 0.0) -> float | None:
    """Chance that a positive scores above a negative, a tie counting half (Mann-Whitney).

    Rows are positive and negative by weight; `own` is the weight of rows paired with themselves, which
    is taken out. None without both classes.
    """
    _, rank = np.unique(score, return_inverse=True)
    above, below = np.bincount(rank, positive), np.bincount(rank, negative)
    pairs = float(above.sum() * below.sum()) - own
    if pairs <= 0:
        return None
    won = float(np.sum(above * (np.cumsum(below) - below / 2))) - own / 2
    return won / pairs


_BINARY: tuple[str, ...] = (
    "accuracy_score",
    "precision",
    "recall",
    "f1_score",
    "roc_auc_score",
    "log_loss",
    "brier",
    "calibration_error",
    "mean_prediction",
    "mean_label",
)
_MULTICLASS: tuple[str, ...] = (
    "accuracy_score",
    *(f"{name}.{how}" for name in ("precision", "recall", "f1_score") for how in ("macro", "weighted")),
    "log_loss",
)
_REGRESSION: tuple[str, ...] = (
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_average_error",
    "mean_absolute_percentage_error",
    "r2_score",
    "mean_prediction",
    "mean_label",
)


def _complete(y: ArrayLike, p: ArrayLike) -> tuple[_Floats, _Floats]:
    label, guess = np.asarray(y, dtype=float), np.asarray(p, dtype=float)
    kept = np.isfinite(label) & np.isfinite(guess)
    return label[kept], guess[kept]


def _missing(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "O":
        return np.array([v is None or (isinstance(v, float) and math.isnan(v)) for v in values], dtype=bool)
    return np.isnan(values) if values.dtype.kind == "f" else np.zeros(len(values), dtype=bool)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _calibration_error(label: _Floats, score: _Floats) -> float:
    bins = np.clip((score * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    return float(np.sum(np.abs(np.bincount(bins, score - label)))) / len(label)
