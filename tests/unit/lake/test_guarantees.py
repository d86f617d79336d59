"""Files that the log proves to hold no wanted row are not opened, and no other row is lost."""

import math
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from boathouse.lake import DeltaFolder, schema_of
from boathouse.lake.listing import Listings
from boathouse.lake.rescan import files_dataset

COLUMNS = {"id": "bigint", "name": "string", "day": "date", "moment": "timestamp", "x": "double", "part": "string"}


def row(number: int, **changes: Any) -> dict[str, Any]:
    at = datetime(2024, 1, 1 + number, 12, 0, 0, 999_999, tzinfo=UTC)
    return {"id": number, "name": f"n{number}", "day": date(2024, 1, 1 + number), "moment": at, "x": float(number),
            "part": f"p{number}"} | changes  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> DeltaFolder:
    """One file a day, the last with nulls and NaN."""
    made = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    made.create(schema_of(COLUMNS), partition_by=["part"])
    for number in range(3):
        made.append(pa.Table.from_pylist([row(number)], made.schema()))
    odd = [row(9, id=None, name=None, day=None, moment=None, x=math.nan, part=None), row(9, part=None)]
    made.append(pa.Table.from_pylist(odd, made.schema()))
    return made


def asked(folder: DeltaFolder, where: str) -> list[Any]:
    table = folder.table()
    found = files_dataset(Listings().of(table), table)
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.register("rows", found)
    return [r[0] for r in connection.sql(f"SELECT id FROM rows WHERE {where} ORDER BY id NULLS LAST").fetchall()]


@pytest.mark.parametrize(
    ("where", "ids"),
    [
        ("id = 1", [1]), ("id > 1", [2, 9]), ("id IS NULL", [None]), ("id IS NOT NULL AND id < 1", [0]),
        ("name = 'n2'", [2]), ("name >= 'n1'", [1, 2, 9]), ("day = DATE '2024-01-02'", [1]),
        ("moment = TIMESTAMPTZ '2024-01-02 12:00:00.999999+00'", [1]),
        ("moment >= TIMESTAMPTZ '2024-01-02 12:00:00.9999+00'", [1, 2, 9]),
        ("x > 5", [9, None]), ("isnan(x)", [None]), ("part = 'p0'", [0]), ("part IS NULL", [9, None]), ("id IN (0, 2)", [0, 2]),
        ("id = 1 OR name = 'n2'", [1, 2]), ("NOT id = 1", [0, 2, 9]), ("id IS DISTINCT FROM 1", [0, 2, 9, None]),
    ],
)  # fmt: skip
def test_a_condition_finds_what_it_finds_without_guarantees(folder: DeltaFolder, where: str, ids: list[int | None]) -> None:
    assert asked(folder, where) == ids


@pytest.mark.parametrize("where", ["id = 1", "name = 'n1'", "day = DATE '2024-01-02'", "part = 'p1'",
                                   "moment BETWEEN TIMESTAMPTZ '2024-01-02' AND TIMESTAMPTZ '2024-01-03'"])  # fmt: skip
def test_files_without_a_wanted_row_are_not_opened(folder: DeltaFolder, tmp_path: Path, where: str) -> None:
    for file in (tmp_path / "t").rglob("*.parquet"):
        if "part=p1" not in str(file):
            file.unlink()
    assert asked(folder, where) == [1]
