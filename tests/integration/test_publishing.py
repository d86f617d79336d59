"""What is online is what a point-in-time read of now says, whichever way it was published."""

import os
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from boathouse import clock
from boathouse.catalog.rows import SecurableRows
from boathouse.client import Http, Lake
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.feature_engineering import FeatureEngineeringClient, PublishedTable
from boathouse.feature_engineering.publishing import store_for
from boathouse.features import EmbeddedStore, OnlineTable, Publication

pytestmark = pytest.mark.xdist_group("publishing")
KILLS = int(os.environ.get("BOATHOUSE_TEST_KILLS", "3"))
HOUR = datetime(2024, 1, 1, tzinfo=UTC)
PUBLISHER = textwrap.dedent("""
    import boathouse
    from boathouse.feature_engineering import FeatureEngineeringClient
    fe = FeatureEngineeringClient(context=boathouse.connect())
    print("ready", flush=True)
    while True:
        for mode in ("SNAPSHOT", "TRIGGERED"):
            fe.publish_table(source_table_name="features.many", publish_mode=mode)
""")


def rows(hour: float, **temps: float | None) -> pd.DataFrame:
    at = HOUR + timedelta(hours=hour)
    return pd.DataFrame({"origin": list(temps), "hour": at, "temp": pd.Series(list(temps.values()), dtype="float64")})


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    return FeatureEngineeringClient(context=lake)


@pytest.fixture
def made(fe: FeatureEngineeringClient, lake: Lake) -> Any:
    fe.create_table(name="features.w", primary_keys=["origin", "hour"], timeseries_column="hour", df=rows(0, JFK=1, LGA=2))
    yield fe
    lake.drop_table("features.w")


def published(fe: FeatureEngineeringClient, **how: Any) -> PublishedTable:
    done = fe.publish_table(source_table_name="features.w", **how)
    assert isinstance(done, PublishedTable)
    return done


def temps(lake: Lake, table: str = "features.w") -> dict[str, float | None]:
    found = store_for(lake, "features.w", write=False).lookup(table, [(o,) for o in ("JFK", "LGA", "EWR")])
    at = found.table.columns.index("temp")
    return {o: row[at] for o, row in zip(("JFK", "LGA", "EWR"), found.rows, strict=True) if row}


def test_only_what_changed_is_published_and_deletes_and_corrections_with_it(made: FeatureEngineeringClient, lake: Lake) -> None:
    assert published(made).mode == "SNAPSHOT"
    made.write_table(name="features.w", df=rows(1, JFK=5, EWR=3))
    made.write_table(name="features.w", df=rows(0, LGA=2.5, JFK=0.5))  # corrections, one of an hour that is past
    done = published(made)
    assert (done.mode, done.rows) == ("TRIGGERED", 3)
    assert temps(lake) == {"JFK": 5, "LGA": 2.5, "EWR": 3}
    lake.table("features.w").delete("origin = 'LGA' OR (origin = 'JFK' AND temp = 5)")
    assert published(made).rows == 2
    assert temps(lake) == {"JFK": 0.5, "EWR": 3}
    assert made.skew("features.w").percent == 0


def test_what_has_not_happened_yet_comes_online_when_its_time_has_come(
    made: FeatureEngineeringClient, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.write_table(name="features.w", df=rows((clock.now() - HOUR) / timedelta(hours=1) + 0.01, JFK=9))
    published(made)
    assert temps(lake)["JFK"] == 1
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr("boathouse.feature_engineering.publishing.clock.now", lambda: later)
    assert published(made).mode == "TRIGGERED"
    assert temps(lake)["JFK"] == 9


def test_a_new_column_a_filter_and_a_restored_table_are_published_whole(made: FeatureEngineeringClient, lake: Lake) -> None:
    published(made)
    first = lake.table("features.w").version
    made.write_table(name="features.w", df=rows(1, JFK=7).assign(wind=1.0))
    published(made)
    assert "wind" in made.published_table("features.w")["columns"]
    published(made, filter_condition="origin = 'LGA'")
    assert temps(lake) == {"LGA": 2}
    published(made)
    lake.table("features.w").restore(first)
    published(made)
    assert temps(lake) == {"JFK": 1, "LGA": 2}


def test_a_table_under_another_name_is_found_by_its_source(made: FeatureEngineeringClient, lake: Lake) -> None:
    published(made, online_table_name="features.w_online", features="temp")
    for table in ("features.w", "features.w_online"):
        if table == "features.w_online" or made.published_table(table)["table"].endswith("online"):
            assert temps(lake, table) == {"JFK": 1, "LGA": 2}
    assert made.published_table("features.w_online")["version"] == lake.table("features.w").version
    made.drop_online_table("features.w_online", None)
    with pytest.raises(NotFound, match="not published"):
        made.published_table("features.w_online")


def test_a_table_is_followed_until_it_is_stopped(made: FeatureEngineeringClient, lake: Lake) -> None:
    query: Any = made.publish_table(source_table_name="features.w", publish_mode="CONTINUOUS",
                                    trigger={"processingTime": "20 milliseconds"})  # fmt: skip
    assert (query.online_table_name, query.pipeline_id) == ("dev.features.w", None)
    made.write_table(name="features.w", df=rows(2, EWR=8))
    limit = time.monotonic() + 60
    while temps(lake).get("EWR") != 8 and time.monotonic() < limit:
        time.sleep(0.02)
    query.stop()
    assert temps(lake)["EWR"] == 8
    assert query.exception() is None


def test_what_cannot_be_is_refused(made: FeatureEngineeringClient) -> None:
    with pytest.raises(InvalidInput, match="use one of SNAPSHOT, TRIGGERED, CONTINUOUS"):
        published(made, publish_mode="SOMETIMES")
    with pytest.raises(InvalidInput, match="positive"):
        published(made, ttl=timedelta(0))


def test_the_commands_publish_show_and_drop(made: FeatureEngineeringClient, command: Callable[..., tuple[int, str]]) -> None:
    code, said = command("features", "publish", "features.w", "--mode", "SNAPSHOT", "--ttl", "2h")
    assert (code, "2 keys of dev.features.w" in said) == (0, True)
    assert "dev.features.w" in command("features", "online", "list", "--json")[1]
    assert "7200" in command("features", "online", "show", "features.w", "--json")[1]
    assert command("features", "online", "drop", "features.w")[0] == 0
    code, said = command("features", "online", "drop", "features.w")
    assert (code, "is not published" in said) == (1, True)


def test_publishers_killed_at_any_moment_leave_whole_versions(fe: FeatureEngineeringClient, lake: Lake) -> None:
    names = [f"N{i}" for i in range(2000)]
    fe.create_table(name="features.many", primary_keys="key", df=pd.DataFrame({"key": names, "n": 0}))
    fe.publish_table(source_table_name="features.many", publish_mode="SNAPSHOT")
    store = store_for(lake, "features.many", write=False)
    for kill in range(1, KILLS + 1):
        fe.write_table(name="features.many", df=pd.DataFrame({"key": names, "n": kill}))
        with subprocess.Popen([sys.executable, "-c", PUBLISHER], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(random.uniform(0, 0.3))
            process.kill()
        found = store.lookup("features.many", [(name,) for name in names])
        assert len(set(found.rows)) == 1
    fe.publish_table(source_table_name="features.many")
    assert set(store.lookup("features.many", [(name,) for name in names]).rows) == {(KILLS,)}


def test_the_server_publishes_for_whoever_could_and_nothing_they_could_not_see(fe: FeatureEngineeringClient, lake: Lake) -> None:
    table = "dev.features.far"
    fe.create_table(name="features.far", primary_keys=["origin", "hour"], timeseries_column="hour", df=rows(0, JFK=1))
    lake.call("POST", "/api/v1/principals", {"name": "far"})
    for privilege, kind, name in (("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.features"),
                                  ("MODIFY", "table", table)):  # fmt: skip
        grant = {"principal": "far", "privilege": privilege, "kind": kind, "securable": name}
        lake.call("POST", "/api/v1/grants", grant)
    token = lake.call("POST", "/api/v1/tokens", {"principal": "far"})["token"]
    with Lake(Http(lake.http.url, token), "dev") as far:

        def publish(**more: Any) -> Any:
            return far.call("POST", f"/api/v1/online-tables/{table}/publish", {"name": table, "store": "default", **more})

        assert publish()["rows"] == 1
        with pytest.raises(NotPermitted, match="RUN"):
            publish(condition="temp > 0")
        with pytest.raises(InvalidInput, match="is not in dev"):
            publish(name="prod.features.far")
        lake.describe_table("features.far", masks={"temp": "null"})
        with pytest.raises(Conflict, match="has masks or a filter"):
            publish()


def test_a_table_that_is_dropped_while_it_is_published_is_not_online(
    fe: FeatureEngineeringClient, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fe.create_table(name="features.brief", primary_keys="key", df=pa.table({"key": ["a"], "size": [1]}))
    publish = EmbeddedStore.publish

    def after_a_drop(store: EmbeddedStore, asked: Publication, batches: Iterable[pa.RecordBatch]) -> OnlineTable:
        read = list(batches)
        lake.drop_table("features.brief")
        return publish(store, asked, read)

    monkeypatch.setattr(EmbeddedStore, "publish", after_a_drop)
    with pytest.raises(NotFound, match=r"features\.brief was dropped while it was published"):
        fe.publish_table(source_table_name="features.brief")
    assert [t for t in fe.published_tables() if "brief" in t["source"]] == []


def test_what_is_published_until_a_table_is_gone_goes_with_it(
    fe: FeatureEngineeringClient, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    fe.create_table(name="features.brief", primary_keys="key", df=pa.table({"key": ["a"], "size": [1]}))
    remove = SecurableRows.remove

    def after_a_publication(catalog: SecurableRows, *what: Any) -> None:
        fe.publish_table(source_table_name="features.brief")
        remove(catalog, *what)

    monkeypatch.setattr(SecurableRows, "remove", after_a_publication)
    lake.drop_table("features.brief")
    assert [t for t in fe.published_tables() if "brief" in t["source"]] == []


def test_an_update_that_the_store_refuses_is_published_whole(
    made: FeatureEngineeringClient, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(made)
    made.write_table(name="features.w", df=rows(1, JFK=5))

    def refuse(*_: Any) -> OnlineTable:
        raise Conflict("published otherwise meanwhile")

    monkeypatch.setattr(EmbeddedStore, "update", refuse)
    assert published(made).rows == 2
    assert temps(lake)["JFK"] == 5
