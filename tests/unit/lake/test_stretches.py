"""The stretches of time that a merge looks at hold every key that it can meet."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.lake import DeltaFolder
from boathouse.lake.stretches import near

START = datetime(2024, 1, 1, tzinfo=UTC)


def rows(moments: list[datetime], value: int, zone: str | None = "UTC") -> pa.Table:
    at = pa.array(moments, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone))
    return pa.table({"id": range(len(moments)), "at": at, "value": [value] * len(moments)})


@pytest.mark.parametrize("zone", ["UTC", None])
def test_a_merge_over_many_files_finds_every_row_that_is_there(tmp_path: Path, zone: str | None) -> None:
    rng, folder = random.Random(3), DeltaFolder(str(tmp_path / "t"), "t")
    moments = [START + timedelta(days=day, microseconds=rng.randrange(10**9)) for day in range(40) for _ in range(3)]
    table = rows(moments, 1, zone)
    folder.create(table.schema)
    for first in range(0, len(moments), 3):
        folder.append(table.slice(first, 3))
    again = rows(moments, 2, zone).take(rng.sample(range(len(moments)), 60))
    folder.merge(again, ["id", "at"])
    kept = folder.table().to_pyarrow_table()
    assert (kept.num_rows, sum(kept["value"].to_pylist())) == (len(moments), len(moments) + 60)


def test_stretches_part_where_times_lie_furthest_apart() -> None:
    found = near(rows([START, START + timedelta(seconds=1), START + timedelta(days=900)], 1), ["id", "at"], "target")
    assert found is not None
    assert found.count("BETWEEN") == 3
    assert near(rows([START], 1).drop(["at"]), ["id"], "target") is None
    many = near(rows([START + timedelta(days=n * n) for n in range(60)], 1), ["at"], "target")
    assert many is not None
    assert many.count("BETWEEN") == 16
