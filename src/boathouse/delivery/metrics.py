"""Metrics by the names that bundles write, as scikit-learn computes them: binary, of several classes, and of numbers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from boathouse.delivery.bootstrap import Weighted, mean_of, ratio_of, resampled, weighted
from boathouse.delivery.threshold import SYNONYMS
from boathouse.errors import InvalidInput
from boathouse.scoring import Prediction

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Task:
    """What is predicted: numbers, or one of `classes`; the favourable one of two comes last."""

    classes: "np.ndarray[Any, Any] | None"

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return self.classes is not None and len(self.classes) == 2

    @property
    def several(self) -> bool:
        """Whether there are more than two classes."""
        return self.classes is not None and len(self.classes) > 2


def labels_of(column: "pd.Series[Any]") -> "np.ndarray[Any, Any]":
    """True outcomes (n,): numbers, or classes as text."""
    import pandas as pd

    column = column.infer_objects()  # truth values that were beside missing ones
    if pd.api.types.infer_dtype(column) == "decimal":
        column = column.astype(float)
    plain = pd.api.types.is_bool_dtype(column.dtype) or pd.api.types.is_numeric_dtype(column.dtype)
    return column.to_numpy(dtype=float) if plain else column.astype(str).to_numpy(dtype=object)


def task_of(y: Any, *predictions: Prediction | None) -> Task:
    """By the classes that the models tell, else by the labels: text, truth values, and whole numbers up to 20 are classes."""
    told = [p.classes for p in predictions if p is not None and p.classes is not None]
    if told:
        kinds = {np.asarray(values).dtype.kind in "OUS" for values in (y, *told) if len(values)}
        if len(kinds) > 1:
            raise InvalidInput(f"labels are {_some(y)}, and the model's classes {_some(told[0])}: evaluate with labels of the "
                               "kind that the model was trained on")  # fmt: skip
        return Task(np.unique(np.concatenate([*told, np.unique(y)])))
    answers = [np.asarray(p.values) for p in predictions if p is not None]
    if all(_discrete(values) for values in (y, *answers)):
        return Task(np.unique(np.concatenate([np.asarray(y), *answers])))
    return Task(None)


def measure(metrics: Sequence[str], y: Any, prediction: Prediction, task: Task) -> dict[str, float]:
    """Metric -> value over n rows; NaN where it is not defined (one class only).

    Raises InvalidInput for an unknown name, and for a metric that is for another kind of prediction.
    """
    known = _known()
    if unknown := [m for m in metrics if SYNONYMS.get(m, m) not in known]:
        raise InvalidInput(f"{unknown[0]!r} is no metric that gates know; they are {', '.join(sorted(known))}")
    found = {}
    for asked in metrics:
        metric = SYNONYMS.get(asked, asked)
        if task.several and metric in _BINARY_ONLY:
            instead = f"{metric}_macro" if f"{metric}_macro" in known else "log_loss, roc_auc or accuracy"
            raise InvalidInput(f"{asked} is of two classes and this model has {len(task.classes)}: use {instead}")  # type: ignore[arg-type]
        try:
            found[asked] = float(known[metric](y, prediction, task))
        except ValueError:
            found[asked] = float("nan")
    return found


def difference(metric: str, y: Any, ours: Prediction, theirs: Prediction, task: Task) -> tuple[float, float, float] | None:
    """Candidate minus champion with its 95 % interval, by paired bootstrap; None where a metric is not resampled."""
    try:
        mine, other = (_weighted(SYNONYMS.get(metric, metric), y, answers, task) for answers in (ours, theirs))
    except ValueError:
        return None
    return resampled(len(y), mine, other) if mine and other else None


def differences(
    metrics: Sequence[str], y: Any, ours: Prediction, theirs: Prediction | None, task: Task
) -> dict[str, tuple[float, float, float]]:
    """`difference` of each metric that is resampled."""
    if theirs is None:
        return {}
    made = {metric: difference(metric, y, ours, theirs, task) for metric in metrics}
    return {metric: three for metric, three in made.items() if three is not None}


def moved(ours: Prediction, theirs: Prediction) -> float:
    """How far predictions lie apart on the same rows, on average.

    With class probabilities, the total variation distance between them (for two classes, the difference of probabilities); of
    classes alone, the share of rows that got another one; of numbers, the absolute difference in standard deviations
    of theirs.
    """
    if all(p.classes is not None and p.class_probabilities is not None for p in (ours, theirs)):
        task = task_of([], ours, theirs)
        return float(np.abs(_aligned(ours, task) - _aligned(theirs, task)).sum(axis=1).mean() / 2)
    if _discrete(ours.values) and _discrete(theirs.values):
        return float(np.mean(ours.values != theirs.values))
    a, b = np.asarray(ours.values, dtype=float), np.asarray(theirs.values, dtype=float)
    return float(np.abs(a - b).mean() / (b.std() or np.abs(b).mean() or 1.0))


_BINARY_ONLY = ("precision", "recall", "f1", "brier", "average_precision", "calibration_error")


def _known() -> dict[str, Callable[[Any, Prediction, Task], float]]:
    from sklearn import metrics as m

    def of_values(compute: Callable[..., Any], **options: Any) -> Callable[[Any, Prediction, Task], float]:
        return lambda y, p, _: compute(y, p.values, **options)

    def of_two(compute: Callable[..., Any]) -> Callable[[Any, Prediction, Task], float]:
        return lambda y, p, t: compute(_is_last(y, t), _scores(p, t))

    def counted(compute: Callable[..., Any]) -> Callable[[Any, Prediction, Task], float]:
        return lambda y, p, t: compute(_is_last(y, t), _is_last(p.values, t), zero_division=0)

    return {
        "roc_auc": _roc_auc, "average_precision": of_two(m.average_precision_score), "log_loss": _log_loss,
        "brier": of_two(m.brier_score_loss), "calibration_error": of_two(_calibration_error),
        "accuracy": of_values(m.accuracy_score), "balanced_accuracy": of_values(m.balanced_accuracy_score),
        "precision": counted(m.precision_score), "recall": counted(m.recall_score), "f1": counted(m.f1_score),
        "precision_macro": of_values(m.precision_score, average="macro", zero_division=0),
        "recall_macro": of_values(m.recall_score, average="macro", zero_division=0),
        "f1_macro": of_values(m.f1_score, average="macro", zero_division=0),
        "f1_weighted": of_values(m.f1_score, average="weighted", zero_division=0),
        "rmse": of_values(m.root_mean_squared_error), "mse": of_values(m.mean_squared_error),
        "mae": of_values(m.mean_absolute_error), "r2": of_values(m.r2_score),
        "mape": of_values(m.mean_absolute_percentage_error),
    }  # fmt: skip


def _weighted(metric: str, y: Any, p: Prediction, task: Task) -> Weighted | None:
    """A metric as a function of row weights, prepared once; None for one that is not resampled."""
    made: Weighted | None = None
    if metric == "accuracy":
        made = mean_of(np.asarray(p.values == y, dtype=float))
    elif metric == "f1_macro" and task.classes is not None:
        made = _f1_macro(y, p, task.classes)
    elif metric in ("log_loss", "roc_auc") and task.several:
        made = _of_several(metric, y, p, task)
    elif metric in ("precision", "recall", "f1"):
        true, chosen = _is_last(y, task).astype(float), _is_last(p.values, task).astype(float)
        above, below = {"precision": (true * chosen, chosen), "recall": (true * chosen, true),
                        "f1": (2 * true * chosen, true + chosen)}[metric]  # fmt: skip
        made = ratio_of(above, below)
    elif metric in ("log_loss", "roc_auc", "brier"):
        made = weighted(metric, _is_last(y, task).astype(float), np.asarray(_scores(p, task), dtype=float))
    elif metric in ("rmse", "mse", "mae", "r2"):
        made = weighted(metric, np.asarray(y, dtype=float), np.asarray(p.values, dtype=float))
    return made


def _of_several(metric: str, y: Any, p: Prediction, task: Task) -> Weighted | None:
    if p.class_probabilities is None or p.classes is None or task.classes is None:
        return None
    each = _aligned(p, task)
    if metric == "log_loss":
        return mean_of(-np.log(np.clip(each[np.arange(len(y)), _codes(y, task)], np.finfo(float).eps, 1)))
    parts = [weighted("roc_auc", (np.asarray(y) == c).astype(float), each[:, i]) for i, c in enumerate(task.classes)]
    return lambda w: float(np.mean([part(w) for part in parts]))


def _f1_macro(y: Any, p: Prediction, classes: Any) -> Weighted:
    true, chosen = ([np.asarray(v == c, dtype=float) for c in classes] for v in (np.asarray(y), np.asarray(p.values)))

    def value(w: Any) -> float:
        parts = [(2 * (w @ (t * c)), w @ (t + c)) for t, c in zip(true, chosen, strict=True)]
        return float(np.mean([above / below for above, below in parts if below]))

    return value


def _is_last(values: Any, task: Task) -> Any:
    last = 1 if task.classes is None else task.classes[-1]
    return (np.asarray(values) == last).astype(int)


def _scores(p: Prediction, task: Task) -> Any:
    """The probability of the last class, or what stands for it: a model that tells none says 0 or 1, or a score."""
    if p.probabilities is not None:
        return p.probabilities
    return np.asarray(p.values, dtype=float) if task.classes is None else _is_last(p.values, task)


def _codes(y: Any, task: Task) -> Any:
    return np.searchsorted(task.classes, np.asarray(y))  # type: ignore[arg-type]


def _aligned(p: Prediction, task: Task) -> Any:
    """Class probabilities in the task's order; a class that a model does not know has 0."""
    each = np.zeros((len(p.values), len(task.classes)))  # type: ignore[arg-type]
    each[:, _codes(p.classes, task)] = p.class_probabilities
    return each


def _roc_auc(y: Any, p: Prediction, task: Task) -> float:
    """Of several classes: each against the rest, unweighted mean."""
    from sklearn import metrics as m

    if not task.several:
        return float(m.roc_auc_score(_is_last(y, task), _scores(p, task)))
    if p.class_probabilities is None:
        raise ValueError("no probabilities")
    each = _aligned(p, task)
    return float(np.mean([m.roc_auc_score(np.asarray(y) == c, each[:, i]) for i, c in enumerate(task.classes)]))  # type: ignore[arg-type]


def _log_loss(y: Any, p: Prediction, task: Task) -> float:
    from sklearn import metrics as m

    if not task.several:
        return float(m.log_loss(_is_last(y, task), _scores(p, task), labels=[0, 1]))
    if p.class_probabilities is None:
        raise ValueError("no probabilities")
    return float(m.log_loss(y, _aligned(p, task), labels=list(task.classes)))  # type: ignore[arg-type]


def _calibration_error(y: Any, p: Any) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al., 2015)."""
    which = np.clip((np.asarray(p) * 10).astype(int), 0, 9)
    gaps = [abs(np.mean(p[which == b]) - np.mean(y[which == b])) * np.mean(which == b) for b in range(10) if (which == b).any()]
    return float(sum(gaps))


def _some(values: Any) -> str:
    return ", ".join(repr(v) for v in np.unique(np.asarray(values))[:3].tolist())


def _discrete(values: Any) -> bool:
    values = np.asarray(values)
    if values.dtype.kind in "OUSb":
        return True
    return bool(len(values) and (values == np.floor(values)).all() and len(np.unique(values)) <= 20)
