"""From bronze to silver: one row a request becomes one row a prediction, each exactly once."""

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.clock import parse_instant
from boathouse.context import Context
from boathouse.lake import Origin, quoted, tagged
from boathouse.scoring import CLASS_PROBABILITIES
from boathouse.serving import BY_CLASS, META, fitted, input_name, outcomes

_SILVER, _BRONZE = "_inference", "_payload"
_EMPTY = ("mode", "row", "label", "label_time")
"""Columns that no request brings."""
_OUTCOMES = ("prediction", "prediction_probability", "label")
_ANSWERED = ("prediction", "prediction_probability", CLASS_PROBABILITIES)


def pending(context: Context, silver: str) -> pa.Table | None:
    """The predictions that endpoints logged and nothing unpacked yet, as silver has them; None where there are none."""
    _, _, requests = _unread(context, silver)
    if not requests:
        return None
    rows = _shaped([row for request in requests for row in _predictions(request)])
    return _fitted(rows, context.table(silver)) if context.table_exists(silver) else rows


def _unread(context: Context, silver: str) -> tuple[str, int, list[dict[str, Any]]]:
    """The bronze table, its version, and its requests since silver was written last."""
    bronze = silver.removesuffix(_SILVER) + _BRONZE
    if not silver.endswith(_SILVER) or not context.table_exists(bronze):
        return bronze, 0, []
    source = context.table(bronze)
    done = context.table(silver).transaction_version(bronze) if context.table_exists(silver) else None
    newest = source.version
    if done is not None and done >= newest:
        return bronze, newest, []
    changes = source.changes(done if done is not None else 0, until=newest)
    answered = changes.filter("_change_type = 'insert' AND status_code = 200").to_dicts()
    return bronze, newest, [request for request in answered if request.get("mode") != "shadow"]  # which served nobody


def unpack(context: Context, silver: str) -> int:
    """Unpack the requests that endpoints logged since the last time; how many."""
    bronze, newest, requests = _unread(context, silver)
    if not requests:
        return 0
    source = context.table(bronze)
    rows = _shaped([row for request in requests for row in _predictions(request)])
    if not context.table_exists(silver):
        context.create_table(
            silver, rows.schema, description=f"One row a prediction, unpacked from {bronze}", exists_ok=True
        )
    table = context.table(silver)
    fitted = tagged(_fitted(rows, table), _origin(rows.column_names, Origin(source.name, str(newest))))
    known = {c.name for c in table.info.columns}
    table.append(fitted, transaction=(bronze, newest), evolve=not set(fitted.column_names) <= known)
    return len(requests)


def _origin(columns: list[str], requests: Origin) -> Origin:
    """What the rows are made of, as SQL would say it."""
    copied = ("request_id", "request_time", "model_version", "feature_versions")
    of = dict.fromkeys(columns, "features") | {c: c for c in copied}
    of |= dict.fromkeys(_ANSWERED, "response") | {"source": "endpoint"}
    taken = ", ".join(f"{of[c]} AS {quoted(c)}" for c in columns if c not in _EMPTY)
    return requests.through(f"SELECT {taken} FROM rows WHERE status_code = 200")


def _predictions(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one logged request; `features` holds each row as the model saw it, with its keys."""
    answer = json.loads(request["response"])
    features = json.loads(request["features"])
    probabilities = answer.get("probabilities") or [None] * len(answer["predictions"])
    return [
        {
            **{input_name(name): value for name, value in features[i].items()},
            "request_id": request["request_id"], "row": i, "request_time": request["request_time"],
            "mode": "online", "source": request["endpoint"], "model_version": request["model_version"],
            "prediction": prediction, **_chances(probabilities[i]), "label": None,
            "label_time": None, "feature_versions": request["feature_versions"],
        }
        for i, prediction in enumerate(answer["predictions"])
    ]  # fmt: skip


def _chances(told: float | dict[str, float] | None) -> dict[str, Any]:
    """The probability of the second of two classes, or that of each class."""
    if isinstance(told, dict):
        return {"prediction_probability": None, CLASS_PROBABILITIES: list(told.items())}
    return {"prediction_probability": told}


def _shaped(rows: list[dict[str, Any]]) -> pa.Table:
    """Rows in the types that the table is made with, without columns that no request brought a value for."""
    texts = any(isinstance(row["prediction"], str) for row in rows)
    for row in rows:
        row["prediction"] = _plain(row["prediction"], texts)
    names = dict.fromkeys(name for row in rows for name in row)  # a request may bring what the first one did not
    table = pa.table({name: _column(name, [row.get(name) for row in rows]) for name in names})
    kept = [name for name in names if name in META or not pa.types.is_null(table.schema.field(name).type)]
    made = {**{name: pc.cast(table.column(name), kind) for name, kind in META.items() if name not in _OUTCOMES},
            **outcomes(table.column("prediction"), table.column("prediction_probability"))}  # fmt: skip
    return pa.table({name: made.get(name, table.column(name)) for name in kept})


def _column(name: str, values: list[Any]) -> pa.Array:
    """Values of JSON as one column; of several kinds, as requests of different callers may be, they become text."""
    if name == CLASS_PROBABILITIES:
        return pa.array(values, BY_CLASS)
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        if all(isinstance(v, int | float) or v is None for v in values):
            return pa.array([None if v is None else float(v) for v in values])
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])


def _plain(prediction: Any, texts: bool) -> Any:
    if prediction is None or isinstance(prediction, str | list):
        return prediction
    return f"{prediction:g}" if texts else float(prediction)


def _fitted(rows: pa.Table, table: Any) -> pa.Table:
    """Values parsed from JSON in the types that the table has; times come as ISO text."""
    schema = table.schema()
    columns = {}
    rows = fitted(rows, table, ", ".join(pc.unique(rows.column("model_version")).to_pylist()))
    for name in rows.column_names:
        column = rows.column(name)
        if name in schema.names and column.type != schema.field(name).type:
            column = _cast(column, schema.field(name).type)
        columns[name] = column
    return pa.table(columns)


def _cast(column: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_timestamp(kind) and pa.types.is_string(column.type):
        return pa.chunked_array(
            [pa.array([parse_instant(v) if v else None for v in column.to_pylist()], kind)]
        )
    return column.cast(kind, safe=False)
