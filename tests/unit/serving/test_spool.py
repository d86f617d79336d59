"""The spool: what was answered is on disk before, and reaches the table exactly once."""

import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.lake import DeltaFolder, Engine
from boathouse.serving import PAYLOAD_SCHEMA, Spool, flush

AT = "2013-07-01T23:30:00-02:00"
WRITER = """
import json
import sys
from pathlib import Path
from boathouse.serving import Spool
spool = Spool(Path(sys.argv[1]))
for number in range(100000):
    line = json.dumps({"request_id": str(number), "request_time": "2013-07-01T12:00:00+00:00"})
    spool.write([line.encode()])
    print(number, flush=True)
"""


@pytest.fixture
def table(tmp_path: Path) -> DeltaFolder:
    made = DeltaFolder((tmp_path / "payload").as_uri(), "prod.flights.delay_payload")
    made.create(PAYLOAD_SCHEMA)
    return made


def moved(folder: Path, table: DeltaFolder) -> int:
    return flush(folder, table.transaction_version, table.append)


def rows(table: DeltaFolder) -> list[dict[str, Any]]:
    engine = Engine()
    return engine.relation(f"SELECT * FROM {engine.scan(table.table())} ORDER BY request_id").to_dicts()


def request(number: int, **more: Any) -> list[bytes]:
    return [json.dumps({"request_id": f"r{number}", "request_time": AT, "status_code": 200, **more}).encode()]


def test_a_request_becomes_a_row(tmp_path: Path, table: DeltaFolder) -> None:
    Spool(tmp_path / "s").write(request(1, request='{"a": 1}', requester="ada", endpoint="delay", not_kept=1))
    assert moved(tmp_path / "s", table) == 1
    (row,) = rows(table)
    assert (row["request_id"], row["requester"], row["request"]) == ("r1", "ada", '{"a": 1}')
    assert row["request_time"] == datetime(2013, 7, 2, 1, 30, tzinfo=UTC)
    assert row["request_date"] == date(2013, 7, 2)


def test_flushing_again_moves_only_what_is_new(tmp_path: Path, table: DeltaFolder) -> None:
    spool = Spool(tmp_path / "s")
    for number in range(3):
        spool.write(request(number))
        assert (moved(tmp_path / "s", table), moved(tmp_path / "s", table)) == (1, 0)
    assert [row["request_id"] for row in rows(table)] == ["r0", "r1", "r2"]


def test_a_flush_that_dies_after_its_commit_doubles_nothing(tmp_path: Path, table: DeltaFolder) -> None:
    Spool(tmp_path / "s").write(request(1))

    def die(batch: pa.Table, number: tuple[str, int]) -> None:
        table.append(batch, number)
        raise ConnectionError("the process ends here")

    with pytest.raises(ConnectionError):
        flush(tmp_path / "s", table.transaction_version, die)
    assert moved(tmp_path / "s", table) == 0
    assert len(rows(table)) == 1


def test_two_flushers_at_once_write_each_row_once(tmp_path: Path, table: DeltaFolder) -> None:
    spool = Spool(tmp_path / "s")
    for number in range(50):
        spool.write(request(number))
    others = [DeltaFolder(table.location, table.name) for _ in range(4)]
    threads = [threading.Thread(target=moved, args=(tmp_path / "s", other)) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row["request_id"] for row in rows(table)}) == len(rows(table)) == 50


def test_a_torn_last_line_waits_for_its_end(tmp_path: Path, table: DeltaFolder) -> None:
    Spool(tmp_path / "s").write(request(1))
    (file,) = (tmp_path / "s").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20].replace(b"r1", b"r2"))
    assert moved(tmp_path / "s", table) == 1
    file.write_bytes(whole + whole.replace(b"r1", b"r2"))
    assert moved(tmp_path / "s", table) == 1
    assert [row["request_id"] for row in rows(table)] == ["r1", "r2"]


def test_a_request_larger_than_a_batch_blocks_nothing(tmp_path: Path, table: DeltaFolder) -> None:
    spool = Spool(tmp_path / "s")
    for number, size in enumerate((10, 9 << 20, 10)):
        spool.write(request(number, request="x" * size))
    assert moved(tmp_path / "s", table) == 3
    assert [len(row["request"]) for row in rows(table)] == [10, 9 << 20, 10]


def test_each_server_process_writes_files_of_its_own(tmp_path: Path, table: DeltaFolder) -> None:
    for number in range(3):
        Spool(tmp_path / "s").write(request(number))
    assert len(list((tmp_path / "s").iterdir())) == 3
    assert moved(tmp_path / "s", table) == 3


def test_what_a_killed_server_had_answered_is_there(tmp_path: Path, table: DeltaFolder) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "s")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        answered = [int(next(server.stdout)) for _ in range(50)]
        os.kill(server.pid, signal.SIGKILL)
    moved(tmp_path / "s", table)
    kept = {int(row["request_id"]) for row in rows(table)}
    assert kept >= set(answered)
    assert kept == set(range(len(kept)))


def test_files_hold_one_request_a_line_for_the_owner_only(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.write(request(1, request="two\nlines"))
    (file,) = (tmp_path / "s").iterdir()
    assert [json.loads(line)["request"] for line in file.read_text().splitlines()] == ["two\nlines"]
    assert file.stat().st_mode & 0o077 == 0


def test_files_that_are_moved_go_once_nobody_writes_them(tmp_path: Path, table: DeltaFolder) -> None:
    spool, folder = Spool(tmp_path / "s"), tmp_path / "s"
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as ended:
        assert ended.stdout is not None
        next(ended.stdout)
        ended.kill()
    spool.write(request(1))
    moved(folder, table)
    assert len(list(folder.iterdir())) == 2  # a power cut may take what was moved just now
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    assert moved(folder, table) == 0
    (kept,) = folder.iterdir()
    assert b"r1" in kept.read_bytes()
    spool.write(request(2))
    os.utime(kept, (1, 1))
    assert moved(folder, table) == 1
    assert [row["request_id"] for row in rows(table)][-2:] == ["r1", "r2"]
