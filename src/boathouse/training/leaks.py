"""The leak report of a spec over a spine: tables read as they were, commits from their history, a model trained each way."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa

from boathouse.context import Context
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.features import (
    COMMITTED,
    FeatureSpec,
    LeakQuestion,
    LeakReport,
    Reading,
    Retrained,
    listed,
    quote,
    read_as,
    row_key,
    training_set_sql,
    with_functions_sql,
)

if TYPE_CHECKING:
    import pandas as pd

_TRAINED_SHARE = 0.75
_MOST_ROWS = 100_000
"""Rows that a model is trained and tested on; of a longer spine, every n-th."""


def find_leaks(context: Context, spec: FeatureSpec, spine: str, relations: Mapping[str, str], *, time: str | None = None,
               estimator: Any = None) -> LeakReport:  # fmt: skip
    """What a naive and a timeless join would have changed, and what `estimator` would have claimed for it.

    `spine` and `relations` are SQL on the context's engine, the tables at the versions that the spec names.
    Raises InvalidInput where no column tells the time of a row.
    """
    columns = context.engine.relation(f"SELECT * FROM {spine}").columns
    stored = spec.without(columns)
    moment = _time(stored, columns, time)
    commits, notes = _commits(context, stored)
    asked = LeakQuestion(stored, relations, commits, moment)
    (counts,) = context.engine.connection.sql(asked.sql(spine)).fetchall()
    report = asked.report(counts, notes)
    if estimator is None:
        return report
    label = next((name for name in spec.label if name in columns), None)
    if label is None:
        return replace(report, note="no model was trained: the spine has no label column")
    spec = replace(stored, spine=(), label=())
    frames = {r: _examples(context, spec, spine, relations, r, moment, label, report.rows) for r in Reading}
    return _retrained(report, frames, estimator)


def _time(spec: FeatureSpec, columns: list[str], given: str | None) -> str:
    times = list(dict.fromkeys(lookup.at for lookup in spec.lookups() if lookup.at))
    chosen = given or (times[0] if len(times) == 1 else None)
    if chosen is None:
        raise InvalidInput(f"say which column is the time of a row (`time`, --time): one of {', '.join(times or columns)}")
    if missing := [name for name in (chosen, *spec.spine_inputs) if name not in columns]:
        raise InvalidInput(f"the spine lacks {missing[0]!r}; it has {', '.join(columns)}")
    return chosen


def _commits(context: Context, spec: FeatureSpec) -> tuple[dict[str, str], dict[str, str]]:
    """When each row of the tables without a known time was committed as it is, and why that is not known of some."""
    found, notes = {}, {}
    for name, table in spec.tables.items():
        if table.known_time is None:
            try:
                found[name] = commits_of(context, name, row_key(table), table.version)
            except (InvalidInput, NotPermitted) as error:
                notes[name] = f"commit times are not known: {error}"
    return found, notes


def commits_of(context: Context, name: str, keys: Sequence[str], version: int | None = None) -> str:
    """SQL of (keys, `COMMITTED`): when each row of a table, told apart by `keys`, was committed as it is.

    Raises InvalidInput where the table keeps no changes, NotPermitted where masks withhold them.
    """
    opened = context.table(name)
    times = context.engine.register(_commit_times(opened.history()))
    by = listed(keys)
    newest = (
        opened.changes(-1, version).duckdb()
        .filter("_change_type IN ('insert', 'update_postimage')")
        .aggregate(f"{by}, max(_commit_version) AS version", by)
    )  # fmt: skip
    kept = f"commits_{uuid4().hex}"
    newest.create(kept)  # a table, for it spills to disk and is read three times
    return f'(SELECT {by}, committed_at AS "{COMMITTED}" FROM {kept} JOIN {times} USING (version))'


def _commit_times(history: list[dict[str, Any]]) -> pa.Table:
    dated = [(c["version"], c["timestamp"]) for c in history if c.get("timestamp") is not None]
    return pa.table({
        "version": pa.array([version for version, _ in dated], pa.int64()),
        "committed_at": pa.array([1000 * at for _, at in dated], pa.timestamp("us", "UTC")),
    })  # fmt: skip


def _examples(context: Context, spec: FeatureSpec, spine: str, relations: Mapping[str, str], reading: Reading, time: str,
              label: str, rows: int) -> "pd.DataFrame":  # fmt: skip
    """Examples in the order of time, which is their last column, the label before it."""
    every = -(-rows // _MOST_ROWS) or 1
    numbered = f'(SELECT *, row_number() OVER () AS "__number" FROM {spine} WHERE {quote(label)} IS NOT NULL)'
    fewer = f'(SELECT * FROM {numbered} WHERE "__number" % {every} = 0)'
    read, read_relations = read_as(spec, relations, reading)
    kept = list(dict.fromkeys([*spec.spine_inputs, label, time, "__number"]))
    query = training_set_sql(replace(read, spine=tuple(kept)), fewer, read_relations)
    computed = with_functions_sql(context.engine, spec, query)
    columns = f'{listed(spec.model_columns)}, {quote(label)} AS "__label", {quote(time)} AS "__time"'
    return context.engine.relation(f'SELECT {columns} FROM ({computed}) ORDER BY "__time", "__number"').to_pandas()


def _retrained(report: LeakReport, frames: "Mapping[Reading, pd.DataFrame]", estimator: Any) -> LeakReport:
    """The report with the metric of a model trained on each reading: earlier rows train it, later ones test it."""
    from sklearn.base import clone

    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        return replace(report, note="no model was trained: it is no scikit-learn estimator, whose parameters are known")
    exact = frames[Reading.EXACT]
    split = exact["__time"].quantile(_TRAINED_SHARE, interpolation="higher")
    trained = (exact["__time"] < split).to_numpy()
    if not trained.any() or exact.loc[trained, "__label"].nunique() < 2 or exact.loc[~trained, "__label"].nunique() < 2:
        return replace(report, note="no model was trained: too few rows or labels before and after one time")
    found = []
    for reading, frame in frames.items():
        rows = frame.drop(columns=["__label", "__time"])
        try:
            model = clone(estimator).fit(rows[trained], frame.loc[trained, "__label"])
        except (TypeError, ValueError) as error:
            columns = ", ".join(f"{name} {kind}" for name, kind in rows.dtypes.items())
            return replace(report, note=f"no model was trained on the columns {columns}: {error}")
        label = exact.loc[~trained, "__label"]
        name, claimed = _metric(model, rows[~trained], label)
        honest = _metric(model, exact.drop(columns=["__label", "__time"])[~trained], label)[1]
        found.append(Retrained(str(reading), name, claimed, honest))
    return replace(report, retrained=tuple(found), train_rows=int(trained.sum()), test_rows=int((~trained).sum()))


def _metric(model: Any, rows: "pd.DataFrame", label: Any) -> tuple[str, float]:
    """ROC AUC of a binary classifier, accuracy of another, else the root of the mean squared error."""
    from sklearn.base import is_classifier
    from sklearn.metrics import accuracy_score, roc_auc_score, root_mean_squared_error

    if not is_classifier(model):
        return "rmse", float(root_mean_squared_error(label, model.predict(rows)))
    if hasattr(model, "predict_proba") and len(model.classes_) == 2:
        return "roc_auc", float(roc_auc_score(label == model.classes_[1], model.predict_proba(rows)[:, 1]))
    return "accuracy", float(accuracy_score(label, model.predict(rows)))
