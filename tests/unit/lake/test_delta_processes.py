"""Several processes write one table at once: nothing is lost, nothing is doubled."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.lake import DeltaFolder, Engine

pytestmark = pytest.mark.xdist_group("processes")  # its processes take turns

PROCESSES, COMMITS = 3, 8
WRITER = f"""
import sys
from boathouse.lake import DeltaFolder
location, kind, me = sys.argv[1], sys.argv[2], int(sys.argv[3])
folder = DeltaFolder(location, "dev.raw.events")
for number in range({COMMITS}):
    if kind == "append":
        folder.append({{"id": [me * 100 + number], "writer": [me]}})
    elif kind == "merge":
        folder.merge({{"id": [number, 1000 + me], "writer": [me, me]}}, ["id"])
    else:
        folder.append({{"id": [number], "writer": [me]}}, transaction=("spool", number + 1))
"""


def written(tmp_path: Path, kind: str) -> list[tuple[int, int]]:
    folder = DeltaFolder((tmp_path / "table").as_uri(), "dev.raw.events")
    folder.create(pa.schema([("id", pa.int64()), ("writer", pa.int64())]))
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, folder.location, kind, str(me)])
        for me in range(PROCESSES)
    ]
    assert [writer.wait(100) for writer in writers] == [0] * PROCESSES
    engine = Engine()
    rows = engine.relation(f"SELECT id, writer FROM {engine.scan(folder.table())} ORDER BY ALL").to_dicts()
    return [(row["id"], row["writer"]) for row in rows]


def test_concurrent_appends_are_all_there_once(tmp_path: Path) -> None:
    expected = [(me * 100 + n, me) for me in range(PROCESSES) for n in range(COMMITS)]
    assert written(tmp_path, "append") == sorted(expected)


def test_concurrent_merges_keep_one_row_a_key(tmp_path: Path) -> None:
    rows = written(tmp_path, "merge")
    assert [key for key, _ in rows] == [*range(COMMITS), *(1000 + me for me in range(PROCESSES))]
    assert rows[COMMITS:] == [(1000 + me, me) for me in range(PROCESSES)]


def test_a_transaction_that_several_processes_try_is_written_once(tmp_path: Path) -> None:
    assert [key for key, _ in written(tmp_path, "transaction")] == list(range(COMMITS))
