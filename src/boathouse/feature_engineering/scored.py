"""Rows with their features and what a model says of them."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from boathouse import context as contexts
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.lake import Frame, Origin, Relation, origin_of, tagged
from boathouse.scoring import CLASS_PROBABILITIES, Model, complete

_RESULTS = {"double": "DOUBLE", "float": "FLOAT", "int": "INTEGER", "long": "BIGINT", "string": "VARCHAR", "boolean": "BOOLEAN"}
"""SQL types by the published names of result types. `double`, the default, is for numbers: what is none stays as it is."""

_ALSO = {"integer": "int", "bigint": "long", "real": "float", "bool": "boolean"}


def result_of(given: Any) -> str:
    """The result type that a name in any case, or a type of Spark's, stands for; of arrays, that of what they hold.

    Raises InvalidInput.
    """
    name = (given if isinstance(given, str) else getattr(given, "simpleString", lambda: repr(given))()).strip().lower()
    name = name.removeprefix("array<").removesuffix(">")
    name = _ALSO.get(name, name)
    if name not in _RESULTS:
        raise InvalidInput(f"result_type {given!r} is unknown; use one of {', '.join(_RESULTS)}")
    return name


def scored(
    context: Context, model: Model, df: Frame, params: Mapping[str, Any] | None = None
) -> tuple[pa.Table, Mapping[str, int]]:
    """All columns, the features looked up point in time, and the prediction; the versions of the features' tables."""
    import pandas as pd

    versions: Mapping[str, int] = {}
    if model.spec:
        completed, versions = complete(context, model.spec, df)
        frame, origin = contexts.arrow(completed), completed.origin
    else:
        frame, origin = contexts.arrow(df), origin_of(df)
    if not frame.num_rows:
        return tagged(_unanswered(frame), origin), versions
    answer = model.predict(frame.to_pandas(), params)
    said: dict[str, Any] = {"prediction": answer.values if answer.values.ndim == 1 else list(answer.values)}
    if answer.probabilities is not None:
        said["prediction_probability"] = answer.probabilities
    frame = _beside(frame, contexts.arrow(pd.DataFrame(said)))  # pandas keeps no whole numbers, dates and decimals beside nulls
    if names := answer.class_names:
        frame = frame.append_column(CLASS_PROBABILITIES, _by_class(names, answer.class_probabilities))
    return tagged(frame, _made(origin, model, bool(names))), versions


def _unanswered(frame: pa.Table) -> pa.Table:
    """No rows, and so no predictions: many libraries refuse to make none."""
    return _beside(frame, pa.table({"prediction": pa.array([], pa.float64())}))


def _beside(frame: pa.Table, said: pa.Table) -> pa.Table:
    """The rows as they came, then what the model says of them in place of what another may have said."""
    kept = frame.drop_columns([name for name in said.column_names if name in frame.column_names])
    for name in said.column_names:
        kept = kept.append_column(name, said.column(name))
    return kept


def typed(context: Context, frame: pa.Table, kind: str) -> Relation:
    """Scored rows with the prediction in the type of a result. Raises InvalidInput for predictions that are not of it."""
    found, source = frame.schema.field("prediction").type, context.engine.register(frame)
    listed = pa.types.is_list(found) and kind != "string"
    number = _is_number(found.value_type if listed else found)
    if not number and kind == "double":
        return context.engine.relation(f"SELECT * FROM {source}")
    if not number and kind != "string":
        raise InvalidInput(f"the model predicts {found}, which is no {kind}: leave result_type out, or ask for 'string'")
    result = _RESULTS[kind] + ("[]" if listed else "")
    return context.engine.relation(f"SELECT * REPLACE (prediction::{result} AS prediction) FROM {source}")


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_null)
    return any(test(kind) for test in tests)


def _by_class(names: tuple[str, ...], each: Any) -> pa.MapArray:
    """Each row's probabilities, (n, k), by the classes' names."""
    count, width = each.shape
    offsets = pa.array(range(0, count * width + 1, width), pa.int32())
    return pa.MapArray.from_arrays(offsets, pa.array(names * count), pa.array(each.ravel(), pa.float64()))


def _made(rows: Origin, model: Model, by_class: bool) -> Origin:
    """What scored rows are made of: the rows as they were, and what the model says of them."""
    more = f", m.{CLASS_PROBABILITIES}" if by_class else ""
    query = f"SELECT r.*, m.prediction, m.prediction_probability{more} FROM rows AS r, model AS m"
    return Origin(query=query, inputs={"rows": rows, "model": Origin(f"model:{model.name}", model.version)})
