"""Keys become others: one to one, alike in every table, and nothing without the secret."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.catalog.cloning.pseudonym import Pseudonyms

SECRET = Pseudonyms(b"s" * 32)
WIDTHS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}


@pytest.mark.parametrize("kind", WIDTHS, ids=str)
@given(data=st.data())
def test_different_numbers_stay_different_of_the_same_sign_and_in_their_type(kind: pa.DataType, data: Any) -> None:
    reach = 2 ** (WIDTHS[kind] - 1)
    given_numbers = data.draw(st.lists(st.integers(-reach, reach - 1), unique=True, max_size=40))
    made = SECRET.of("id", pa.array(given_numbers, kind)).to_pylist()
    assert len(set(made)) == len(given_numbers)
    assert all((a < 0) == (b < 0) for a, b in zip(given_numbers, made, strict=True))


@given(st.lists(st.integers(-99_999, 99_999), unique=True, max_size=40))
def test_different_decimals_stay_different(digits: list[int]) -> None:
    kind = pa.decimal128(5, 2)
    made = SECRET.of("id", pa.array([Decimal(d).scaleb(-2) for d in digits], kind)).to_pylist()
    assert len(set(made)) == len(digits)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([1, 2, None, 1]), pa.array(["JFK", "", None, "JFK"]), pa.array([b"x", b"y", None, b"x"]),
        pa.array([1.5, 2.5, None, 1.5]), pa.array([date(2020, 1, 1), date(2020, 1, 2), None, date(2020, 1, 1)]),
        pa.array([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), None, datetime(2020, 1, 1, tzinfo=UTC)]),
    ],
    ids=["numbers", "texts", "bytes", "floats", "dates", "times"],
)  # fmt: skip
def test_equal_keys_are_equal_again_by_one_secret_only(values: pa.Array) -> None:
    made = SECRET.of("key", values)
    assert (made.type, made == SECRET.of("KEY", values)) == (values.type, True)
    first, second, null, again = made.to_pylist()
    assert (first == again, first == second, null) == (True, False, None)
    assert not set(values.drop_null().to_pylist()) & set(made.drop_null().to_pylist())
    assert Pseudonyms(b"t" * 32).of("key", values) != made


def test_the_columns_name_is_part_of_the_secret() -> None:
    assert SECRET.of("origin", pa.array(["JFK"])) != SECRET.of("dest", pa.array(["JFK"]))


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), min_size=2, max_size=10))
def test_times_keep_their_order_their_distances_and_their_weekdays(times: list[datetime]) -> None:
    made = SECRET.of("t", pa.array(times, pa.timestamp("us"))).to_pylist()
    assert [b - made[0] for b in made] == [a - times[0] for a in times]
    late = [t.hour == 23 and t.minute == 59 and t.second == 59 for t in times]
    assert all(a.weekday() == b.weekday() for a, b, last in zip(times, made, late, strict=True) if not last)
