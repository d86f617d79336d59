"""Metrics by the names that bundles write, as scikit-learn computes them."""

from collections.abc import Callable, Sequence
from typing import Any

from boathouse.errors import InvalidInput


def measure(metrics: Sequence[str], y: Any, values: Any, probabilities: Any | None) -> dict[str, float]:
    """Metric -> value over n rows; NaN where it is not defined (one class only). Raises InvalidInput for an unknown name."""
    known = _metrics()
    if unknown := [m for m in metrics if m not in known]:
        raise InvalidInput(f"{unknown[0]!r} is no metric that gates know; they are {', '.join(sorted(known))}")
    found = {}
    for metric in metrics:
        needs_scores, compute = known[metric]
        given = probabilities if needs_scores and probabilities is not None else values
        try:
            found[metric] = float(compute(y, given))
        except ValueError:
            found[metric] = float("nan")
    return found


def _metrics() -> dict[str, tuple[bool, Callable[[Any, Any], Any]]]:
    from sklearn import metrics as m

    return {
        "roc_auc": (True, m.roc_auc_score), "average_precision": (True, m.average_precision_score),
        "log_loss": (True, lambda y, p: m.log_loss(y, p, labels=[0, 1])), "brier": (True, m.brier_score_loss),
        "accuracy": (False, m.accuracy_score), "precision": (False, m.precision_score),
        "recall": (False, m.recall_score), "f1": (False, m.f1_score),
        "f1_macro": (False, lambda y, v: m.f1_score(y, v, average="macro")),
        "rmse": (False, m.root_mean_squared_error), "mae": (False, m.mean_absolute_error), "r2": (False, m.r2_score),
        "calibration_error": (True, _calibration_error),
    }  # fmt: skip


def _calibration_error(y: Any, p: Any) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al., 2015)."""
    import numpy as np

    which = np.clip((np.asarray(p) * 10).astype(int), 0, 9)
    gaps = [abs(np.mean(p[which == b]) - np.mean(y[which == b])) * np.mean(which == b) for b in range(10) if (which == b).any()]
    return float(sum(gaps))
