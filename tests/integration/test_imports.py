"""Files into tables through `boathouse.connect()` and the command line: all rows in one commit, or none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Lake
from boathouse.errors import BoathouseError, DuplicateKey, InvalidInput, NotFound, SchemaMismatch

pytestmark = pytest.mark.xdist_group("imports")  # one process: its server and fixtures are made once

Command = Callable[..., tuple[int, str]]
EVENTS = "id,Unit price,at\n1,2.5,2024-01-01T10:00:00Z\n2,3,2024-01-02\n3,4\n"


def rows(lake: Lake, query: str) -> list[dict[str, Any]]:
    return lake.sql(query).to_dicts()


def write(folder: Path, text: str, name: str = "events.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_files_make_a_table_and_the_report_says_what_was_done(lake: Lake, tmp_path: Path) -> None:
    file = write(tmp_path, EVENTS)
    report = lake.import_files("raw.events", file, primary_keys=["id"], event_time="at", description="sold")
    assert (report.table, report.version, report.created, report.rows, report.bad_rows) == ("dev.raw.events", 1, True, 2, 1)
    assert report.columns == {"id": "bigint", "Unit_price": "double", "at": "timestamp"}
    assert report.renamed == {"Unit price": "Unit_price"}
    assert report.first_bad == f"{file} line 4: 2 fields where 3 are expected"
    info = lake.table_info("raw.events")
    assert (info.primary_keys, info.event_time, info.description) == (("id", "at"), "at", "sold")
    kept = rows(lake, f"SELECT file, line, raw FROM raw.events_rejected WHERE import_id = '{report.import_id}'")
    assert kept == [{"file": str(file), "line": 4, "raw": "3,4"}]


def test_rows_are_added_replaced_or_merged_as_the_mode_says(lake: Lake, tmp_path: Path) -> None:
    first = write(tmp_path, "id,n\n1,1\n2,2\n", "a.csv")
    second = write(tmp_path, "ID,n\n2,20\n3,30\n", "b.csv")
    lake.import_files("raw.modes", first, primary_keys=["id"])
    lake.import_files("raw.modes", second, mode="merge")
    assert rows(lake, "SELECT * FROM raw.modes ORDER BY id") == [
        {"id": 1, "n": 1}, {"id": 2, "n": 20}, {"id": 3, "n": 30},
    ]  # fmt: skip
    assert lake.import_files("raw.modes", [first, second]).rows == 4
    assert lake.import_files("raw.modes", tmp_path, mode="overwrite").version == 4
    assert rows(lake, "SELECT count(*) AS n FROM raw.modes") == [{"n": 4}]


def test_the_types_of_a_table_that_is_there_decide(lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.typed", {"id": "bigint", "tags": "array<string>", "price": "decimal(9,2)"})
    report = lake.import_files("raw.typed", write(tmp_path, '{"id":"7","tags":["a"],"price":1.5}\n{"id":"x"}\n', "t.jsonl"))
    assert (report.rows, report.bad_rows) == (1, 1)
    assert rows(lake, "SELECT id, tags, price::VARCHAR AS p FROM raw.typed") == [{"id": 7, "tags": ["a"], "p": "1.50"}]


@pytest.mark.parametrize(
    ("text", "options", "error", "reason"),
    [
        ("id,m\n9,1\n", {}, SchemaMismatch, "has no column 'm'; let new columns in with --evolve"),
        ("id,n\nx,1\n", {}, InvalidInput, "none of the 1 rows fits.* id: x is no bigint; nothing was written"),
        ("id,n\n9,1\nx,1\ny,1\n", {"max_bad_rows": 1}, InvalidInput, "2 rows are bad, more than the 1 allowed"),
        ("id,n\n9,1\n9,2\n", {"mode": "merge"}, DuplicateKey, "share a key, for example id=9"),
        ("id,n\n9,-5\n", {}, InvalidInput, "refused the WRITE"),
        ("id,n\n9,1\n", {"types": {"what": "int"}}, InvalidInput, "no column 'what'"),
        ("id,n\n9,1\n", {"primary_keys": ["n"]}, InvalidInput, r"the keys of dev.raw.whole are \(id\)"),
        ("id,n\n9,1\n", {"types": {"N": "double"}}, InvalidInput, "n is bigint in dev.raw.whole"),
        ("id,n\n9,1\n", {"mode": "replace"}, InvalidInput, "use append, overwrite or merge"),
        ("id,n\n9,1\n", {"encoding": "klingon"}, InvalidInput, "the encoding 'klingon' is unknown"),
    ],
)
def test_an_import_that_fails_leaves_nothing_behind(
    lake: Lake, tmp_path: Path, text: str, options: dict[str, Any], error: type[BoathouseError], reason: str
) -> None:
    schema = {"id": "bigint", "n": "bigint"}
    table = lake.create_table("raw.whole", schema, primary_keys=["id"], constraints={"few": "n >= 0"}, exists_ok=True)
    before = table.version
    with pytest.raises(error, match=reason):
        lake.import_files("raw.whole", write(tmp_path, text), **options)
    assert table.version == before
    assert not lake.table_exists("raw.whole_rejected") or not rows(lake, "SELECT * FROM raw.whole_rejected")


def test_a_new_table_that_cannot_be_filled_is_not_there(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="hold no row, so that no types are known"):
        lake.import_files("raw.never", write(tmp_path, "id,n\n"))
    with pytest.raises(NotFound):
        lake.import_files("raw.never", tmp_path / "gone.csv")
    assert not lake.table_exists("raw.never")
    typed = lake.import_files("raw.empty", write(tmp_path, "id,n\n"), types={"id": "int", "n": "string"})
    assert (typed.created, typed.rows, lake.table_info("raw.empty").columns[0].type) == (True, 0, "int")


def test_columns_are_let_in_when_asked(lake: Lake, tmp_path: Path) -> None:
    lake.import_files("raw.grows", write(tmp_path, "id\n1\n"))
    lake.import_files("raw.grows", write(tmp_path, "id,x\n2,0.5\n"), evolve=True)
    assert rows(lake, "SELECT * FROM raw.grows ORDER BY id") == [{"id": 1, "x": None}, {"id": 2, "x": 0.5}]


def test_raw_text_of_a_masked_table_is_masked_too(lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.secret", {"id": "bigint", "name": "string"})
    lake.describe_table("raw.secret", masks={"name": "'***'"})
    lake.import_files("raw.secret", write(tmp_path, "id,name\n1,Ada\nx,Bob\n"))
    assert rows(lake, "SELECT line, raw, reason FROM raw.secret_rejected") == [{"line": 3, "raw": None, "reason": None}]


def test_what_was_read_before_is_no_source_of_an_import(lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.other", {"id": [1]}).read().count()
    lake.import_files("raw.alone", write(tmp_path, "id\n1\n"))
    assert [edge["source"] for edge in lake.lineage("raw.alone")] == ["file:events.csv"]


def test_rows_are_counted_while_they_are_read_and_written(lake: Lake, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int]] = []
    file = write(tmp_path, "id\n" + "".join(f"{i}\n" for i in range(1000)))
    lake.import_files("raw.seen", file, progress=lambda *step: seen.append(step))
    size = file.stat().st_size
    assert ("reading", size, size) in seen
    assert seen[-1] == ("writing", 1000, 1000)


def test_the_command_says_what_it_did_and_refuses_in_words(command: Command, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    words = ["tables", "import", "raw.shop", str(write(tmp_path, EVENTS)), "--rejects", str(bad), "--type", "id=int"]
    code, said = command(*words)
    assert (code, f"1 bad row is in {bad}" in said, "renamed: 'Unit price' is Unit_price" in said) == (0, True, True)
    assert bad.read_text().splitlines()[1].endswith(',4,2 fields where 3 are expected,"3,4"')
    code, said = command(*words, "--max-bad-rows", "0")
    assert (code, "1 rows are bad, more than the 0 allowed" in said) == (1, True)
    assert json.loads(command(*words, "--json")[1])["columns"]["id"] == "int"
