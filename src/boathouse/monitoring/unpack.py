"""From bronze to silver: one row a request becomes one row a prediction, each exactly once."""

import json
from typing import Any

import pyarrow as pa

from boathouse.clock import parse_instant
from boathouse.context import Context
from boathouse.lake import Origin, quoted, tagged

_SILVER, _BRONZE = "_inference", "_payload"
_EMPTY = ("mode", "row", "label", "label_time")
"""Columns that no request brings."""


def pending(context: Context, silver: str) -> pa.Table | None:
    """The predictions that endpoints logged and nothing unpacked yet, as silver has them; None where there are none."""
    _, _, requests = _unread(context, silver)
    if not requests:
        return None
    rows = pa.Table.from_pylist([row for request in requests for row in _predictions(request)])
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
    rows = pa.Table.from_pylist([row for request in requests for row in _predictions(request)])
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
    of |= {"prediction": "response", "prediction_probability": "response", "source": "endpoint"}
    taken = ", ".join(f"{of[c]} AS {quoted(c)}" for c in columns if c not in _EMPTY)
    return requests.through(f"SELECT {taken} FROM rows WHERE status_code = 200")


def _predictions(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of one logged request; `features` holds each row as the model saw it, with its keys."""
    answer = json.loads(request["response"])
    features = json.loads(request["features"])
    probabilities = answer.get("probabilities") or [None] * len(answer["predictions"])
    return [
        {
            **features[i], "request_id": request["request_id"], "row": i, "request_time": request["request_time"],
            "mode": "online", "source": request["endpoint"], "model_version": request["model_version"],
            "prediction": float(prediction), "prediction_probability": probabilities[i], "label": None,
            "label_time": None, "feature_versions": request["feature_versions"],
        }
        for i, prediction in enumerate(answer["predictions"])
    ]  # fmt: skip


def _fitted(rows: pa.Table, table: Any) -> pa.Table:
    """Values parsed from JSON in the types that the table has; times come as ISO text."""
    schema = table.schema()
    columns = {}
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
