"""Rows with their features and what a model says of them."""

from collections.abc import Mapping

import pyarrow as pa

from boathouse import context as contexts
from boathouse.context import Context
from boathouse.lake import Frame, Origin, Relation, origin_of, tagged
from boathouse.scoring import Model, complete


def scored(context: Context, model: Model, df: Frame) -> tuple[pa.Table, Mapping[str, int]]:
    """All columns, the features looked up point in time, and the prediction; the versions of the features' tables."""
    versions: Mapping[str, int] = {}
    if model.spec:
        completed, versions = complete(context, model.spec, df)
        rows, origin = completed.to_pandas(), completed.origin
    else:
        rows, origin = contexts.arrow(df).to_pandas(), origin_of(df)
    answer = model.predict(rows)
    rows["prediction"] = answer.values
    if answer.probabilities is not None:
        rows["prediction_probability"] = answer.probabilities
    return tagged(contexts.arrow(rows), _made(origin, model)), versions


def typed(context: Context, frame: pa.Table, kind: str) -> Relation:
    """Scored rows with the prediction in an SQL type."""
    return context.engine.relation(f"SELECT * REPLACE (prediction::{kind} AS prediction) FROM {context.engine.register(frame)}")


def _made(rows: Origin, model: Model) -> Origin:
    """What scored rows are made of: the rows as they were, and what the model says of them."""
    query = "SELECT r.*, m.prediction, m.prediction_probability FROM rows AS r, model AS m"
    return Origin(query=query, inputs={"rows": rows, "model": Origin(f"model:{model.name}", model.version)})
