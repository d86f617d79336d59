"""The embedded online store between processes, some of which are killed."""

import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from filelock import FileLock

from boathouse.errors import Conflict
from boathouse.features import EmbeddedStore, Publication

TABLE = "prod.features.planes"
PUBLISHER = """
import sys, time
from pathlib import Path
import pyarrow as pa
from boathouse.features import EmbeddedStore, Publication

directory, version, rows, pause = Path(sys.argv[1]), *map(int, sys.argv[2:])

def batches():
    for start in range(0, rows, 1000):
        keys = range(start, start + 1000)
        yield pa.RecordBatch.from_pydict({"key": list(keys), "version": [version] * 1000})
        print("half" if start else "begun", flush=True)
        time.sleep(pause)

EmbeddedStore(directory).publish(Publication(table="prod.features.planes", keys=("key",), version=version), batches())
print("published", flush=True)
"""


def publisher(directory: Path, version: int, rows: int, pause: int = 0) -> subprocess.Popen[str]:
    arguments = [str(directory), str(version), str(rows), str(pause)]
    command = [sys.executable, "-c", PUBLISHER, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    assert any(line.strip() == word for line in process.stdout), f"the publisher never said {word}"


def version(number: int) -> Publication:
    return Publication(table=TABLE, keys=("key",), version=number)


def first(version: int) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"key": list(range(100)), "version": [version] * 100})


def test_a_reader_sees_what_another_process_publishes(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path).publish(version(1), [first(1)])
    reader = EmbeddedStore(tmp_path)
    assert reader.lookup(TABLE, [(5,), (1500,)]).rows == [(1,), None]
    with publisher(tmp_path, 2, 2000) as process:
        wait_for(process, "published")
    assert reader.lookup(TABLE, [(5,), (1500,)]).rows == [(2,), (2,)]


def test_a_publisher_killed_halfway_leaves_the_old_rows_and_no_lock(tmp_path: Path) -> None:
    EmbeddedStore(tmp_path).publish(version(1), [first(1)])
    with publisher(tmp_path, 2, 3000, pause=60) as process:
        wait_for(process, "begun")
        process.kill()
    reader = EmbeddedStore(tmp_path)
    assert (reader.describe(TABLE).version, reader.lookup(TABLE, [(5,)]).rows) == (1, [(1,)])
    EmbeddedStore(tmp_path).publish(version(3), [first(3)])
    assert reader.lookup(TABLE, [(5,)]).rows == [(3,)]


@pytest.mark.parametrize("after", [0.0, 0.02, 0.05, 0.1])
def test_a_publisher_killed_at_any_moment_leaves_one_whole_version(tmp_path: Path, after: float) -> None:
    EmbeddedStore(tmp_path).publish(version(1), [first(1)])
    with publisher(tmp_path, 2, 20_000) as process:
        wait_for(process, "half")
        time.sleep(after)
        process.kill()
    reader = EmbeddedStore(tmp_path)
    served = reader.describe(TABLE).version
    assert reader.lookup(TABLE, [(key,) for key in range(100)]).rows == [(served,)] * 100
    assert reader.lookup(TABLE, [(19_999,)]).rows == [(2,) if served == 2 else None]


def test_a_second_publisher_waits_then_gives_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boathouse.features.online.embedded._PATIENCE", 0.05)
    EmbeddedStore(tmp_path).publish(version(1), [first(1)])
    with (
        FileLock(tmp_path / "publisher.lock"),
        pytest.raises(Conflict, match="another process is publishing"),
    ):
        EmbeddedStore(tmp_path).publish(version(2), [first(2)])
    assert EmbeddedStore(tmp_path).describe(TABLE).version == 1
