"""A feature table that follows a source: every row once, whatever is killed and whenever."""

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from boathouse.client import Lake
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.feature_engineering import FeatureEngineeringClient

KILLS = int(os.environ.get("BOATHOUSE_TEST_KILLS", "3"))
WRITER = textwrap.dedent("""
    import sys, boathouse
    from boathouse.feature_engineering import FeatureEngineeringClient
    lake = boathouse.connect()
    fe = FeatureEngineeringClient(context=lake)
    stream = lake.table("raw.clicks").stream()
    print("ready", flush=True)
    query = fe.write_table(name="features.clicks", df=stream, checkpoint_location=sys.argv[1],
                           trigger={"processingTime": "1 milliseconds"})
    query.awaitTermination()
""")


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    lake.create_table("raw.clicks", {"id": "bigint", "n": "bigint"})
    fe = FeatureEngineeringClient(context=lake)
    fe.create_table(name="features.clicks", primary_keys="id", schema=lake.table("raw.clicks").schema())
    return fe


def test_what_is_there_comes_first_and_then_what_is_new(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.visits", [{"id": 1, "n": 1}])
    fe.create_table(name="features.visits", primary_keys="id", schema=lake.table("raw.visits").schema())

    def follow() -> list[dict[str, int]]:
        query = fe.write_table(name="features.visits", df=lake.table("raw.visits").stream("n < 9"),
                               checkpoint_location=str(tmp_path), trigger={"availableNow": True})  # fmt: skip
        assert query is not None
        assert query.awaitTermination(60)
        assert not query.isActive
        return sorted(lake.table("features.visits").read().to_dicts(), key=lambda r: r["id"])

    assert follow() == [{"id": 1, "n": 1}]
    lake.table("raw.visits").append([{"id": 2, "n": 2}, {"id": 3, "n": 9}])
    lake.table("raw.visits").update({"n": "5"}, "id = 1")
    assert follow() == [{"id": 1, "n": 5}, {"id": 2, "n": 2}]
    before = lake.table("features.visits").version
    assert follow() == [{"id": 1, "n": 5}, {"id": 2, "n": 2}]
    assert lake.table("features.visits").version == before


def test_a_checkpoint_serves_one_stream(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    lake.create_table("raw.others", {"id": "bigint", "n": "bigint"})
    fe.write_table(name="features.clicks", df=lake.table("raw.clicks").stream(), checkpoint_location=str(tmp_path),
                   trigger={"once": True})  # fmt: skip
    with pytest.raises(Conflict, match=r"raw\.clicks"):
        fe.write_table(name="features.clicks", df=lake.table("raw.others").stream(), checkpoint_location=str(tmp_path))
    with pytest.raises(InvalidInput, match="checkpoint_location"):
        fe.write_table(name="features.clicks", df=lake.table("raw.others").stream())


def test_a_table_that_has_taken_the_sources_name_is_not_followed_on(fe: FeatureEngineeringClient, lake: Lake,
                                                                    tmp_path: Path) -> None:  # fmt: skip
    fe.create_table(name="features.anew", primary_keys="id", schema=lake.table("raw.clicks").schema())

    def follow(folder: str) -> None:
        query = fe.write_table(name="features.anew", df=lake.table("raw.anew").stream(), trigger={"once": True},
                               checkpoint_location=str(tmp_path / folder))  # fmt: skip
        assert query is not None
        query.awaitTermination(60)

    lake.create_table("raw.anew", [{"id": 1, "n": 1}])
    follow("one")
    lake.drop_table("raw.anew")
    lake.create_table("raw.anew", [{"id": 2, "n": 1}]).append([{"id": 3, "n": 1}])
    with pytest.raises(Conflict, match=r"raw\.anew is not the table"):
        follow("one")
    follow("two")
    assert sorted(row["id"] for row in lake.table("features.anew").read().to_dicts()) == [1, 2, 3]


def test_a_source_that_is_dropped_ends_the_stream_by_its_name(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    fe.create_table(name="features.after", primary_keys="id", schema=lake.table("raw.clicks").schema())
    source = lake.create_table("raw.before", [{"id": 1, "n": 1}])
    query = fe.write_table(name="features.after", df=source.stream(), checkpoint_location=str(tmp_path),
                           trigger={"processingTime": "10 milliseconds"})  # fmt: skip
    assert query is not None
    lake.drop_table("raw.before")
    with pytest.raises(NotFound, match=r"dev\.raw\.before was dropped while it was followed"):
        query.awaitTermination(60)


def test_a_source_without_change_feed_gives_what_changed_once(fe: FeatureEngineeringClient, lake: Lake) -> None:
    rows = [{"id": i % 2, "n": 1} for i in range(4)]
    table = lake.create_table("raw.unfed", rows, properties={"delta.enableChangeDataFeed": "false"})
    first = table.version
    table.update({"n": "7"}, "id = 1")
    table.append([{"id": 0, "n": 1}])
    assert not table.keeps_changes
    found = table.stream().rows(table, first, table.version).to_dicts()
    assert sorted((r["id"], r["n"], r["_commit_version"] - first) for r in found) == [(0, 1, 2), (1, 7, 1), (1, 7, 1)]


def test_a_query_runs_until_it_is_stopped(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    query = fe.write_table(name="features.clicks", df=lake.table("raw.clicks").stream(), checkpoint_location=str(tmp_path),
                           trigger={"processingTime": "10 milliseconds"})  # fmt: skip
    assert query is not None
    assert not query.awaitTermination(0.2)
    assert query.isActive
    query.stop()
    assert query.status["message"] == "Stopped"


def test_no_row_is_lost_or_doubled_when_the_writer_is_killed(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    rng, source, target = random.Random(7), lake.table("raw.clicks"), lake.table("features.clicks")
    script = tmp_path / "writer.py"
    script.write_text(WRITER)
    environ = os.environ | {"BOATHOUSE_URL": lake.http.url, "BOATHOUSE_TOKEN": lake.http.token or ""}
    sent, start = 0, source.version
    for _ in range(KILLS):
        writer = subprocess.Popen([sys.executable, str(script), str(tmp_path / "checkpoint")], env=environ, text=True,
                                  stdout=subprocess.PIPE)  # fmt: skip
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        until = time.monotonic() + rng.random() * 0.6
        while time.monotonic() < until:
            source.append([{"id": sent + i, "n": 1} for i in range(5)])
            sent += 5
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
    query = fe.write_table(name="features.clicks", df=source.stream(), checkpoint_location=str(tmp_path / "checkpoint"),
                           trigger={"availableNow": True})  # fmt: skip
    assert query is not None
    query.awaitTermination(60)
    assert sorted(r["id"] for r in target.read().to_dicts()) == list(range(sent))
    inserted = target.changes(0).filter("_change_type = 'insert'").count()
    assert inserted == sent, "a batch that was committed is not written again"
    assert source.version > start
