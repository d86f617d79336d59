"""Files that arrive in a folder become rows exactly once, whatever becomes of the ingester."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Lake
from boathouse.errors import Conflict, InvalidInput, NotFound, SchemaMismatch

pytestmark = pytest.mark.xdist_group("ingestion")  # one process: its server and fixtures are made once

FORKING = """
import os, sys
import pyarrow.csv, pyarrow.parquet
from boathouse.client import Http, Lake, ingestion
ingestion._BATCH_FILES = 3
url, token, table, folder = sys.argv[1:]
for _ in sys.stdin:
    child = os.fork()
    if not child:
        Lake(Http(url, token), "dev").ingest(table, folder, settle=0, types={"id": "bigint"})
        os._exit(0)
    print(child, flush=True)
    print(os.waitpid(child, 0)[1], flush=True)
"""


class Ingesters:
    """Starts ingesters by forking, since to start Python anew takes longer than to ingest."""

    def __init__(self, lake: Lake, table: str, folder: Path) -> None:
        words = [sys.executable, "-c", FORKING, lake.http.url, lake.http.token or "", table, str(folder)]
        self._parent = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self) -> int:
        """The process of a new ingester."""
        assert self._parent.stdin
        self._parent.stdin.write("\n")
        self._parent.stdin.flush()
        return self._line()

    def end(self) -> int:
        """How it ended: 0, or the signal."""
        return self._line()

    def close(self) -> None:
        self._parent.kill()
        self._parent.communicate()

    def _line(self) -> int:
        assert self._parent.stdout
        return int(self._parent.stdout.readline())


def write(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return folder / name


def ids(lake: Lake, table: str) -> list[int]:
    return [row["id"] for row in lake.sql(f"SELECT id FROM {table} ORDER BY id").to_dicts()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "landing", "a.csv", "id,x\n1,a\n2,b\n")
    write(tmp_path / "landing", "b.csv", "id,x\n3,c\n4\n")
    return tmp_path / "landing"


def test_each_file_is_taken_in_once(lake: Lake, folder: Path) -> None:
    first = lake.ingest("raw.once", folder, settle=0, file_column=True, time_column=True)
    assert (first.rows, first.bad_rows, [f.name for f in first.files]) == (3, 1, ["a.csv", "b.csv"])
    again = lake.ingest("raw.once", folder, settle=0, file_column=True, time_column=True)
    assert (again.files, again.known) == ((), 2)
    write(folder, "sub.csv", "id,x\n5,d\n")
    assert [f.name for f in lake.ingest("raw.once", folder, settle=0, file_column=True, time_column=True).files] == ["sub.csv"]
    assert ids(lake, "raw.once") == [1, 2, 3, 5]
    assert lake.sql("SELECT DISTINCT _file FROM raw.once WHERE _ingested_at > '2020-01-01' ORDER BY 1").to_dicts() == [
        {"_file": "a.csv"}, {"_file": "b.csv"}, {"_file": "sub.csv"},
    ]  # fmt: skip
    assert lake.sql("SELECT file, rows, bad_rows, version FROM raw.once_files ORDER BY 1").to_dicts()[1] == {
        "file": "b.csv", "rows": 1, "bad_rows": 1, "version": 1,
    }  # fmt: skip


def test_the_record_may_be_lost_but_not_the_truth(lake: Lake, folder: Path) -> None:
    lake.ingest("raw.truth", folder, settle=0)
    lake.drop_table("raw.truth_files")
    assert lake.ingest("raw.truth", folder, settle=0).known == 2
    assert ids(lake, "raw.truth") == [1, 2, 3]
    lake.drop_table("raw.truth")
    assert lake.ingest("raw.truth", folder, settle=0).rows == 3  # a new table of the same name holds nothing yet


def test_a_file_that_is_still_written_waits(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    growing = write(folder, "growing.csv", "id,x\n7,g\n")
    write(folder, "unfinished.csv.tmp", "id,x\n8,h\n")
    write(folder, "empty.csv", "")
    ingester = lake.ingester("raw.grown", folder, settle=30)
    monkeypatch.setattr(time, "sleep", lambda _seconds: growing.write_text("id,x\n7,g\n9,i\n"))
    report = ingester.run()
    assert (report.waiting, report.rows) == (("empty.csv", "growing.csv"), 3)
    for file in folder.iterdir():
        os.utime(file, (1, 1))  # long ago
    assert ingester.run().rows == 2
    assert ids(lake, "raw.grown") == [1, 2, 3, 7, 9]


@pytest.mark.parametrize("policy", ["ignore", "fail", "append"])
def test_a_file_that_became_another_is_reported(lake: Lake, folder: Path, policy: Any) -> None:
    table = f"raw.changed_{policy}"
    lake.ingest(table, folder, settle=0)
    os.utime(folder / "b.csv")  # touched, and the same
    write(folder, "a.csv", "id,x\n10,z\n")
    if policy == "fail":
        with pytest.raises(Conflict, match=r"a.csv was taken into dev.raw.changed_fail and is another now"):
            lake.ingest(table, folder, settle=0, changed=policy)
    else:
        assert lake.ingest(table, folder, settle=0, changed=policy).changed == ("a.csv",)
        assert lake.ingest(table, folder, settle=0, changed=policy).files == ()
    assert ids(lake, table) == [1, 2, 3] + ([10] if policy == "append" else [])


def test_a_file_that_cannot_be_read_does_not_hold_up_the_others(lake: Lake, folder: Path) -> None:
    write(folder, "0.csv", "id,x,more\n6,f,1\n")
    (folder / "broken.csv.gz").write_bytes(b"\x1f\x8bno")
    lake.create_table("raw.others", {"id": "bigint", "x": "string"})
    report = lake.ingest("raw.others", folder, settle=0)
    assert sorted(report.failed) == ["0.csv", "broken.csv.gz"]
    assert "has no column 'more'; let new columns in with --evolve" in report.failed["0.csv"]
    assert ids(lake, "raw.others") == [1, 2, 3]
    assert sorted(lake.ingest("raw.others", folder, settle=0, evolve=True).failed) == ["broken.csv.gz"]
    assert lake.sql("SELECT more FROM raw.others WHERE id = 6").to_dicts() == [{"more": 1}]


def test_a_file_without_rows_is_taken_in_like_any_other(lake: Lake, folder: Path) -> None:
    lake.ingest("raw.sparse", folder, settle=0, pattern="*.csv")
    write(folder, "c.json", "[]")
    write(folder, "d.csv", "id,x\n")
    assert lake.ingest("raw.sparse", folder, settle=0, pattern="d.csv").rows == 0
    assert [f.name for f in lake.ingest("raw.sparse", folder, settle=0, pattern="c.json").files] == ["c.json"]
    assert lake.ingest("raw.sparse", folder, settle=0).files == ()
    assert ids(lake, "raw.sparse") == [1, 2, 3]


def test_what_cannot_be_is_said_at_once(lake: Lake, folder: Path, tmp_path: Path) -> None:
    for options, error in (({"changed": "guess"}, InvalidInput), ({"mode": "merge"}, InvalidInput), ({"speed": 1}, InvalidInput)):
        with pytest.raises(error):
            lake.ingest("raw.no", folder, **options)
    with pytest.raises(NotFound, match="there is no folder"):
        lake.ingest("raw.no", tmp_path / "gone")
    assert SchemaMismatch.__mro__[1] is InvalidInput


@pytest.fixture
def ingesters(lake: Lake, tmp_path: Path) -> Iterator[Ingesters]:
    made = Ingesters(lake, "raw.killed", tmp_path / "arriving")
    yield made
    made.close()


def test_an_ingester_killed_at_any_moment_loses_nothing_and_doubles_nothing(
    lake: Lake, tmp_path: Path, ingesters: Ingesters
) -> None:
    chance, expected, bad, killed, whole = random.Random(7), [], 0, 0, 0.0
    for round_ in range(10):
        for number in range(4):
            first = 1000 * round_ + 10 * number
            rows = list(range(first, first + 5))
            write(tmp_path / "arriving", f"{round_:02}-{number}.csv", "id,x\n" + "".join(f"{i},y\n" for i in rows) + "bad\nz,q\n")
            expected += rows
            bad += 2
        child, began = ingesters.start(), time.monotonic()
        if round_:
            time.sleep(chance.uniform(0.1, 1.1) * whole)
            with contextlib.suppress(ProcessLookupError):  # it was done before
                os.kill(child, signal.SIGKILL)
        killed += ingesters.end() == signal.SIGKILL
        whole = whole or time.monotonic() - began
    ingesters.start()
    assert ingesters.end() == 0
    assert killed > 6
    assert ids(lake, "raw.killed") == expected
    assert lake.sql("SELECT count(*) AS n, count(DISTINCT file || line) AS d FROM raw.killed_rejected").to_dicts() == [
        {"n": bad, "d": bad},
    ]  # fmt: skip
    assert lake.sql("SELECT count(*) AS n, count(DISTINCT file) AS d FROM raw.killed_files").to_dicts() == [{"n": 40, "d": 40}]


def test_two_ingesters_at_once_share_the_work(lake: Lake, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    for number in range(12):
        write(folder, f"{number:02}.csv", "id,x\n" + "".join(f"{10 * number + i},y\n" for i in range(3)) + "bad\n")
    pair = [Ingesters(lake, "raw.both", folder) for _ in range(2)]
    try:
        for one in pair:
            one.start()
        assert [one.end() for one in pair] == [0, 0]
    finally:
        for one in pair:
            one.close()
    assert ids(lake, "raw.both") == [10 * n + i for n in range(12) for i in range(3)]
    assert lake.sql("SELECT count(*) AS n FROM raw.both_rejected").to_dicts() == [{"n": 12}]
    assert lake.sql("SELECT count(*) AS n FROM raw.both_files").to_dicts() == [{"n": 12}]
