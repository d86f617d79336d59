"""How sure a difference between two models is, measured on the same rows."""

from collections.abc import Callable
from difflib import get_close_matches

import numpy as np
from numpy.typing import ArrayLike, NDArray

from boathouse.errors import InvalidInput

Array = NDArray[np.float64]
Metric = Callable[[Array, Array], float]
Weighted = Callable[[Array], float]
"""A metric of a resample, which is a weight for each row, so that what needs sorting is sorted once."""


def paired_bootstrap(
    y: ArrayLike,
    p_candidate: ArrayLike,
    p_champion: ArrayLike,
    metric: str | Metric,
    *,
    n: int = 200,
    seed: int = 0,
) -> tuple[float, float, float]:
    """The candidate's metric minus the champion's, and its 95 % interval (percentile bootstrap over rows).

    `y` holds labels (0 or 1 for classification), `p_…` probabilities of 1 or predicted values, all of one
    length. `metric` is a name or a function of (y, p). Resamples where the metric is undefined are left out;
    where all are, the interval is NaN. Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
    chapter 13. Raises InvalidInput.
    """
    truth, candidate, champion = (
        np.asarray(values, dtype=np.float64) for values in (y, p_candidate, p_champion)
    )
    if truth.ndim != 1 or truth.size == 0 or not truth.shape == candidate.shape == champion.shape:
        shapes = f"{truth.shape}, {candidate.shape} and {champion.shape}"
        raise InvalidInput(
            f"labels and the two predictions need one length of at least one row, not {shapes}"
        )
    return resampled(truth.size, weighted(metric, truth, candidate), weighted(metric, truth, champion), n=n, seed=seed)


def resampled(rows: int, ours: Weighted, theirs: Weighted, *, n: int = 200, seed: int = 0) -> tuple[float, float, float]:
    """The same over metrics of `rows` rows that are functions of the rows' weights."""
    every_row = np.ones(rows)
    random = np.random.default_rng(seed)
    differences = np.empty(n)
    with np.errstate(divide="ignore", invalid="ignore"):
        for trial in range(n):
            drawn = random.integers(rows, size=rows)
            weights = np.bincount(drawn, minlength=rows).astype(np.float64)
            differences[trial] = ours(weights) - theirs(weights)
        difference = float(ours(every_row) - theirs(every_row))
    defined = differences[np.isfinite(differences)]
    if defined.size == 0:
        return difference, float("nan"), float("nan")
    low, high = np.percentile(defined, (2.5, 97.5))
    return difference, float(low), float(high)


def weighted(metric: str | Metric, y: Array, p: Array) -> Weighted:
    """A metric of labels and predictions as a function of the rows' weights. Raises InvalidInput for an unknown name."""
    if callable(metric):
        return lambda w: metric(np.repeat(y, w.astype(np.intp)), np.repeat(p, w.astype(np.intp)))
    if metric not in _METRICS:
        near = get_close_matches(metric, _METRICS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"the metrics are {', '.join(sorted(_METRICS))}"
        raise InvalidInput(f"no metric {metric!r} to resample; {hint}")
    return _METRICS[metric](y, p)


def mean_of(losses: Array, root: bool = False) -> Weighted:
    """The weighted mean of a number of each row, or its square root."""
    return lambda w: float((w @ losses / w.sum()) ** (0.5 if root else 1))


def ratio_of(above: Array, below: Array) -> Weighted:
    """The quotient of two weighted counts."""
    return lambda w: float(np.float64(w @ above) / np.float64(w @ below))


def _mean_loss(loss: Callable[[Array, Array], Array], root: bool = False) -> Callable[[Array, Array], Weighted]:
    return lambda y, p: mean_of(loss(y, p), root)


def _counts(parts: Callable[[Array, Array], tuple[Array, Array]]) -> Callable[[Array, Array], Weighted]:
    """Over predictions cut at one half."""
    return lambda y, p: ratio_of(*parts(y, (p >= 0.5).astype(np.float64)))


def _roc_auc(y: Array, p: Array) -> Weighted:
    """The share of (positive, negative) pairs in the right order, ties counting half."""
    order = np.argsort(p, kind="stable")
    positive = y[order] == 1
    starts = np.flatnonzero(np.r_[True, np.diff(p[order]) != 0])

    def value(w: Array) -> float:
        weights = w[order]
        positives = np.add.reduceat(np.where(positive, weights, 0.0), starts)
        negatives = np.add.reduceat(np.where(positive, 0.0, weights), starts)
        below = np.cumsum(negatives) - negatives
        pairs = np.float64(positives.sum()) * np.float64(negatives.sum())
        return float(positives @ (below + negatives / 2) / pairs)

    return value


def _r2(y: Array, p: Array) -> Weighted:
    squared = (y - p) ** 2

    def value(w: Array) -> float:
        mean = w @ y / w.sum()
        return float(1 - np.float64(w @ squared) / np.float64(w @ (y - mean) ** 2))

    return value


def _log_loss(y: Array, p: Array) -> Array:
    tiny = np.finfo(np.float64).eps
    kept = np.clip(p, tiny, 1 - tiny)
    return np.asarray(-(y * np.log(kept) + (1 - y) * np.log1p(-kept)))


_squared = _mean_loss(lambda y, p: (y - p) ** 2)
_root = _mean_loss(lambda y, p: (y - p) ** 2, root=True)
_absolute = _mean_loss(lambda y, p: np.abs(y - p))
_accuracy = _mean_loss(lambda y, p: ((p >= 0.5) == (y == 1)).astype(np.float64))
_precision = _counts(lambda y, h: (y * h, h))
_recall = _counts(lambda y, h: (y * h, y))
_f1 = _counts(lambda y, h: (2 * y * h, y + h))

_METRICS: dict[str, Callable[[Array, Array], Weighted]] = {
    "roc_auc": _roc_auc, "roc_auc_score": _roc_auc, "log_loss": _mean_loss(_log_loss),
    "brier": _squared, "brier_score": _squared, "brier_score_loss": _squared,
    "accuracy": _accuracy, "accuracy_score": _accuracy, "f1": _f1, "f1_score": _f1,
    "precision": _precision, "precision_score": _precision, "recall": _recall, "recall_score": _recall,
    "mse": _squared, "mean_squared_error": _squared, "rmse": _root, "root_mean_squared_error": _root,
    "mae": _absolute, "mean_absolute_error": _absolute, "r2": _r2, "r2_score": _r2,
}  # fmt: skip
