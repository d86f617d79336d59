"""Rows in: whatever speaks Arrow, in the types that Delta keeps."""

from datetime import UTC, datetime
from typing import Any

import polars
import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput, SchemaMismatch
from boathouse.lake import batches, column_types, conform, normalised, schema_of

MICROSECONDS = pa.timestamp("us", tz="UTC")


def rows(frame: Any) -> list[dict[str, Any]]:
    return list(batches(frame).read_all().to_pylist())


@pytest.mark.parametrize(
    "frame",
    [
        {"a": [1, 2]},
        [{"a": 1}, {"a": 2}],
        pa.table({"a": [1, 2]}),
        pa.table({"a": [1, 2]}).to_reader(),
        polars.DataFrame({"a": [1, 2]}),
        polars.DataFrame({"a": [1, 2]}).to_pandas(),
    ],
    ids=["columns", "dicts", "table", "reader", "polars", "pandas"],
)
def test_any_frame_is_read(frame: Any) -> None:
    assert rows(frame) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize("frame", [7, "a", [1, 2], None])
def test_what_is_no_frame_is_refused_by_its_type(frame: Any) -> None:
    with pytest.raises(InvalidInput, match=f"{type(frame).__name__} is no dataframe"):
        batches(frame)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (pa.timestamp("ns"), MICROSECONDS),
        (pa.timestamp("s", "Europe/Berlin"), MICROSECONDS),
        (pa.large_string(), pa.string()),
        (pa.dictionary(pa.int8(), pa.string()), pa.string()),
        (pa.null(), pa.string()),
        (pa.uint8(), pa.int16()),
        (pa.uint64(), pa.int64()),
        (pa.large_list(pa.timestamp("ms")), pa.list_(MICROSECONDS)),
        (pa.struct([("a", pa.uint16())]), pa.struct([("a", pa.int32())])),
        (pa.float32(), pa.float32()),
    ],
    ids=str,
)
def test_types_become_those_that_delta_keeps(given: pa.DataType, kept: pa.DataType) -> None:
    assert normalised(pa.schema([("x", given)])).field("x").type == kept


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.timestamp("ns"), 1_372_680_000_000_000_999),
        (pa.timestamp("ms"), 1_372_680_000_000),
        (pa.timestamp("ns", "America/New_York"), 1_372_680_000_000_000_999),
        (pa.timestamp("s", "UTC"), 1_372_680_000),
    ],
    ids=str,
)
def test_times_without_a_zone_are_utc_and_nanoseconds_are_cut(kind: pa.DataType, value: int) -> None:
    stored = conform(
        {"t": pa.array([value, None], kind)}, pa.schema([("t", MICROSECONDS)]), "raw.t"
    ).read_all()
    assert stored.column("t").to_pylist() == [datetime(2013, 7, 1, 12, tzinfo=UTC), None]


def test_absent_columns_are_null_and_order_does_not_matter() -> None:
    schema = pa.schema([("a", pa.int64()), ("b", pa.string()), ("c", pa.float64())])
    stored = conform({"b": ["x"], "a": pa.array([1], pa.int8())}, schema, "raw.t").read_all()
    assert stored.to_pylist() == [{"a": 1, "b": "x", "c": None}]


def test_a_column_the_table_has_not_is_named_with_those_it_has() -> None:
    with pytest.raises(SchemaMismatch, match=r"raw\.t has no column 'c' \(it has a, b\); .*evolve=True"):
        conform({"a": [1], "c": [1]}, pa.schema([("a", pa.int64()), ("b", pa.int64())]), "raw.t")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["x"], pa.int64()),
        ([2**40], pa.int32()),
        ([1.5], pa.int64()),
        (["soon"], MICROSECONDS),
        ([-1], pa.bool_()),
    ],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_by_its_column(values: list[Any], kind: pa.DataType) -> None:
    if kind == pa.bool_():
        values = ["perhaps"]
    with pytest.raises(SchemaMismatch, match=r"raw\.t\.a is "):
        conform({"a": values}, pa.schema([("a", kind)]), "raw.t").read_all()


def test_a_schema_can_be_written_as_type_names() -> None:
    schema = schema_of({"a": "BIGINT", "b": "timestamp", "c": "array<string>", "d": "decimal(10,2)"})
    assert column_types(schema) == [
        ("a", "bigint"), ("b", "timestamp"), ("c", "array<string>"), ("d", "decimal(10,2)"),
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["number", "decimal(x)", "array<number>", "", "decimal"])
def test_an_unknown_type_name_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInput, match="is no column type"):
        schema_of({"a": kind})
