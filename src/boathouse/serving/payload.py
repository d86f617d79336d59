"""What a scoring request may look like: MLflow's four JSON forms, CSV and Parquet; and what is answered."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from boathouse.clock import parse_instant
from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    import pandas as pd

_FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")


@dataclass(frozen=True)
class Question:
    """The rows asked about, the caller's own id for the request, its time where it replays another, and `params` of predict."""

    rows: "pd.DataFrame"
    client_request_id: str | None = None
    request_time: str | None = None
    params: dict[str, Any] | None = None


def parse(content_type: str, body: bytes, inputs: tuple[str, ...]) -> Question:
    """Rows out of a request's body. Raises InvalidInput saying which form was expected."""
    import pandas as pd

    kind = content_type.partition(";")[0].strip().lower() or "application/json"
    try:
        if kind == "text/csv":
            return Question(pd.read_csv(io.BytesIO(body)))
        if kind in ("application/vnd.apache.parquet", "application/x-parquet"):
            return Question(pd.read_parquet(io.BytesIO(body)))
        if kind != "application/json":
            raise InvalidInput(f"{kind} is not read: send application/json, text/csv or application/vnd.apache.parquet")
        return _from_json(msgspec.json.decode(body), inputs)
    except InvalidInput:
        raise
    except Exception as error:
        raise InvalidInput(f"the body is no {kind}: {error}") from error


def _from_json(body: Any, inputs: tuple[str, ...]) -> Question:
    import pandas as pd

    if not isinstance(body, dict):
        raise InvalidInput("the body must be an object with one of " + ", ".join(_FORMS))
    given = [form for form in _FORMS if form in body]
    if len(given) != 1:
        raise InvalidInput(f"exactly one of {', '.join(_FORMS)} is expected, not {', '.join(given) or 'none'}")
    data = body[given[0]]
    if given[0] == "dataframe_split":
        rows = pd.DataFrame(data["data"], columns=data.get("columns"))
    elif isinstance(data, dict):
        rows = pd.DataFrame({k: v if isinstance(v, list) else [v] for k, v in data.items()})
    else:
        named = not data or isinstance(data[0], dict)
        rows = pd.DataFrame(data) if named else pd.DataFrame(data, columns=list(inputs)[: len(data[0])])
    own, moment, params = body.get("client_request_id"), body.get("request_time"), body.get("params")
    if params is not None and not isinstance(params, dict):
        raise InvalidInput("params is an object: the names and values that the model's predict takes")
    return Question(rows, None if own is None else str(own), parse_instant(moment).isoformat() if moment else None, params)


def plain(rows: "pd.DataFrame") -> list[dict[str, Any]]:
    """Rows as JSON values: missing values as null, times as ISO text."""
    records: list[dict[str, Any]] = msgspec.json.decode(rows.to_json(orient="records", date_format="iso", date_unit="us"))
    return records
