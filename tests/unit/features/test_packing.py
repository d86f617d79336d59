"""Rows packed by whole columns are what MessagePack reads back value by value."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.features.online.codec import KeyCodec, row_decoder, stored_type
from boathouse.features.online.packing import packed

WHOLE = {f"int{bits}": st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)} | {
    f"uint{bits}": st.integers(0, 2**bits - 1) for bits in (8, 16, 32, 64)
}
MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
KINDS: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    *((getattr(pa, name)(), values) for name, values in WHOLE.items()),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.float32(), st.floats(allow_nan=False, width=32)),
    (pa.bool_(), st.booleans()),
    (pa.string(), st.text(max_size=40)),
    (pa.large_string(), st.text(max_size=300)),
    (pa.string_view(), st.text(max_size=40)),
    (pa.dictionary(pa.int32(), pa.string()), st.text(max_size=5)),
    (pa.binary(), st.binary(max_size=40)),
    (pa.date32(), st.dates()),
    (pa.timestamp("us", "UTC"), MOMENTS.map(lambda at: at.replace(tzinfo=UTC))),
    (pa.timestamp("us"), MOMENTS),
    (pa.timestamp("s", "Europe/Berlin"), MOMENTS.map(lambda at: at.replace(microsecond=0, tzinfo=UTC))),
    (pa.decimal128(20, 6), st.decimals(-(10**10), 10**10, places=6)),
    (pa.list_(pa.float64()), st.lists(st.floats(allow_nan=False), max_size=3)),
    (pa.struct([("a", pa.int64())]), st.fixed_dictionaries({"a": st.integers(0, 9)})),
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[pa.Array], list[tuple[Any, ...]]]:
    rows = draw(st.integers(0, 8))
    columns, values = [], []
    for kind, of in draw(st.lists(st.sampled_from(KINDS), max_size=20)):
        column = draw(st.lists(of if draw(st.booleans()) else st.none() | of, min_size=rows, max_size=rows))
        before = draw(st.integers(0, 2))  # a slice of a longer array
        padding = column[:1] * before if rows else []
        columns.append(pa.array([*padding, *column], kind).slice(len(padding)))
        values.append(column)
    return columns, list(zip(*values, strict=True)) if values else [()] * rows


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_every_row_reads_back_as_it_was(given: tuple[list[pa.Array], list[tuple[Any, ...]]]) -> None:
    columns, rows = given
    decode = row_decoder([stored_type(column.type) for column in columns])
    assert [decode(row) for row in packed(columns, len(rows)).to_pylist()] == rows


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_keys_of_whole_columns_are_spelled_as_single_keys(data: st.DataObject) -> None:
    kinds = [kind for kind in KINDS if not pa.types.is_nested(kind[0])]
    chosen = data.draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=3))
    rows = data.draw(st.lists(st.tuples(*(values for _, values in chosen)), min_size=1, max_size=5))
    columns = [pa.array(column, kind) for column, (kind, _) in zip(zip(*rows, strict=True), chosen, strict=True)]
    codec = KeyCodec("abc"[: len(chosen)], [stored_type(column.type) for column in columns])
    assert codec.encode_all(columns) == [codec.encode(row) for row in rows]


def test_a_time_that_python_has_not_is_refused() -> None:
    for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
        with pytest.raises(InvalidInput, match="years 1 to 9999"):
            packed([pa.array([2**62], kind)], 1)


def test_numbers_of_half_precision_and_days_in_milliseconds_are_kept() -> None:
    columns = [pa.array([1.5], pa.float16()), pa.array([date(2013, 7, 1)], pa.date64()), pa.array([Decimal("1E+2")])]
    decode = row_decoder([stored_type(column.type) for column in columns])
    assert decode(packed(columns, 1)[0].as_py()) == (1.5, date(2013, 7, 1), Decimal(100))
