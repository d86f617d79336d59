"""What is online is a point-in-time read of now, whatever was written, corrected and deleted between publications."""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis_servers import redis_server

from boathouse import clock
from boathouse.client import Lake
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup
from boathouse.feature_engineering.publishing import store_for

pytestmark = pytest.mark.xdist_group("online_is_now")
EXAMPLES = int(os.environ.get("BOATHOUSE_TEST_EXAMPLES", "5"))
KEYS = ("a", "b", "c")
AGES = st.sampled_from([timedelta(days=40), timedelta(hours=5), timedelta(hours=2), timedelta(minutes=10), timedelta(hours=-2)])
KNOWN = st.sampled_from([timedelta(hours=1), timedelta(minutes=5), timedelta(hours=-2)])
ROWS = st.lists(st.tuples(st.sampled_from(KEYS), AGES, KNOWN, st.none() | st.integers(0, 9)), min_size=1, max_size=4,
                unique_by=lambda row: row[:3])  # fmt: skip
STEPS = st.one_of(
    st.tuples(st.just("write"), ROWS),
    st.tuples(st.just("delete"), st.sampled_from([f"key = '{key}'" for key in KEYS] + ["value < 5", "value IS NULL"])),
    st.tuples(st.just("publish"), st.tuples(
        st.sampled_from(["TRIGGERED", "SNAPSHOT"]), st.none() | st.sampled_from([timedelta(hours=3), timedelta(days=50)]),
    )),
)  # fmt: skip


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    return FeatureEngineeringClient(context=lake)


@pytest.fixture(scope="module", params=["default", "redis"])
def store(request: pytest.FixtureRequest, fe: FeatureEngineeringClient) -> Iterator[str]:
    if request.param == "default":
        yield "default"
        return
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):
        fe.create_online_store(name="redis", capacity="CU_1", url=url)
        yield "redis"
        fe.delete_online_store(name="redis", force=True)


def frame(rows: Any, start: Any, known: bool) -> pd.DataFrame:
    table = pd.DataFrame({
        "key": [row[0] for row in rows], "at": pd.to_datetime([start - row[1] for row in rows], utc=True).as_unit("us"),
        "value": pd.Series([row[3] for row in rows], dtype="Int64"),
    })  # fmt: skip
    return table.assign(known=pd.to_datetime([start - row[2] for row in rows], utc=True).as_unit("us")) if known else table


def read_of_now(fe: FeatureEngineeringClient, ttl: timedelta | None) -> list[int | None]:
    spine = pd.DataFrame({"key": KEYS, "now": pd.Timestamp(clock.now()).as_unit("us")})
    lookup = FeatureLookup(table_name="features.now", lookup_key="key", timestamp_lookup_key="now", lookback_window=ttl)
    found = fe.create_training_set(df=spine, feature_lookups=[lookup], label=None).load_df().to_arrow().to_pydict()
    by_key = dict(zip(found["key"], found["value"], strict=True))
    return [by_key[key] for key in KEYS]


@pytest.mark.parametrize("known", [False, True])
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=3, max_size=8))
def test_the_store_says_what_a_read_of_now_says(
    fe: FeatureEngineeringClient, lake: Lake, store: str, known: bool, steps: list[tuple[str, Any]]
) -> None:
    start = clock.now()
    keys = ["key", "at"]
    fe.create_table(name="features.now", primary_keys=keys, timeseries_column="at", known_time_column="known" if known else None,
                    df=frame([("a", timedelta(hours=5), timedelta(hours=1), 1)], start, known))  # fmt: skip
    try:
        for what, how in [*steps, ("publish", ("TRIGGERED", None))]:
            if what == "write":
                unique = {row[:3] if known else row[:2]: row for row in how}
                fe.write_table(name="features.now", df=frame(list(unique.values()), start, known))
            elif what == "delete":
                lake.table("features.now").delete(how)
            else:
                mode, ttl = how
                fe.publish_table(source_table_name="features.now", online_store=store, publish_mode=mode, ttl=ttl)
                online = store_for(lake, "features.now", write=False).lookup("features.now", [(key,) for key in KEYS])
                at = online.table.columns.index("value")
                assert [row and row[at] for row in online.rows] == read_of_now(fe, ttl)
                assert online.table.version == lake.table("features.now").version
    finally:
        fe.drop_online_table("features.now", store)
        lake.drop_table("features.now", force=True)
