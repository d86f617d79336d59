"""What is asked of one metric, and which way it is better."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Direction = Literal["higher", "lower"]

HIGHER_IS_BETTER = frozenset({
    "accuracy", "accuracy_score", "balanced_accuracy", "balanced_accuracy_score", "roc_auc",
    "roc_auc_score", "auc", "pr_auc", "average_precision", "average_precision_score",
    "precision_recall_auc", "precision", "precision_score", "recall", "recall_score", "f1", "f1_score",
    
    "precision_macro", "recall_macro", "f1_macro", "f1_weighted", "r2", "r2_score",
    "explained_variance", "matthews_corrcoef", "cohen_kappa", "ndcg", "map_at_k",
})  # fmt: skip
LOWER_IS_BETTER = frozenset({
    "log_loss", "brier", "brier_score", "brier_score_loss", "rmse", "root_mean_squared_error", "mse",
    "mean_squared_error", "mae", "mean_absolute_error", "mean_average_error", "mape",
    "mean_absolute_percentage_error", "median_absolute_error", "max_error", "ece", "calibration_error",
    "pinball_loss", "error_rate", "false_positive_rate", "false_negative_rate",
})  # fmt: skip


@dataclass(frozen=True)
class Threshold:
    """Limits of one metric, both included; a limit that is None does not hold.

    `not_worse_than_champion_by` is how far, in the metric's own unit, the candidate may fall behind the
    champion; `slices_not_worse_by` is the same within each slice (the overall value where it is None).
    `confident` lets the 95 % interval of the difference decide: fail only when all of it lies beyond what is allowed, hold
    while it lies on both sides. `slices_min` and `slices_max` are `min` and `max` of each slice.
    `direction` is needed only for metrics that are not among the known ones.
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
    if metric in HIGHER_IS_BETTER:
        return "higher"
    return "lower" if metric in LOWER_IS_BETTER else None
