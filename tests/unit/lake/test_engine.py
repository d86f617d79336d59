"""SQL over Delta: what a table holds comes back, whatever its values and folders are called."""

import itertools
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars
import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput
from boathouse.lake import DeltaFolder, Engine, Stream


def stored(folder: DeltaFolder, rows: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    frame = pa.table(rows)
    folder.create(frame.schema, **options)
    folder.append(frame)
    engine = Engine()
    return engine.relation(f"SELECT * FROM {engine.scan(folder.table())} ORDER BY ALL").to_dicts()


@pytest.mark.parametrize(
    "values",
    [
        ["New York", "São Paulo/GRU", "50%", "a=b&c", "x'y\"z", "%20"],
        ["..", ".", "a\\b", "tab\there"],
        ["plain", None],
        [date(2013, 1, 2), None],
        [datetime(2013, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)],
        [True, False],
        [1, -5, None],
        ["007", "1e5", "2013-01-01"],
    ],
    ids=["text", "dots", "null", "dates", "times", "flags", "numbers", "like-numbers"],
)
def test_partition_values_come_back_as_they_were(tmp_path: Path, values: list[Any]) -> None:
    folder = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    rows = stored(folder, {"place": values, "n": list(range(len(values)))}, partition_by=["place"])
    assert {row["n"]: row["place"] for row in rows} == dict(enumerate(values))


def test_a_home_may_have_any_name(tmp_path: Path) -> None:
    folder = DeltaFolder((tmp_path / "Ann's 100% höme #1" / "t").as_uri(), "dev.raw.t")
    assert stored(folder, {"a": [1]}) == [{"a": 1}]


def test_columns_may_have_any_name(tmp_path: Path) -> None:
    names = ["select", "two words", 'quo"te', "ü"]
    folder = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    assert stored(folder, {name: [1] for name in names}) == [dict.fromkeys(names, 1)]


def test_nested_and_empty_values_survive(tmp_path: Path) -> None:
    row = {"l": [1.5, None], "s": {"a": "x", "b": None}, "e": [], "b": b"\x00", "d": date(2013, 7, 1)}
    schema = pa.schema([
        ("l", pa.list_(pa.float64())), ("s", pa.struct([("a", pa.string()), ("b", pa.int64())])),
        ("e", pa.list_(pa.string())), ("b", pa.binary()), ("d", pa.date32()),
    ])  # fmt: skip
    folder = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    folder.create(schema)
    engine = Engine()
    empty = engine.relation(f"SELECT * FROM {engine.scan(folder.table())}")
    assert (empty.columns, empty.count()) == (schema.names, 0)
    folder.append(pa.Table.from_pylist([row], schema))
    assert engine.relation(f"SELECT * FROM {engine.scan(folder.table())}").to_dicts() == [row]


def test_a_locked_engine_opens_its_folders_only(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out.csv").write_text("secret\n1\n")
    (tmp_path / "in" / "t.csv").write_text("a\n1\n")
    engine = Engine()
    engine.lock([str(tmp_path / "in")])
    assert engine.relation(f"SELECT a FROM '{tmp_path}/in/t.csv'").to_dicts() == [{"a": 1}]
    for path in (f"{tmp_path}/out.csv", f"{tmp_path}/in/../out.csv", "/etc/passwd"):
        with pytest.raises(duckdb.PermissionException):
            engine.relation(f"SELECT * FROM read_csv('{path}')").to_dicts()
    for command in ("SET enable_external_access=true", "SET threads=1", f"COPY (SELECT 1) TO '{tmp_path}/x'"):
        with pytest.raises((duckdb.InvalidInputException, duckdb.PermissionException)):
            engine.connection.execute(command)


def test_a_relation_hands_itself_to_every_library() -> None:
    relation = Engine().relation("SELECT range AS a FROM range(3) ORDER BY a")
    assert relation.to_arrow().to_pydict() == {"a": [0, 1, 2]}
    assert relation.to_polars()["a"].to_list() == relation.to_pandas()["a"].to_list() == [0, 1, 2]
    assert [row["a"] for row in relation] == [0, 1, 2]
    assert pa.RecordBatchReader.from_stream(relation).read_all().num_rows == 3
    assert polars.DataFrame(relation).height == len(relation) == 3
    assert relation.filter("a > 0").select("a + 1 AS b").limit(1).to_dicts() == [{"b": 2}]
    assert relation.types == {"a": "BIGINT"}


def test_columns_of_a_relation_are_chosen_by_name_as_notebooks_do(capsys: pytest.CaptureFixture[str]) -> None:
    rows = Engine().relation('SELECT 1 AS id, 2 AS "Odd Name", 3 AS prediction')
    assert rows["id", "prediction"].to_dicts() == [{"id": 1, "prediction": 3}]
    assert rows[["Odd Name"]].columns == rows["Odd Name"].columns == ["Odd Name"]
    assert rows.drop("Odd Name", "gone").columns == ["id", "prediction"]
    rows.show(5)
    assert "Odd Name" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="no column 'predicton'; did you mean 'prediction'"):
        rows["predicton"]


def test_a_stream_of_many_rows_is_made_anew_at_each_scan_and_one_of_few_is_kept() -> None:
    opened: list[int] = []

    def stream(rows: int) -> Stream:
        def start() -> pa.RecordBatchReader:
            opened.append(rows)
            thousand = pa.record_batch([pa.array(range(1000))], schema)
            return pa.RecordBatchReader.from_batches(schema, itertools.repeat(thousand, rows // 1000))

        schema = pa.schema([("a", pa.int64())])
        return Stream(schema, start)

    engine = Engine()
    few, many = engine.register(stream(1000)), engine.register(stream(200_000))
    counted = engine.relation(f"SELECT (SELECT count(*) FROM {few}) AS few, (SELECT count(*) FROM {many} WHERE a > 4) AS many")
    assert counted.to_dicts() == counted.to_dicts() == [{"few": 1000, "many": 199_000}]
    assert opened.count(1000) == 1
    assert opened.count(200_000) > 2
