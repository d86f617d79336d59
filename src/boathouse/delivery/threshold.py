"""What is asked of one metric, and which way it is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower"]

HIGHER_IS_BETTER = frozenset({
    "roc_auc", "average_precision", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "precision_macro",
    "recall_macro", "f1_macro", "f1_weighted", "r2",
})  # fmt: skip
LOWER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mse", "mae", "mape"})
METRICS = HIGHER_IS_BETTER | LOWER_IS_BETTER
"""What gates measure."""
SYNONYMS = {
    "accuracy_score": "accuracy", "balanced_accuracy_score": "balanced_accuracy", "roc_auc_score": "roc_auc", "auc": "roc_auc",
    "average_precision_score": "average_precision", "precision_score": "precision", "recall_score": "recall", "f1_score": "f1",
    "brier_score": "brier", "brier_score_loss": "brier", "root_mean_squared_error": "rmse", "mean_squared_error": "mse",
    "mean_absolute_error": "mae", "mean_average_error": "mae", "mean_absolute_percentage_error": "mape", "r2_score": "r2",
}  # fmt: skip
"""Names that scikit-learn, MLflow's evaluators and metric tables have for them."""


@dataclass(frozen=True)
class Threshold:
    """Limits of one metric, both included; a limit that is None does not hold.

    `not_worse_than_champion_by` is how far, in the metric's own unit, the candidate may fall behind the
    champion; `slices_not_worse_by` is the same within each slice (the overall value where it is None).
    `confident` lets the 95 % interval of the difference decide: fail only when all of it lies beyond what is allowed, hold
    while it lies on both sides. `slices_min` and `slices_max` are `min` and `max` of each slice.
    `direction` says which way a metric is better that is none of METRICS.
    """

    min: float | None = None
    max: float | None = None
    not_worse_than_champion_by: float | None = None
    slices_not_worse_by: float | None = None
    direction: Direction | None = None
    confident: bool = False
    slices_min: float | None = None
    slices_max: float | None = None

    @property
    def slice_tolerance(self) -> float | None:
        """How far the candidate may fall behind within a slice."""
        return (
            self.not_worse_than_champion_by if self.slices_not_worse_by is None else self.slices_not_worse_by
        )


def direction_of(metric: str, thresholds: Mapping[str, Threshold]) -> Direction | None:
    """Which way a metric is better: as its threshold says, else as the field has it, else unknown."""
    threshold = thresholds.get(metric)
    if threshold and threshold.direction:
        return threshold.direction
    name = SYNONYMS.get(metric, metric)
    if name in HIGHER_IS_BETTER:
        return "higher"
    return "lower" if name in LOWER_IS_BETTER else None
