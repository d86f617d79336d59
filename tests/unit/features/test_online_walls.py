"""The embedded store behind walls: readers of one process number, who may write nothing, while a publisher goes on."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.environments import Sandbox, isolation
from boathouse.features import EmbeddedStore, Publication

WALLS = isolation("auto")
pytestmark = pytest.mark.skipif(not WALLS.holds, reason=WALLS.why)
KEYS, LAST = 500, 12
READER = """
import os, sys, time
from pathlib import Path
import pyarrow as pa
from boathouse.errors import Unavailable
from boathouse.features import EmbeddedStore, Publication

store, keys, version = EmbeddedStore(Path(sys.argv[1])), [(key,) for key in range(int(sys.argv[2]))], 0
try:
    store.publish(Publication(table="prod.a.t", keys=("key",), version=0), [pa.RecordBatch.from_pydict({"key": [1]})])
except Unavailable as error:
    print("ready", os.getpid(), str(error).rpartition(":")[2], flush=True)
while version < int(sys.argv[3]):
    (one, rows), (other, _) = store.lookup_many([("prod.a.t", keys), ("prod.a.t", keys)])
    assert one == other, "two versions in one lookup"
    assert set(rows) == {(one.version,)}, "a part of a version"
    assert one.version >= version, "an older version after a newer one"
    version = one.version
    time.sleep(0.001)
"""


def reader(folder: Path, scratch: Path) -> "subprocess.Popen[str]":
    assert WALLS.program is not None
    scratch.mkdir()
    words = [sys.executable, "-c", READER, str(folder), str(KEYS), str(LAST)]
    walled = Sandbox(WALLS.program, readable=(str(folder),), cwd="/tmp").around(words, cwd="/tmp", scratch=str(scratch))
    return subprocess.Popen(walled, stdout=subprocess.PIPE, text=True)


def test_two_readers_in_two_sandboxes_see_whole_versions_in_order(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "online")

    def publish(version: int) -> None:
        rows = pa.table({"key": range(KEYS), "version": [version] * KEYS}).to_batches()
        wanted = Publication(table="prod.a.t", keys=("key",), version=version)
        store.publish(wanted, rows) if version % 2 else store.update(wanted, version - 1, rows, rows)

    publish(1)
    with reader(tmp_path / "online", tmp_path / "one") as one, reader(tmp_path / "online", tmp_path / "two") as two:
        assert one.stdout is not None
        assert two.stdout is not None
        said = [one.stdout.readline(), two.stdout.readline()]
        assert said[0] == said[1]  # one process number, too
        assert "ready" in said[0]
        assert "may be read and not be published to" in said[0]
        for version in range(2, LAST + 1):
            publish(version)
    assert (one.returncode, two.returncode) == (0, 0)
