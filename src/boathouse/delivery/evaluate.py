"""Gathers evidence about a version, in a process of its own: candidate and champion on the same rows."""

import importlib
import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boathouse.context import Context
from boathouse.delivery.bootstrap import paired_bootstrap
from boathouse.delivery.evidence import Check, Evidence
from boathouse.delivery.metrics import measure
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.scoring import Model, Prediction, complete, load

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

_LATENCY_CALLS = 30
_INTERVAL_METRICS = ("roc_auc", "log_loss", "brier", "accuracy", "rmse", "mae")


def gather(context: Context, model: str, version: int, task: Mapping[str, Any]) -> Evidence:
    """Evidence about `model` version `version`. What keeps the candidate from loading is evidence too."""
    try:
        candidate = load(context, f"models:/{model}/{version}")
    except BoathouseError:
        raise
    except Exception as error:
        return Evidence({}, loads=False, load_error=f"{type(error).__name__}: {error}", champion_version=_text(task["champion"]))
    if missing := _missing_features(context, candidate):
        return Evidence({}, missing_features=missing, has_signature=_signed(candidate), champion_version=_text(task["champion"]))
    evaluation = task["evaluation"]
    if not evaluation:
        return Evidence({}, has_signature=_signed(candidate), champion_version=_text(task["champion"]))
    rows = _rows(context, evaluation)
    label = str(evaluation["label"])
    champion = load(context, f"models:/{model}/{task['champion']}") if task["champion"] else None
    y = rows[label].to_numpy(dtype=float)
    ours, latency = _predict(context, candidate, rows)
    theirs = _predict(context, champion, rows)[0] if champion else None
    metrics = list(task["metrics"])
    return Evidence(
        candidate=measure(metrics, y, ours.values, ours.probabilities),
        champion=measure(metrics, y, theirs.values, theirs.probabilities) if theirs else None,
        champion_version=_text(task["champion"]), rows=len(y), has_signature=_signed(candidate),
        slices=_slices(rows, evaluation.get("slices") or (), metrics, y, ours, theirs),
        differences=_differences(metrics, y, ours, theirs), latency_ms=latency,
        custom=tuple(_custom(evaluation.get("custom"), candidate, rows)),
    )  # fmt: skip


def _missing_features(context: Context, model: Model) -> tuple[str, ...]:
    """Features that the version asks for and this environment does not have, as `table.feature`."""
    found: list[str] = []
    for lookup in model.spec.lookups() if model.spec else ():
        name = lookup.table.name
        known = {c.name for c in context.table_info(name).columns} if context.table_exists(name) else set()
        found += [f"{name}.{feature}" for feature, _ in lookup.columns if feature not in known]
    return tuple(found)


def _rows(context: Context, evaluation: Mapping[str, Any]) -> "pd.DataFrame":
    if not (evaluation.get("table") and evaluation.get("label")):
        raise InvalidInput("delivery.evaluation needs `table` and `label`: the held-out rows and their true outcome")
    table = context.table(evaluation["table"])
    where = evaluation.get("where")
    if where and "{table}" in where:
        where = where.replace("{table}", table.scan())
    frame = table.read(where=where).to_pandas()
    return frame[frame[str(evaluation["label"])].notna()].reset_index(drop=True)


def _predict(context: Context, model: Model, rows: "pd.DataFrame") -> tuple[Prediction, float]:
    """Predictions for all rows, and the 99th percentile of one complete row's time in milliseconds."""
    whole = complete(context, model.spec, rows)[0].to_pandas() if model.spec else rows
    answer = model.predict(whole)
    times = []
    for i in range(min(_LATENCY_CALLS, len(whole))):
        start = time.perf_counter()
        model.predict(whole.iloc[i : i + 1])
        times.append((time.perf_counter() - start) * 1000)
    return answer, sorted(times)[int(len(times) * 0.99) - 1] if times else 0.0


def _slices(rows: "pd.DataFrame", columns: Sequence[str], metrics: Sequence[str], y: "np.ndarray[Any, Any]",
            ours: Prediction, theirs: Prediction | None) -> dict[str, dict[str, tuple[float, float | None]]]:  # fmt: skip
    found: dict[str, dict[str, tuple[float, float | None]]] = {}
    for column in columns:
        if column not in rows:
            raise InvalidInput(f"delivery.evaluation.slices names {column!r}, which the evaluation table has not")
        for value, index in rows.groupby(column, observed=True).indices.items():
            mine = measure(metrics, y[index], *_part(ours, index))
            other = measure(metrics, y[index], *_part(theirs, index)) if theirs else {}
            found[f"{column}={value}"] = {m: (v, other.get(m)) for m, v in mine.items() if not math.isnan(v)}
    return found


def _part(prediction: Prediction, index: Any) -> tuple[Any, Any]:
    probabilities = prediction.probabilities
    return prediction.values[index], probabilities[index] if probabilities is not None else None


def _differences(
    metrics: Sequence[str], y: Any, ours: Prediction, theirs: Prediction | None
) -> dict[str, tuple[float, float, float]]:
    if theirs is None:
        return {}
    mine, other = (p.values if p.probabilities is None else p.probabilities for p in (ours, theirs))
    return {m: paired_bootstrap(y, mine, other, m) for m in metrics if m in _INTERVAL_METRICS}


def _custom(entry: str | None, model: Model, rows: "pd.DataFrame") -> Sequence[Check]:
    """The project's own checks: `package.module:function(model, rows) -> [(name, passed, reason)]`."""
    if not entry:
        return []
    module, _, function = entry.partition(":")
    found = getattr(importlib.import_module(module), function)(model, rows)
    return [Check(name, "pass" if passed else "fail", reason) for name, passed, reason in found]


def _signed(model: Model) -> bool:
    return model.signature is not None and model.signature.inputs is not None


def _text(version: Any) -> str | None:
    return None if version is None else str(version)
