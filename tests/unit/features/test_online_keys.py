"""Keys of requests: what equals a stored key finds it, and what cannot be one is refused by its column."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.features.online.codec import KeyCodec


@pytest.mark.parametrize(
    ("kind", "one", "same"),
    [
        ("int64", 3, ("3", 3.0)),
        ("double", 0.0, (-0.0, 0, "0")),
        ("date32[day]", date(2024, 1, 31), ("2024-01-31", "2024-01-31T00:00:00", "2024-01-31T00:00:00Z", datetime(2024, 1, 31))),
        ("timestamp[us, tz=UTC]", datetime(2024, 1, 31, tzinfo=UTC), ("2024-01-31T00:00:00Z", "2024-01-31 01:00:00+01:00")),
        ("decimal128(9, 2)", Decimal("1.50"), ("1.5", 1.5)),
        ("bool", True, (1,)),
    ],
)
def test_keys_that_are_equal_under_their_type_are_one(kind: str, one: Any, same: tuple[Any, ...]) -> None:
    codec = KeyCodec(["k"], [kind])
    assert {codec.encode((other,)) for other in same} == {codec.encode((one,))}


@pytest.mark.parametrize(
    ("kind", "wrong", "taken"),
    [
        ("int64", ("x", 3.5, True, 10**30, "1" * 40, [3], {"a": 1}), "a whole number of 64 bits"),
        ("string", (5, True, ["a"], "\ud800"), "text"),
        ("date32[day]", ("2024-13-45", "2024-01-31T12:00:00", 19724, True, ["2024-01-31"]), "a day such as 2024-01-31"),
        ("timestamp[us, tz=UTC]", ("noon", 1704085200, [1]), "a time such as 2024-01-31T12:00:00Z"),
        ("double", ("x", [1.0]), "a number"),
        ("bool", ("yes", 2, [True]), "true or false"),
        ("decimal128(9, 2)", ("x", [1]), "a number"),
    ],
)
def test_a_value_that_cannot_be_a_key_is_refused_by_its_column(kind: str, wrong: tuple[Any, ...], taken: str) -> None:
    codec = KeyCodec(["shop", "k"], ["string", kind])
    for value in wrong:
        with pytest.raises(InvalidInput, match=f"does not fit the key 'k', which takes {taken}"):
            codec.encode(("s1", value))


def test_a_null_in_a_key_matches_nothing_and_a_key_of_another_length_is_refused() -> None:
    codec = KeyCodec(["shop", "k"], ["string", "int64"])
    assert codec.encode(("s1", None)) is None
    with pytest.raises(InvalidInput, match=r"the key \('s1',\) does not fit \(shop, k\): one value for each"):
        codec.encode(("s1",))


_PARTS = st.one_of(st.none(), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(), st.sampled_from(["x" * 600, "\ud800"]))
_KEYS = st.one_of(st.tuples(st.text(), st.integers()), st.lists(_PARTS, max_size=3), st.tuples(_PARTS, _PARTS))


@given(st.lists(_KEYS, max_size=5))
def test_many_keys_are_spelled_as_one_by_one(keys: list[Any]) -> None:
    codec = KeyCodec(["shop", "k"], ["string", "int64"])
    try:
        expected: list[bytes | None] | str = [codec.encode(key) for key in keys]
    except InvalidInput as error:
        expected = str(error)
    try:
        found: list[bytes | None] | str = codec.encode_many(keys)
    except InvalidInput as error:
        found = str(error)
    assert found == expected
