"""Gathers evidence about a version, in a process of its own: candidate and champion on the same rows."""

import importlib
import math
import os
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from boathouse import clock
from boathouse.context import Context
from boathouse.delivery.evidence import Check, Evidence, SliceMetrics
from boathouse.delivery.fairness import fairness
from boathouse.delivery.metrics import Task, differences, labels_of, measure, task_of
from boathouse.delivery.pickles import unsafe
from boathouse.delivery.replay import replay
from boathouse.delivery.requirements import check_requirements
from boathouse.delivery.trial import try_out
from boathouse.errors import InvalidInput, NotFound, NotPermitted
from boathouse.features import FeatureSpec
from boathouse.lake import batches
from boathouse.scoring import Model, Prediction, complete, fetch, load

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_FEWEST_CALLS, _MOST_CALLS, _LATENCY_SECONDS = 30, 300, 2.0


def gather(
    context: Context, model: str, version: int, task: Mapping[str, Any], pending: "pa.Table | None" = None
) -> Evidence:
    """Evidence about `model` version `version`; `task` is what `Delivery.task` says, `pending` see `replay`.

    The artifact is scanned before anything of it is loaded, and loaded in a process of its own before it is loaded here.
    What keeps the candidate from loading is evidence too.
    """
    artifact = task.get("artifact") or {}
    champion = None if task["champion"] is None else str(task["champion"])
    fetched = fetch(context, f"models:/{model}/{version}")
    imports = tuple(str(i) for i in unsafe(fetched.folder, artifact.get("trusted") or (), bool(task.get("ran_here"))))
    found = Evidence({}, champion_version=champion, unsafe=imports)
    if imports and artifact.get("pickles", "refuse") != "warn":
        return found
    asked = task.get("replay")
    with ThreadPoolExecutor(1) as beside:  # both take seconds to import what models need
        trying = beside.submit(try_out, fetched.folder)
        if artifact.get("requirements") != "skip":
            found = replace(found, requirements=check_requirements(fetched.folder))
        incumbent = load(context, f"models:/{model}/{champion}") if champion and (asked or task["evaluation"]) else None
    trial = trying.result()
    if not trial.loads:
        return replace(found, loads=False, load_error=trial.load_error)
    candidate = fetched.load()
    found = replace(found, has_signature=trial.has_signature, example=trial.example, memory_mb=trial.memory_mb)
    found = _features(context, candidate, found, bool(task.get("ages")))
    if not (found.missing_features or found.denied):
        if task["evaluation"]:
            found = _measured(context, candidate, incumbent, task, found)
        if asked:
            found = replace(found, replay=replay(context, model, candidate, incumbent, asked, pending))
    return replace(found, tables=context.reads())


def _features(context: Context, model: Model, found: Evidence, ages: bool) -> Evidence:
    """What the version asks for and this environment has not (`table.feature`), may not read, or wrote how long ago."""
    missing: list[str] = []
    denied: list[str] = []
    stale: dict[str, float] = {}
    for lookup in model.spec.lookups() if model.spec else ():
        name = lookup.table.name
        try:
            table = context.table(name)
        except NotPermitted:
            denied.append(name)
            continue
        except NotFound:
            missing += [f"{name}.{feature}" for feature, _ in lookup.columns]
            continue
        known = {c.name for c in table.info.columns}
        missing += [f"{name}.{feature}" for feature, _ in lookup.columns if feature not in known]
        if ages and (written := [c["timestamp"] for c in table.history(1) if c.get("timestamp") is not None]):
            stale[name] = max(0.0, clock.now().timestamp() - written[0] / 1000)
    return replace(found, missing_features=tuple(dict.fromkeys(missing)), denied=tuple(dict.fromkeys(denied)), stale=stale)


def _measured(
    context: Context, candidate: Model, champion: Model | None, asked: Mapping[str, Any], found: Evidence
) -> Evidence:
    evaluation, metrics = asked["evaluation"], list(asked["metrics"])
    rows = evaluation_rows(context, evaluation)
    if not len(rows):
        return found
    ours, whole = predicted(context, candidate, rows, evaluation)
    custom = tuple(_custom(evaluation.get("custom"), candidate, whole))
    if not evaluation.get("label"):
        return replace(found, rows=len(rows), latency_ms=_latency(candidate, whole), custom=custom)
    y = labels_of(rows[str(evaluation["label"])])
    theirs = predicted(context, champion, rows, evaluation)[0] if champion else None
    task = task_of(y, ours, theirs)
    slices, counts = _slices(rows, evaluation.get("slices") or (), metrics, y, ours, theirs, task)
    fair, sides = _fair(context, evaluation, rows, y, ours)
    return replace(
        found,
        candidate=measure(metrics, y, ours, task), champion=measure(metrics, y, theirs, task) if theirs else None,
        rows=len(y), slices=slices, slice_rows=counts, differences=differences(metrics, y, ours, theirs, task),
        fairness=fair, fairness_rows=sides, latency_ms=_latency(candidate, whole), custom=custom,
    )  # fmt: skip


def evaluation_rows(context: Context, evaluation: Mapping[str, Any]) -> "pd.DataFrame":
    """The rows that a bundle says versions are tested on, with a label where it names one. Raises InvalidInput."""
    if not evaluation.get("table"):
        raise InvalidInput("delivery.evaluation needs `table`: the held-out rows, with their true outcome as `label`")
    table = context.table(evaluation["table"])
    where = evaluation.get("where")
    if where and "{table}" in where:
        where = where.replace("{table}", table.scan())
    frame: pd.DataFrame = table.read(where=where).to_pandas()
    timestamp = evaluation.get("timestamp")
    for column, option in [(k, "keys") for k in evaluation.get("keys") or ()] + ([(timestamp, "timestamp")] if timestamp else []):
        if column not in frame:
            raise InvalidInput(f"delivery.evaluation.{option} names {column!r}, which {table.name} has not")
    label = evaluation.get("label")
    if label is None:
        return frame
    if label not in frame:
        raise InvalidInput(f"delivery.evaluation.label names {label!r}, which {table.name} has not")
    known: pd.DataFrame = frame[frame[label].notna()].reset_index(drop=True)
    return known


def predicted(
    context: Context, model: Model, rows: "pd.DataFrame", evaluation: Mapping[str, Any]
) -> tuple[Prediction, "pd.DataFrame"]:
    """Predictions for all rows, with the model's own features, and the rows as it saw them."""
    whole = complete(context, model.spec, found_by(model.spec, rows, evaluation))[0].to_pandas() if model.spec else rows
    return model.predict(whole), whole


def found_by(spec: FeatureSpec, rows: "pd.DataFrame", evaluation: Mapping[str, Any]) -> "pd.DataFrame":
    """The rows as an evaluation's `keys` and `timestamp` would have features looked up for them.

    With keys, what the model looks up or computes is not taken from the rows, though they hold columns of its name;
    the timestamp stands for the time of each lookup, whatever the model calls it.
    """
    keys, timestamp = evaluation.get("keys") or (), evaluation.get("timestamp")
    lookups = spec.lookups()
    found = {name for lookup in lookups for _, name in lookup.columns}
    found |= {column.name for column in spec.functions} | set(spec.declared)
    if keys:
        rows = rows.drop(columns=[name for name in rows.columns if name in found and name not in (*keys, timestamp)])
    if timestamp:
        rows = rows.assign(**{lookup.at: rows[timestamp] for lookup in lookups if lookup.at})
    return rows


def _latency(model: Model, whole: "pd.DataFrame") -> float:
    """The 99th percentile of one complete row's time, in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + _LATENCY_SECONDS
    for call in range(_MOST_CALLS):
        start = time.perf_counter()
        if call >= _FEWEST_CALLS and start > end:
            break
        i = call % len(whole)
        model.predict(whole.iloc[i : i + 1])
        times.append((time.perf_counter() - start) * 1000)
    return sorted(times)[math.ceil(len(times) * 0.99) - 1]


def _slices(
    rows: "pd.DataFrame", columns: Sequence[str], metrics: Sequence[str], y: "np.ndarray[Any, Any]", ours: Prediction,
    theirs: Prediction | None, task: Task,
) -> tuple[dict[str, SliceMetrics], dict[str, int]]:  # fmt: skip
    found: dict[str, SliceMetrics] = {}
    counts: dict[str, int] = {}
    for column in columns:
        if column not in rows:
            raise InvalidInput(f"delivery.evaluation.slices names {column!r}, which the evaluation table has not")
        for value, which in rows.groupby(column, observed=True).indices.items():
            index = np.asarray(which)
            mine = measure(metrics, y[index], ours.take(index), task)
            other = measure(metrics, y[index], theirs.take(index), task) if theirs else {}
            found[f"{column}={value}"] = {m: (v, other.get(m)) for m, v in mine.items() if not math.isnan(v)}
            counts[f"{column}={value}"] = len(index)
    return found, counts


def _fair(
    context: Context, evaluation: Mapping[str, Any], rows: "pd.DataFrame", y: "np.ndarray[Any, Any]", ours: Prediction
) -> tuple[dict[str, dict[str, float]], dict[str, tuple[int, int]]]:
    found, sides = {}, {}
    positive = evaluation.get("positive")
    for asked in evaluation.get("fairness") or ():
        expression = str(asked["slice"])
        source = context.engine.register(batches(rows).read_all())
        query = f"SELECT coalesce(({expression})::BOOLEAN, false) AS inside FROM {source}"
        try:
            inside = context.engine.relation(query).to_pandas()["inside"].to_numpy(dtype=bool)
        except Exception as error:
            raise InvalidInput(f"delivery.evaluation.fairness: {expression!r} is no condition on the rows: {error}") from error
        found[expression] = fairness(y, ours.values, inside, 1 if positive is None else positive)
        sides[expression] = (int(inside.sum()), int((~inside).sum()))
    return found, sides


def _custom(entry: str | None, model: Model, rows: "pd.DataFrame") -> Sequence[Check]:
    """The project's own checks: `package.module:function(model, rows) -> [(name, passed, reason)]`.

    The rows have their features; None for `passed` holds. What cannot be asked holds, with the error.
    """
    if not entry:
        return []
    module, _, function = entry.partition(":")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), function)(model, rows)
        return [Check(name, "hold" if passed is None else "pass" if passed else "fail", reason) for name, passed, reason in found]
    except Exception as error:
        traceback.print_exc()
        return [Check("custom", "hold", f"{entry} raised {type(error).__name__}: {error}")]
