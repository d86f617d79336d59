"""Signed links and predicate hints: neither lets a reader at more than it was given."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse import clock
from boathouse.errors import NotPermitted
from boathouse.server.sharing.links import Links, Pass
from boathouse.server.sharing.offers import OfferedFile, limited, local_file
from boathouse.server.sharing.predicates import condition

LATER = int(clock.now().timestamp()) + 86_400  # a long test run must not outlast it
GIVEN = Pass("token", "dev.raw.events", "part-1.parquet", False, "", LATER)
LINKS = Links("key")


def test_a_link_says_what_was_signed() -> None:
    assert LINKS.read(LINKS.sign(GIVEN)) == GIVEN


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_link_with_any_other_byte_opens_nothing(place: int, change: int) -> None:
    signed = bytearray(LINKS.sign(GIVEN).encode())
    signed[place % len(signed)] ^= change
    with pytest.raises(NotPermitted):
        LINKS.read(signed.decode("latin-1"))


def test_another_body_under_the_same_signature_opens_nothing() -> None:
    _, _, signature = LINKS.sign(GIVEN).partition(".")
    body = base64.urlsafe_b64encode(json.dumps(replace(GIVEN, table="prod.hr.pay").__dict__).encode()).decode().rstrip("=")
    for forged in (f"{body}.{signature}", f"{body}.", body, "", ".", f"{body}.{Links('other')._signature(body)}"):
        with pytest.raises(NotPermitted):
            LINKS.read(forged)


def test_a_link_that_is_over_opens_nothing() -> None:
    with pytest.raises(NotPermitted, match="over"):
        LINKS.read(LINKS.sign(replace(GIVEN, expires=LATER - 2 * 86_400)))


OUTSIDE = ("../other/x.parquet", "/etc/passwd", "_delta_log/0.json", "sub/../../other/x.parquet", "out", "")


@pytest.mark.parametrize("path", OUTSIDE)
def test_only_files_really_below_the_folder_are_found(tmp_path: Path, path: str) -> None:
    for file in ("table/part-1.parquet", "table/_delta_log/0.json", "other/x.parquet"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x")
    (tmp_path / "table" / "out").symlink_to(tmp_path / "other" / "x.parquet")
    assert local_file(tmp_path / "table", path) is None
    assert local_file(tmp_path / "table", "part-1.parquet") is not None


def test_json_hints_become_a_condition() -> None:
    column = {"op": "column", "name": 'd"ay', "valueType": "date"}
    literal = {"op": "literal", "value": "2026-01-31", "valueType": "date"}
    tree = {"op": "and", "children": [{"op": "greaterThan", "children": [column, literal]},
                                      {"op": "not", "children": [{"op": "isNull", "children": [column]}]}]}  # fmt: skip
    expected = """(("d""ay" > CAST('2026-01-31' AS DATE)) AND (NOT ("d""ay" IS NULL)))"""
    assert condition(["x = 1", " "], json.dumps(tree)) == f"(x = 1) AND {expected}"


@pytest.mark.parametrize(
    "hint",
    ["", "{", "[]", '{"op": "explode", "children": []}', '{"op": "literal", "value": "1; drop", "valueType": "int"}',
     '{"op":"not","children":[' * 500 + "]}" * 500],
)  # fmt: skip
def test_hints_that_nobody_understands_leave_nothing_out(hint: str) -> None:
    assert condition([], hint) is None


def test_a_limit_takes_the_files_that_it_needs() -> None:
    files = [OfferedFile(str(n), False, 1, {}, rows, None) for n, rows in enumerate((10, 10, None, 10))]
    assert [f.file for f in limited(files, 15)] == ["0", "1"]
    assert len(limited(files, None)) == len(limited(files, 25)) == 4
    assert len(limited(files, 0)) == 1
