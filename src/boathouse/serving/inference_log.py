"""The inference table: one row a prediction, whatever the mode. Batch and stream write it directly."""

import json
import uuid
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from boathouse.catalog import Table
from boathouse.context import Context
from boathouse.errors import Conflict, InvalidInput
from boathouse.lake import Commit, origin_of, tagged
from boathouse.scoring import CLASS_PROBABILITIES

_TIMESTAMP = pa.timestamp("us", tz="UTC")
META = {
    "request_id": pa.string(), "row": pa.int32(), "request_time": _TIMESTAMP, "mode": pa.string(),
    "source": pa.string(), "model_version": pa.string(), "prediction": pa.float64(),
    "prediction_probability": pa.float64(), "label": pa.float64(), "label_time": _TIMESTAMP,
    "feature_versions": pa.string(),
}  # fmt: skip
"""Columns that the table has besides inputs and features. Of a model that answers in texts, prediction and label are texts."""
BY_CLASS = pa.map_(pa.string(), pa.float64())
"""The type of the column `prediction_probabilities`, which the table has of a classifier with three and more classes."""

REQUEST_ID, REQUEST_TIME = "request_id", "request_time"
_PROBABILITY = "prediction_probability"
_OURS = (REQUEST_ID, REQUEST_TIME, "prediction", _PROBABILITY, CLASS_PROBABILITIES)
"""Columns of the table that scored rows bring in that meaning."""


def input_name(column: str) -> str:
    """The table's column for an input: its own name, or `input_…` where the table has another of that name."""
    return f"input_{column}" if column in META or column == CLASS_PROBABILITIES else column


def table_name(model: str) -> str:
    """The inference table of a model, `schema.model_inference`."""
    return f"{model}_inference"


def log_predictions(context: Context, model: str, version: str, scored: pa.Table, mode: str,
                    feature_versions: Mapping[str, int],
                    transaction: tuple[str, int] | None = None) -> Commit | None:  # fmt: skip
    """Log scored rows; the table is made at the first, and gains columns when a model brings new features.

    Columns `request_id` and `request_time` (UTC) of the rows are kept. A request that brings its id and
    was logged before is logged once only, so a job that is run again doubles nothing. Nothing is logged under a
    `transaction` (application, number) that was committed before.
    """
    if not version:
        raise InvalidInput(f"the inference table of {model} keeps what registered versions predict: register the model first")
    if not scored.num_rows:
        return None
    named = REQUEST_ID in scored.column_names
    rows = silver_rows(scored, version=version, mode=mode, source=context.run.run_id or "shell",
                       feature_versions=feature_versions)  # fmt: skip
    table = ensure_silver(context, model, rows.schema)
    rows = tagged(fitted(rows, table, version), origin_of(scored))
    known = {c.name for c in table.info.columns}
    evolve = not set(rows.column_names) <= known
    if named and table.version > 0:
        marks = dict([transaction]) if transaction else None
        return table.merge(rows, [REQUEST_ID, "row"], evolve=evolve, update=False, marks=marks)
    return table.append(rows, transaction, evolve)


def silver_rows(scored: pa.Table, *, version: str, mode: str, source: str,
                feature_versions: Mapping[str, int]) -> pa.Table:  # fmt: skip
    """Scored rows in the inference table's shape: what is asked and looked up beside what came of it."""
    count = scored.num_rows
    given = set(scored.column_names)
    fresh = uuid.uuid4().hex
    values = {
        REQUEST_ID: scored.column(REQUEST_ID) if REQUEST_ID in given else pa.repeat(fresh, count),
        "row": pa.repeat(pa.scalar(0, pa.int32()), count) if REQUEST_ID in given else pa.array(range(count), pa.int32()),
        REQUEST_TIME: scored.column(REQUEST_TIME).cast(_TIMESTAMP) if REQUEST_TIME in given else pa.repeat(_now(), count),
        "mode": pa.repeat(mode, count), "source": pa.repeat(source, count), "model_version": pa.repeat(version, count),
        "label_time": pa.nulls(count, _TIMESTAMP),
        "feature_versions": pa.repeat(json.dumps(dict(feature_versions), sort_keys=True), count),
    }  # fmt: skip
    values |= outcomes(*(scored.column(name) if name in given else pa.nulls(count) for name in ("prediction", _PROBABILITY)))
    empty = {f.name for f in scored.schema if pa.types.is_null(f.type)}  # of no type yet: the first value brings one
    inputs = {input_name(c): scored.column(c) for c in scored.column_names if c not in _OURS and c not in empty}
    by_class = {CLASS_PROBABILITIES: scored.column(CLASS_PROBABILITIES).cast(BY_CLASS)} if CLASS_PROBABILITIES in given else {}
    return pa.table({**{n: values[n] for n in META}, **by_class, **inputs})


def outcomes(prediction: pa.Array | pa.ChunkedArray, probability: pa.Array | pa.ChunkedArray) -> dict[str, Any]:
    """Prediction, probability and the label to come, as the table keeps them.

    Numbers and truth values become doubles, texts stay texts, and several numbers a row an array of doubles. A label is of its
    prediction's kind, so that the two can be compared.
    """
    kind = prediction.type
    if pa.types.is_dictionary(kind):
        prediction = pc.cast(prediction, kind.value_type)
        kind = prediction.type
    kept = pa.float64()
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        kept = pa.string()
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        kept = pa.list_(pa.float64())
    label = pa.string() if kept == pa.string() else pa.float64()
    return {"prediction": pc.cast(prediction, kept), _PROBABILITY: pc.cast(probability, pa.float64()),
            "label": pa.nulls(len(prediction), label)}  # fmt: skip


def fitted(rows: pa.Table, table: Table, version: str) -> pa.Table:
    """The rows with prediction and label as the table keeps them already: what its first version predicted stays its kind.

    Raises Conflict where a later version predicts what that kind cannot hold.
    """
    known = table.schema()
    kinds = {name: known.field(name).type for name in ("prediction", "label") if name in known.names}
    for name, kind in kinds.items():
        column = rows.column(name)
        if column.type == kind:
            continue
        try:
            column = pc.cast(column, pa.int64()) if kind == pa.string() and pa.types.is_floating(column.type) else column
            rows = rows.set_column(rows.column_names.index(name), name, pc.cast(column, kind))
        except pa.ArrowException as error:
            raise Conflict(
                f"{table.name} keeps predictions as {kind}, and version {version} predicts {column.type}: log it under a model "
                f"of another name, or drop the table"
            ) from error
    return rows


def ensure_silver(context: Context, model: str, schema: pa.Schema) -> Table:
    """The inference table, made if it is new."""
    name = table_name(model)
    if context.table_exists(name):
        return context.table(name)
    return context.create_table(name, schema, description=f"One row a prediction of {model}", exists_ok=True)


def _now() -> pa.Scalar:
    from boathouse import clock

    return pa.scalar(clock.now(), _TIMESTAMP)
