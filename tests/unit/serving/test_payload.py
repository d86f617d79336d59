"""What a scoring request may look like."""

import io
import json
from typing import Any

import pandas as pd
import pytest

from boathouse.errors import InvalidInput
from boathouse.serving.payload import encode, parse
from boathouse.serving.rows import Rows

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def question(body: Any, kind: str = "application/json") -> Any:
    return parse(kind, body if isinstance(body, bytes) else json.dumps(body).encode(), ("a", "b"))


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [2, None]]}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"instances": [[1, "x"], [2, None]]},
        {"inputs": {"a": [1, 2], "b": ["x", None]}},
        {"inputs": ROWS},
    ],
    ids=["split", "records", "instances", "instance-lists", "input-columns", "inputs"],
)
def test_the_forms_of_json_mean_the_same_rows(body: dict[str, Any]) -> None:
    rows = question(body).rows
    assert list(rows.columns) == ["a", "b"]
    assert rows.records() == ROWS


def test_csv_and_parquet_are_read_too() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    stream = io.BytesIO()
    frame.to_parquet(stream)
    for kind, body in [
        ("text/csv; charset=utf-8", b"a\n1\n2\n"),
        ("application/vnd.apache.parquet", stream.getvalue()),
    ]:
        assert question(body, kind).rows.columns["a"] == [1, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "the body is no application/json"),
        (b"", "the body is no application/json"),
        ([1], "must be an object with one of dataframe_split"),
        ({}, "exactly one of .* is expected, not none"),
        ({"instances": [], "inputs": []}, "not instances, inputs"),
        ({"instances": [1, 2]}, "the body is no application/json"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "the body is no application/json"),
        ({"dataframe_split": {"columns": ["a"]}}, "the body is no application/json"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "the body is no application/json"),
        ({"instances": [[1, 2, 3]]}, "the body is no application/json"),
        ({"instances": [{"a": 1}], "request_time": "soon"}, "the body is no application/json"),
    ],
)
def test_a_body_that_is_wrong_is_refused_with_what_was_expected(body: Any, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        question(body)


def test_other_content_types_and_broken_files_are_refused() -> None:
    with pytest.raises(InvalidInput, match=r"text/html is not read: send application/json"):
        question(b"<p>", "text/html")
    with pytest.raises(InvalidInput, match="the body is no application/x-parquet"):
        question(b"PAR0", "application/x-parquet")


@pytest.mark.parametrize(
    ("given", "kept"), [("order 7", "order 7"), (7, "7"), (None, None), (["a"], "['a']")]
)
def test_a_clients_own_id_is_kept_as_text(given: Any, kept: str | None) -> None:
    assert question({"instances": [{"a": 1}], "client_request_id": given}).client_request_id == kept


def test_values_are_logged_as_json_has_them() -> None:
    moment = pd.Timestamp("2013-07-01 12:00:00.000005", tz="UTC")
    rows = pd.DataFrame({"x": [1.5, float("nan")], "t": [moment, None], "n": [1, 2], "s": ["ü", None]})
    assert json.loads(encode(Rows.of_frame(rows).records())) == [
        {"x": 1.5, "t": "2013-07-01T12:00:00.000005Z", "n": 1, "s": "ü"},
        {"x": None, "t": None, "n": 2, "s": None},
    ]  # fmt: skip
