"""Files as typed rows: types that hold every value, and rows that do not fit set aside with the reason."""

import gzip
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest

from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.lake import column_types
from boathouse.lake.files import ReadOptions, Staging, find_files
from boathouse.lake.files.headers import clean_names

Rows = list[dict[str, Any]]
Read = Callable[..., tuple[dict[str, str], Rows, Rows]]
NOON = datetime(2024, 2, 1, 12, tzinfo=UTC)


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """(types, rows, rejected) of one file with this text."""

    def reading(text: bytes | str, name: str = "f.csv", known: dict[str, pa.DataType] | None = None,
                required: tuple[str, ...] = (), **options: Any) -> tuple[dict[str, str], Rows, Rows]:  # fmt: skip
        (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        with Staging(find_files([tmp_path / name]), ReadOptions(**options)) as staging:
            typing = staging.typing(known or {}, required)
            staging.judge(typing)
            rows, rejected = (pa.RecordBatchReader.from_stream(s).read_all() for s in (staging.rows(typing), staging.rejects()))
            return dict(column_types(typing.schema)), rows.to_pylist(), rejected.to_pylist()

    return reading


@pytest.mark.parametrize(
    ("values", "kind", "first"),
    [
        ("1\n-2\n", "bigint", 1),
        ("1\n2.5\n1e3\n", "double", 1.0),
        ("1.5\nNaN\n-inf\n", "double", 1.5),
        ("true\nFALSE\n", "boolean", True),
        ("007\n12\n", "string", "007"),  # a code
        ("+4712345678\n+4787654321\n", "string", "+4712345678"),  # a telephone's
        ("12345678901234567890\n1\n", "string", "12345678901234567890"),  # would lose digits
        ("1\n\n2\n,\n", "bigint", 1),
        ("2024-02-01\n2024-12-31\n", "date", date(2024, 2, 1)),
        ("2024-02-01T12:00:00Z\n2024-02-01\n", "timestamp", NOON),
        ("2024-02-01 14:00+02:00\n", "timestamp", NOON),
        ("01.02.2024\n2024-03-01\n5 Mar 2024\n", "date", date(2024, 2, 1)),
        ("13/02/2024\n01/02/2024\n", "date", date(2024, 2, 13)),
        ("02/13/2024\n01/02/2024\n", "date", date(2024, 2, 13)),
        ("01/02/2024\n03/04/2024\n", "string", "01/02/2024"),  # the day or the month first?
        ("02/01/24\n13/01/24\n", "string", "02/01/24"),  # which century?
        ("1/2/2024 12:00 PM\n13/2/2024 1:00 AM\n", "timestamp", NOON),
        ("01/Feb/2024:14:00:00 +0200\n", "timestamp", NOON),
        ("12:30:00\n", "string", "12:30:00"),
        ("1_000\n", "string", "1_000"),
        ("\n", "string", None),
    ],
)
def test_a_column_gets_the_narrowest_type_that_holds_every_value(read: Read, values: str, kind: str, first: Any) -> None:
    text = "x,y\n" + "".join(f"{v},a\n" for v in values.removesuffix("\n").split("\n") if v != ",")
    types, rows, rejected = read(text)
    assert (types["x"], rows[0]["x"], rejected) == (kind, first, [])


def test_a_column_that_turns_out_to_be_text_late_is_text(read: Read) -> None:
    types, rows, rejected = read("id\n" + "".join(f"{i}\n" for i in range(30_000)) + "x1\n")
    assert (types, len(rows), rejected) == ({"id": "string"}, 30_001, [])


def test_hundreds_of_columns_are_told_apart(read: Read) -> None:
    values = ("7", "x", "2024-02-01", "1.5")
    text = ",".join(f"c{i}" for i in range(800)) + "\n" + ",".join(values[i % 4] for i in range(800)) + "\n"
    assert list(read(text)[0].values()) == ["bigint", "string", "date", "double"] * 200


@pytest.mark.parametrize("text", ["[]", "{}", "{}\n{}\n", "[{}, {}]"])
def test_json_without_a_value_has_no_columns(read: Read, text: str) -> None:
    assert read(text, "f.json") == ({}, [], [])


def test_values_that_a_given_type_does_not_hold_are_set_aside_with_the_line(read: Read) -> None:
    text = 'id,amount,"at"\n1,"a\nb",2024-01-01\n2,2.5,1.2.2024\n3,3,soon\n,4,\n'
    known = {"id": pa.int64(), "amount": pa.int64(), "at": pa.timestamp("us", tz="UTC")}
    _, rows, rejected = read(text, known=known, required=("id",))
    assert rows == []
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (2, "amount: a\nb is no bigint"), (4, "amount: 2.5 is no bigint"), (5, "at: soon is no timestamp"),
        (6, "id: nothing is there, and it is part of the key"),
    ]  # fmt: skip
    assert rejected[0]["raw"] == '1,"a\nb",2024-01-01'


def test_a_given_date_column_that_can_be_read_two_ways_needs_a_word(read: Read) -> None:
    with pytest.raises(InvalidInput, match="d: the day or the month may come first; say --date-format"):
        read("d\n1/2/2024\n", known={"d": pa.date32()})
    assert read("d\n1/2/2024\n", date_format="%d/%m/%Y")[1] == [{"d": date(2024, 2, 1)}]


@pytest.mark.parametrize(
    ("name", "data", "options"),
    [
        ("bom.csv", b"\xef\xbb\xbfn\xc3\xa4me,x\n\xc3\x85se,1\n", {}),
        ("crlf.csv", b"n\xc3\xa4me,x\r\n\xc3\x85se,1\r\n", {}),
        ("cr.csv", b"n\xc3\xa4me,x\r\xc3\x85se,1\r", {}),
        ("latin.csv", "näme;x\nÅse;1\n".encode("latin-1"), {"encoding": "latin-1"}),
        ("wide.csv", "näme,x\nÅse,1\n".encode("utf-16"), {}),
        ("packed.csv.gz", gzip.compress("näme\tx\n\nÅse\t1".encode(), mtime=0), {}),
        ("lines.jsonl", '{"näme":"Åse","x":1}\n\n'.encode(), {}),
        ("array.json", '\ufeff[ {"näme":"Åse",\n"x":1} ]'.encode(), {}),
        ("pretty.json", '{"näme":\n"Åse", "x": 1}'.encode(), {}),
        ("strange.dat", "näme|x\nÅse|1".encode(), {"format": "csv"}),
    ],
)
def test_the_same_row_out_of_every_writing(read: Read, name: str, data: bytes, options: dict[str, Any]) -> None:
    assert read(data, name, **options) == ({"näme": "string", "x": "bigint"}, [{"näme": "Åse", "x": 1}], [])


def test_bytes_that_are_no_text_spoil_their_row_alone(read: Read) -> None:
    _, rows, rejected = read("id;name\n1;Ann\n2;Åse\n".encode("latin-1"))
    assert rows == [{"id": 1, "name": "Ann"}]
    assert (rejected[0]["line"], rejected[0]["raw"]) == (3, "2;\\xc5se")
    assert "is it --encoding latin-1?" in rejected[0]["reason"]


def test_words_that_mean_nothing_are_null_unless_they_are_quoted(read: Read) -> None:
    types, rows, _ = read('n,s\nNA,NA\n1,"NA"\n2,""\n', nulls=("NA",))
    assert types == {"n": "bigint", "s": "string"}
    assert [r["s"] for r in rows] == [None, "NA", ""]


def test_json_keeps_structure_and_does_not_take_texts_for_numbers(read: Read) -> None:
    lines = '{"id":1,"phone":"0123","o":{"x":1},"t":["a"]}\n{"id":2.5,"phone":"9","o":{"y":"z"},"at":"2024-02-01T12:00:00Z"}\n'
    types, rows, rejected = read(lines + '[1]\n{"id":\n"s"\n', "f.jsonl")
    assert types == {"id": "double", "phone": "string", "o": "struct<x:bigint,y:string>", "t": "array<string>", "at": "timestamp"}
    assert rows[1] == {"id": 2.5, "phone": "9", "o": {"x": None, "y": "z"}, "t": None, "at": NOON}
    assert [(r["line"], r["reason"]) for r in rejected] == [
        (3, "an array, and no object"), (4, "no JSON"), (5, "a text, and no object"),
    ]  # fmt: skip


def test_nested_values_that_a_given_type_does_not_hold_are_set_aside(read: Read) -> None:
    known = {"t": pa.list_(pa.int64())}
    _, rows, rejected = read('{"t":[1,2]}\n{"t":["a"]}\n{"t":[]}\n{"t":3}\n{}\n', "f.jsonl", known=known)
    assert [r["t"] for r in rows] == [[1, 2], [], None]
    assert [(r["line"], r["reason"]) for r in rejected] == [(2, 't: ["a"] is no array<bigint>'), (4, "t: 3 is no array<bigint>")]


def test_parquet_keeps_its_types_and_is_judged_by_given_ones(read: Read, tmp_path: Path) -> None:
    pyarrow.parquet.write_table(pa.table({"a b": [1.0, 2.5], "s": ["x", None]}), tmp_path / "f.parquet")
    data = (tmp_path / "f.parquet").read_bytes()
    assert read(data, "f.parquet")[:2] == ({"a_b": "double", "s": "string"}, [{"a_b": 1.0, "s": "x"}, {"a_b": 2.5, "s": None}])
    _, rows, rejected = read(data, "f.parquet", known={"a_b": pa.int64()})
    assert rows == [{"a_b": 1, "s": "x"}]
    assert (rejected[0]["line"], rejected[0]["raw"]) == (2, '{"a b":2.5,"s":null}')


def test_files_are_put_together_by_the_names_of_their_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,x\n1,2\n")
    (tmp_path / "b.csv").write_text("X;new;ID\n2.5;y;2\n")
    (tmp_path / ".hidden.csv").write_text("z\n1\n")
    (tmp_path / "c.csv.tmp").write_text("z\n1\n")
    with Staging(find_files([tmp_path])) as staging:
        typing = staging.typing({})
        assert staging.judge(typing) == {str(tmp_path / "a.csv"): 1, str(tmp_path / "b.csv"): 1}
        rows = pa.RecordBatchReader.from_stream(staging.rows(typing)).read_all().sort_by("id").to_pylist()
    assert rows == [{"id": 1, "x": 2.0, "new": None}, {"id": 2, "x": 2.5, "new": "y"}]


def test_headers_become_names_that_every_engine_takes() -> None:
    given = ["Unit price (€)", "", "id", "ID", "2024", "_x", "größe", "a b", "a-b"]
    assert clean_names(given) == ["Unit_price", "column_2", "id", "ID_2", "_2024", "_x", "größe", "a_b", "a_b_2"]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("f.csv", b"", "f.csv is empty"),
        ("f.csv", b'"a,b\n1,2', "the first line has a quote that is never closed"),
        ("f.json", b'[{"a":1},{"a":]', "f.json is not read, since where it goes on cannot be known"),
        ("f.parquet", b"PAR1", "f.parquet is no whole Parquet file"),
        ("f.csv.gz", gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-9], "f.csv.gz cannot be decompressed"),
        ("f.xlsx", b"a", "its name does not say what it holds; say --format"),
    ],
)
def test_a_file_that_cannot_be_read_as_a_whole_is_named(read: Read, name: str, data: bytes, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        read(data, name)


def test_a_file_that_changes_while_it_is_read_is_not_taken(tmp_path: Path) -> None:
    file = tmp_path / "f.csv"
    file.write_text("a\n1\n")
    with Staging(find_files([file])) as staging:
        staging.check_still()
        file.write_text("a\n1\n2\n")
        with pytest.raises(Conflict, match="changed while it was read"):
            staging.check_still()


def test_words_that_name_no_file_are_told_apart(tmp_path: Path) -> None:
    for word, error in (("gone.csv", NotFound), ("*.csv", NotFound), (".", InvalidInput)):
        with pytest.raises(error):
            find_files([tmp_path / word])
