"""What a scoring request may look like."""

import io
import json
import math
from typing import Any

import pandas as pd
import pytest

from boathouse.errors import InvalidInput
from boathouse.serving.payload import encode, parse
from boathouse.serving.rows import Rows

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": None}]


def question(body: Any, kind: str = "application/json") -> Any:
    return parse(kind, body if isinstance(body, bytes) else json.dumps(body).encode(), ("a", "b"), ("key", "a", "b"))


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


def test_lists_are_named_by_as_many_names_and_nan_is_read_as_python_writes_it() -> None:
    assert question({"instances": [[7, 1, "x"]]}).rows.records() == [{"key": 7, "a": 1, "b": "x"}]
    (value,) = question(b'{"inputs": {"a": [NaN]}}').rows.columns["a"]
    assert math.isnan(value)


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
        (b'{"instances": [NaN', "the body is no application/json"),
        ([1], "must be an object with one of dataframe_split"),
        ({}, "exactly one of .* is expected, not none"),
        ({"instances": [], "inputs": []}, "not instances, inputs"),
        ({"instances": []}, "instances is a list of at least one row, or an object of columns, not \\[\\]"),
        ({"dataframe_records": "a"}, "dataframe_records is a list of at least one row, .* not 'a'"),
        ({"inputs": None}, "inputs is a list of at least one row, .* not None"),
        ({"dataframe_split": {"columns": ["a"], "data": []}}, "dataframe_split is an object .* of at least one row"),
        ({"instances": [1, 2]}, "row 0 is 1, where rows are objects"),
        ({"instances": [{"a": 1}, None]}, "row 1 is None, where rows are objects"),
        ({"instances": [[1, 2], 3]}, "row 1 is 3, where rows are lists"),
        ({"instances": [[1, "x"], [1]]}, "row 1 has 1 values, where 2 are expected: a, b"),
        ({"instances": [[1, 2, 3, 4]]}, "row 0 has 4 values, where 2 are expected: a, b"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1, 2]]}}, "row 0 has 2 values, where 1 are expected: a"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "the column 'a' is named twice"),
        ({"dataframe_split": {"columns": ["a"]}}, "dataframe_split is an object such as"),
        ({"dataframe_split": {"columns": "a", "data": [[1]]}}, "dataframe_split is an object such as"),
        ({"dataframe_split": None}, "dataframe_split is an object such as"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "'a' has 2 values, 'b' has 1"),
        ({"instances": [{"a": 1}], "request_time": "soon"}, "request_time is 'soon'"),
        ({"instances": [{"a": 1}], "request_time": 5}, "request_time is 5"),
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
