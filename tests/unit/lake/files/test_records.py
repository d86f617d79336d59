"""Text cut into records: none of its bytes lost, whatever the quotes and wherever the blocks end."""

from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.lake.files import records
from boathouse.lake.files.csv_file import CsvParser
from boathouse.lake.files.dialect import Dialect, sniff
from boathouse.lake.files.records import cut

CSV = Dialect()
MESSY = st.text("ab,\"\r\n1", max_size=60).map(str.encode)


def blocks(text: bytes, sizes: Sequence[int] = ()) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield text[at : at + size]
        at += size
    yield text[at:]


def records_of(text: bytes, sizes: Sequence[int] = ()) -> list[tuple[int, int, bytes, bool]]:
    """(line, offset, text, spoiled) of every record."""
    return [
        (int(chunk.lines[i]), chunk.offset + int(chunk.starts[i]), chunk.record(i), i in chunk.open)
        for chunk in cut(blocks(text, sizes), CSV) for i in range(len(chunk))
    ]  # fmt: skip


def test_a_record_may_go_over_several_lines_and_is_named_by_its_first() -> None:
    text = b'a,b\r\n1,"x\r\n""y"""\r\n2,z'
    assert records_of(text) == [(1, 0, b"a,b", False), (2, 5, b'1,"x\r\n""y"""', False), (4, 19, b"2,z", False)]


def test_a_quote_that_is_never_closed_spoils_its_own_line_only() -> None:
    text = b'1,"open,2\n2,x,4\n3,"q",5\n4,5" tall,6\n5,"open at the end'
    assert [(line, spoiled) for line, _, _, spoiled in records_of(text)] == [
        (1, True), (2, False), (3, False), (4, False), (5, True),
    ]  # fmt: skip


@settings(deadline=None)
@given(MESSY, st.lists(st.integers(0, 9), max_size=40))
def test_where_blocks_end_makes_no_difference(text: bytes, sizes: list[int]) -> None:
    assert records_of(text, sizes) == records_of(text)


@settings(deadline=None)
@given(MESSY)
def test_every_byte_but_line_ends_is_in_a_record(text: bytes) -> None:
    found = records_of(text)
    left = bytearray(text)
    for _, offset, record, _ in reversed(found):
        assert text[offset : offset + len(record)] == record
        del left[offset : offset + len(record)]
    assert set(left) <= set(b"\r\n")


@settings(deadline=None)
@given(MESSY, st.integers(1, 4))
@example(b"\r\r\n\n", 1)
def test_arrows_reader_is_used_only_where_it_sees_what_we_see(text: bytes, width: int) -> None:
    parser = CsvParser(CSV, width, ["a"])
    for chunk in cut(blocks(text), CSV):
        kept = np.flatnonzero((chunk.ends > chunk.starts) & ~np.isin(np.arange(len(chunk)), sorted(chunk.open)))
        quick, slow = parser._at_once(chunk, kept, []), parser._one_by_one(chunk, kept, [])
        if quick is not None:
            assert [c.to_pylist() for c in quick.columns] == [c.to_pylist() for c in slow.columns]
            assert (quick.records.tolist(), quick.bad) == (slow.records.tolist(), slow.bad)


@settings(deadline=None)
@given(MESSY, st.integers(1, 4))
def test_a_record_is_a_row_or_a_bad_one_and_never_both(text: bytes, width: int) -> None:
    for chunk in cut(blocks(text), CSV):
        parsed = CsvParser(CSV, width).parse(chunk)
        filled = np.flatnonzero(chunk.ends > chunk.starts).tolist()
        assert sorted([*parsed.records.tolist(), *(index for index, _ in parsed.bad)]) == filled


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "_TOO_LONG", 100)
    with pytest.raises(InvalidInput, match="line 2 is longer than"):
        list(cut(blocks(b"a\n" + b"x" * 1000, [10] * 90)))


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (b"a,b\n1,2\n", Dialect(",")),
        (b"a;b\n1,5;2,5\n3,5;4,5\n", Dialect(";")),
        (b"a\tb\tc\n1\t2,3\t4\n", Dialect("\t")),
        (b'a|b\n"x|y"|2\n', Dialect("|")),
        (b"name\nAda\nBob\n", Dialect(",")),
        (b"1,2\n3,4\n", Dialect(",", header=False)),
        (b"x,2024-01-02\ny,2024-01-03\n", Dialect(",", header=False)),
        (b'"a,b",c\n"d,e",f\n', Dialect(",")),
        (b"\n\nid,id,\n1,2,3\n", Dialect(",")),
    ],
)
def test_the_dialect_is_found_out(text: bytes, dialect: Dialect) -> None:
    assert sniff(text) == dialect


def test_what_is_said_of_the_dialect_stays() -> None:
    assert sniff(b"1,2;3\n", delimiter=";", quote="'", header=True) == Dialect(";", "'", True)
    with pytest.raises(InvalidInput, match="must be one ASCII character"):
        sniff(b"a\n", delimiter="€")
