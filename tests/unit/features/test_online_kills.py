"""Publishers killed at any moment and readers in other processes, in both stores: every answer is one whole version."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from redis_servers import redis_server

from boathouse.features import OnlineStore, Publication, open_online_store

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("BOATHOUSE_TEST_KILLS", "6"))
KEYS = 5_000
PUBLISHER = """
import itertools, sys
import pyarrow as pa
from boathouse.features import Publication, open_online_store

import boathouse.features.online.redis_store as redis_store

redis_store._LOCK_SECONDS = 3.0
store, keys = open_online_store(sys.argv[1], "prod"), int(sys.argv[2])
first = store.find("prod.a.t").version + 1
print("ready", flush=True)
for version in itertools.count(first):
    rows = pa.table({"key": range(keys), "version": [version] * keys, "note": [str(version)] * keys}).to_batches(500)
    wanted = Publication(table="prod.a.t", keys=("key",), version=version)
    store.publish(wanted, rows) if version % 2 else store.update(wanted, store.find("prod.a.t").version, rows, rows)
"""
READER = """
import sys
from boathouse.features import open_online_store

store, keys, seen = open_online_store(sys.argv[1], "prod"), [(key,) for key in range(0, int(sys.argv[2]), 50)], set()
print("ready", flush=True)
while 40 not in seen:
    (one, rows), (other, _) = store.lookup_many([("a.t", keys), ("a.t", keys)])
    assert one == other, "two versions in one lookup"
    assert set(rows) == {(one.version, str(one.version))}, "a part of a version"
    assert one.version >= max(seen, default=0), "an older version after a newer one"
    seen.add(one.version)
print("versions", len(seen), flush=True)
"""


@pytest.fixture(params=["embedded", "redis"])
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "embedded":
        yield str(tmp_path / "online")
        return
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):
        yield url


def publish(store: OnlineStore, version: int) -> None:
    rows = pa.table({"key": range(KEYS), "version": [version] * KEYS, "note": [str(version)] * KEYS})
    store.publish(Publication(table="prod.a.t", keys=("key",), version=version), rows.to_batches())


def started(script: str, *words: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", script, *map(str, words)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_publisher_killed_at_any_moment_leaves_a_whole_version_and_the_next_one_comes_through(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("boathouse.features.online.redis_store._LOCK_SECONDS", 3.0)
    store = open_online_store(location, "prod")
    publish(store, 1)
    for kill in range(1, KILLS + 1):
        with started(PUBLISHER, location, KEYS) as process:
            time.sleep(random.uniform(0, 0.25))
            process.send_signal(signal.SIGKILL)
        served, rows = store.lookup("a.t", [(key,) for key in range(KEYS)])
        assert set(rows) == {(served.version, str(served.version))}, f"after kill {kill}"
        publish(store, served.version + 1)
        assert store.lookup("a.t", [(7,), (KEYS,)]).rows == [(served.version + 1, str(served.version + 1)), None]


def test_readers_in_other_processes_see_whole_versions_in_order(location: str) -> None:
    store = open_online_store(location, "prod")
    publish(store, 1)
    readers = [started(READER, location, KEYS) for _ in range(3)]
    for version in range(2, 41):
        publish(store, version)
        time.sleep(0.01)
    said = [reader.communicate(timeout=60)[0] for reader in readers]
    assert [reader.returncode for reader in readers] == [0, 0, 0]
    assert all(int(words.split()[1]) > 1 for words in said)
