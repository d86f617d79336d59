"""Protobuf by hand: what is written is read, by us and by protobuf itself, and nonsense is refused."""

import pytest
from google.protobuf import any_pb2, wrappers_pb2
from hypothesis import given
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.server.flight import protobuf as pb
from boathouse.server.patterns import like


@given(st.text(), st.binary(), st.integers(0, 2**63 - 1), st.booleans())
def test_what_is_written_is_read(text: str, data: bytes, number: int, flag: bool) -> None:
    fields = pb.read(pb.written((1, text), (2, data), (3, number), (4, flag), (5, None), (1000, text)))
    assert (pb.text(fields, 1), pb.data(fields, 2), pb.numbers(fields, 3), pb.flag(fields, 4)) == (text, data, [number], flag)
    assert (pb.text(fields, 5), pb.text(fields, 1000)) == (None, text)


@given(st.text(), st.integers(0, 2**63 - 1))
def test_protobuf_itself_reads_and_writes_the_same(text: str, number: int) -> None:
    assert wrappers_pb2.StringValue.FromString(pb.written((1, text))).value == text
    assert pb.numbers(pb.read(wrappers_pb2.Int64Value(value=number or 1).SerializeToString()), 1) == [number or 1]
    packed = any_pb2.Any.FromString(pb.packed_in_any("CommandGetCatalogs", pb.written((1, text))))
    assert packed.type_url.endswith("/arrow.flight.protocol.sql.CommandGetCatalogs")
    assert pb.unpacked(packed.SerializeToString())[0] == "CommandGetCatalogs"


@given(st.binary(max_size=60))
def test_nonsense_is_refused_or_read_as_fields_but_never_worse(data: bytes) -> None:
    try:
        fields = pb.read(data)
    except InvalidInput:
        return
    assert all(isinstance(number, int) for number in fields)


def test_a_message_that_is_none_of_flight_sqls_is_refused() -> None:
    foreign = any_pb2.Any()
    foreign.Pack(wrappers_pb2.StringValue(value="x"))
    for message in (foreign.SerializeToString(), b"", b"\x0a\xff"):
        with pytest.raises(InvalidInput):
            pb.unpacked(message)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [("%", "", True), ("tr%", "trips", True), ("tr_ps", "trips", True), ("tr_ps", "trps", False), ("a.c", "abc", False),
     (r"a\_c", "a_c", True), (r"a\_c", "abc", False), (r"50\%", "50%", True), ("", "x", False)],
)  # fmt: skip
def test_patterns_are_those_of_like(pattern: str, name: str, matches: bool) -> None:
    assert bool(like(pattern).fullmatch(name)) is matches
