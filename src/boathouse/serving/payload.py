"""What a scoring request may look like: MLflow's four JSON forms, CSV and Parquet; and what is answered."""

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as shown
from typing import Any

import msgspec

from boathouse.clock import parse_instant
from boathouse.errors import InvalidInput
from boathouse.serving.rows import Rows, as_json

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
encode = msgspec.json.Encoder(enc_hook=as_json, decimal_format="number").encode
"""Values as JSON: missing ones as null, times as ISO text."""


@dataclass(frozen=True)
class Question:
    """The rows asked about, the caller's own id for the request, its time where it replays another, and `params` of predict."""

    rows: Rows
    client_request_id: str | None = None
    request_time: str | None = None
    params: dict[str, Any] | None = None


def parse(content_type: str, body: bytes, *inputs: tuple[str, ...]) -> Question:
    """Rows out of a request's body. Raises InvalidInput saying which form was expected.

    `inputs` name the values of rows that are bare lists: the first of them that has as many names as a row has values.
    """
    kind = content_type.partition(";")[0].strip().lower() or "application/json"
    try:
        if kind == "application/json":
            return _from_json(_decoded(body), inputs)
        import pandas as pd

        if kind == "text/csv":
            return Question(Rows.of_frame(pd.read_csv(io.BytesIO(body))))
        if kind in ("application/vnd.apache.parquet", "application/x-parquet"):
            return Question(Rows.of_frame(pd.read_parquet(io.BytesIO(body))))
        raise InvalidInput(f"{kind} is not read: send application/json, text/csv or application/vnd.apache.parquet")
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"the body is no {kind}: {error}") from error


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        if b"NaN" in body or b"Infinity" in body:  # no JSON, but what Python's own library writes
            return json.loads(body)
        raise


def _from_json(body: Any, inputs: Sequence[tuple[str, ...]]) -> Question:
    if not isinstance(body, dict):
        raise InvalidInput("the body must be an object with one of " + ", ".join(_FORMS))
    given = [form for form in _FORMS if form in body]
    if len(given) != 1:
        raise InvalidInput(f"exactly one of {', '.join(_FORMS)} is expected, not {', '.join(given) or 'none'}")
    rows = _rows(given[0], body[given[0]], inputs)
    own, moment, params = body.get("client_request_id"), body.get("request_time"), body.get("params")
    if params is not None and not isinstance(params, dict):
        raise InvalidInput("params is an object: the names and values that the model's predict takes")
    return Question(rows, None if own is None else str(own), _moment(moment) if moment else None, params)


def _moment(given: Any) -> str:
    try:
        return parse_instant(given).isoformat()
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"request_time is {shown(given)}, and no time such as 2024-01-31T12:00:00Z") from error


def _rows(form: str, data: Any, inputs: Sequence[tuple[str, ...]]) -> Rows:
    if form == "dataframe_split":
        whole = isinstance(data, dict) and isinstance(data.get("data"), list) and isinstance(data.get("columns"), list | None)
        if not whole or not data["data"]:
            raise InvalidInput('dataframe_split is an object such as {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}, '
                               "of at least one row")  # fmt: skip
        return Rows.of_lists(data["data"], data.get("columns"))
    if isinstance(data, dict):
        return Rows.of_columns(data)
    if not isinstance(data, list) or not data:
        raise InvalidInput(f"{form} is a list of at least one row, or an object of columns, not {shown(data)}")
    if not isinstance(data[0], list):
        return Rows.of_records(data)
    return Rows.of_lists(data, next((names for names in inputs if len(names) == len(data[0])), inputs[0] if inputs else None))
