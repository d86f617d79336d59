"""The last days of logged traffic through candidate and champion, each with features of its own. Nothing is written."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from boathouse.context import Context
from boathouse.delivery.evidence import Replay
from boathouse.delivery.metrics import differences, labels_of, measure, moved, task_of
from boathouse.features import quote
from boathouse.lake import batches
from boathouse.scoring import Model, Prediction, complete

if TYPE_CHECKING:
    import pandas as pd

_MOST_ROWS = 200_000
_TIME, _LABEL = "request_time", "label"


def replay(context: Context, name: str, candidate: Model, champion: Model | None, asked: Mapping[str, Any],
           pending: pa.Table | None = None) -> Replay:  # fmt: skip
    """What both models make of the traffic of model `name` in the `days` before its newest request.

    `pending` are requests that are logged and not in the inference table yet. Each row keeps what its caller sent; features
    are looked up anew, as of the request's time, so that both models are asked alike. Labels come from the table,
    and where `labels` (table, keys, label) are named, from there.
    """
    rows = _traffic(context, f"{name}_inference", float(asked["days"]), pending)
    if rows is None or not len(rows):
        return Replay(problem="no traffic was logged yet")
    labels = _labels(context, rows, asked.get("labels"))
    for model in (candidate, champion):
        if model and (absent := [c for c in _sent(model) if c not in rows]):
            return Replay(problem=f"it has no {absent[0]!r}, which version {model.version} needs")
    ours = _answers(context, candidate, rows)
    theirs = _answers(context, champion, rows) if champion else None
    known = labels.notna().to_numpy().nonzero()[0]
    found = Replay(len(rows), len(known), shift=None if theirs is None else moved(ours, theirs), champion={} if theirs else None)
    metrics = list(asked["metrics"])
    if not len(known) or not metrics:
        return found
    y = labels_of(labels.iloc[known])
    mine, other = ours.take(known), theirs.take(known) if theirs else None
    task = task_of(y, mine, other)
    return Replay(
        found.rows, found.labelled, measure(metrics, y, mine, task), measure(metrics, y, other, task) if other else None,
        differences(metrics, y, mine, other, task), found.shift,
    )  # fmt: skip


def _traffic(context: Context, silver: str, days: float, pending: pa.Table | None) -> "pd.DataFrame | None":
    import pandas as pd

    parts = []
    if context.table_exists(silver):
        parts.append(_since(context, context.table(silver).scan(), days))
    if pending is not None and pending.num_rows:
        parts.append(_since(context, context.engine.register(pending), days))
    if not parts:
        return None
    rows = pd.concat([p for p in parts if len(p)] or parts, ignore_index=True)
    recent: pd.DataFrame = rows[rows[_TIME] > rows[_TIME].max() - pd.Timedelta(days=days)]
    return recent.reset_index(drop=True)


def _since(context: Context, source: str, days: float) -> "pd.DataFrame":
    import pandas as pd

    since = f"(SELECT max({_TIME}::TIMESTAMPTZ) FROM {source}) - INTERVAL '{round(days * 86400)} seconds'"
    query = f"SELECT * FROM {source} WHERE {_TIME}::TIMESTAMPTZ > {since} ORDER BY {_TIME} DESC LIMIT {_MOST_ROWS}"
    rows = context.engine.relation(query).to_pandas()
    rows[_TIME] = pd.to_datetime(rows[_TIME], utc=True)
    return rows


def _labels(context: Context, rows: "pd.DataFrame", where: Mapping[str, Any] | None) -> "pd.Series[Any]":
    import pandas as pd

    known = rows[_LABEL] if _LABEL in rows else pd.Series([None] * len(rows), dtype=object)
    if not where or not context.table_exists(where["table"]) or any(k not in rows for k in where["keys"]):
        return known
    keys = list(where["keys"])
    asked = context.engine.register(batches(rows[keys].assign(_place=range(len(rows)))).read_all())
    on = " AND ".join(f"r.{quote(k)} = l.{quote(k)}" for k in keys)
    label, source = quote(where["label"]), context.table(where["table"]).scan()
    query = f"""SELECT r._place AS place, any_value(l.{label}) AS found FROM {asked} r JOIN {source} l ON {on}
                WHERE l.{label} IS NOT NULL GROUP BY ALL"""
    found = context.engine.relation(query).to_pandas().set_index("place")["found"]
    return known.where(known.notna(), found.reindex(known.index))


def _sent(model: Model) -> tuple[str, ...]:
    """What a request has to bring."""
    return model.spec.required_inputs if model.spec else model.inputs


def _answers(context: Context, model: Model, rows: "pd.DataFrame") -> Prediction:
    import pandas as pd

    if model.spec is None:
        return model.predict(rows[list(model.inputs)] if model.inputs else rows)
    sent = rows[[c for c in model.spec.spine_inputs if c in rows]].copy()
    for at in {lookup.at for lookup in model.spec.lookups() if lookup.at}:
        if at not in sent:
            sent[at] = rows[_TIME]
        elif not pd.api.types.is_numeric_dtype(sent[at]):
            sent[at] = pd.to_datetime(sent[at], utc=True)  # of a request it came as text
    return model.predict(complete(context, model.spec, sent)[0].to_pandas())
