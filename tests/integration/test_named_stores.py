"""Named online stores: made, published to, looked up by endpoints, dropped; through client, HTTP and commands."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import pytest
import redis
from redis_servers import redis_server

from boathouse.client import Lake
from boathouse.errors import AlreadyExists, BoathouseError, Conflict, InvalidInput, NotFound, NotPermitted, Unavailable
from boathouse.feature_engineering import (
    DatabricksOnlineStore,
    EndpointCoreConfig,
    FeatureEngineeringClient,
    FeatureLookup,
    ServedEntity,
)
from boathouse.feature_engineering.publishing import store_for

pytestmark = pytest.mark.xdist_group("named_stores")
PASSWORD = "not-to-be-told"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):
        with redis.Redis.from_url(url) as client:
            client.config_set("requirepass", PASSWORD)
        yield f"unix://:{PASSWORD}@{url.removeprefix('unix://')}"


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    client = FeatureEngineeringClient(context=lake)
    for name in ("features.planes", "features.hubs"):
        client.create_table(name=name, primary_keys="key", df=pd.DataFrame({"key": ["a", "b"], "seats": [1, 2]}))
    return client


@pytest.fixture
def fast(fe: FeatureEngineeringClient, address: str) -> Iterator[DatabricksOnlineStore]:
    yield fe.create_online_store(name="fast", capacity="CU_2", read_replica_count=1, url=address)
    fe.delete_online_store(name="fast", force=True)


def test_a_store_is_made_shown_changed_and_deleted(fe: FeatureEngineeringClient) -> None:
    made = fe.create_online_store(name="own", capacity="CU_1")
    assert (made.name, made.state, made.url, made.read_replica_count) == ("own", "AVAILABLE", "embedded", 0)
    assert fe.update_online_store(name="own", capacity="CU_4").capacity == "CU_4"
    assert fe.get_online_store(name="own").capacity == "CU_4"
    assert [store.name for store in fe.list_online_stores()] == ["default", "own"]
    fe.delete_online_store(name="own")
    with pytest.raises(NotFound, match="no online store is named own in dev"):
        fe.get_online_store(name="own")


def test_what_cannot_be_a_store_is_refused(fe: FeatureEngineeringClient, fast: DatabricksOnlineStore) -> None:
    refused: dict[type[BoathouseError], dict[str, Any]] = {
        AlreadyExists: {"name": "fast", "capacity": "CU_1"}, InvalidInput: {"name": "x", "capacity": "CU_3"},
        Unavailable: {"name": "x", "capacity": "CU_1", "url": "redis://127.0.0.1:1/0"},
    }  # fmt: skip
    for error, arguments in refused.items():
        with pytest.raises(error):
            fe.create_online_store(**arguments)
    for arguments in ({"name": "a.b"}, {"name": "x", "url": "mysql://host"}):
        with pytest.raises(InvalidInput):
            fe.create_online_store(capacity="CU_1", **arguments)
    with pytest.raises(InvalidInput, match="change the setting"):
        fe.update_online_store(name="default", capacity="CU_2")


def test_a_table_is_published_to_the_store_that_is_named_and_found_there(
    fe: FeatureEngineeringClient, lake: Lake, fast: DatabricksOnlineStore, address: str
) -> None:
    fe.publish_table(online_store=fast, source_table_name="features.planes", online_table_name="features.planes_fast")
    assert fe.published_table("features.planes")["store"] == "fast"
    assert store_for(lake, "features.planes", write=False).lookup("features.planes", [("b",)]).rows == [(2,)]
    with redis.Redis.from_url(address) as client:
        assert client.keys("boathouse:dev@fast:rows:*")
    with pytest.raises(Conflict, match=r"serves dev\.features\.planes_fast"):
        fe.delete_online_store(name="fast")
    assert fe.publish_table(online_store="fast", source_table_name="features.planes").rows == 2  # type: ignore[union-attr]
    fe.drop_online_table("features.planes_fast", fast)
    fe.drop_online_table("features.planes", "fast")
    assert fe.published_tables() == []
    with pytest.raises(NotFound, match="no online store is named slow"):
        fe.publish_table(online_store="slow", source_table_name="features.planes")


def test_where_several_stores_have_a_table_the_one_to_drop_it_in_is_asked_for(
    fe: FeatureEngineeringClient, fast: DatabricksOnlineStore
) -> None:
    for store in (None, fast):
        fe.publish_table(online_store=store, source_table_name="features.planes")
    with pytest.raises(InvalidInput, match="default, fast"):
        fe.drop_online_table("features.planes")
    fe.drop_online_table("features.planes", "default")
    assert [table["store"] for table in fe.published_tables()] == ["fast"]


def test_an_endpoint_looks_up_in_all_stores_also_in_one_made_later(
    fe: FeatureEngineeringClient, lake: Lake, address: str
) -> None:
    lookups = [
        FeatureLookup(table_name=f"features.{of}", lookup_key="key", rename_outputs={"seats": of}) for of in ("planes", "hubs")
    ]
    fe.create_feature_spec(name="features.both", features=lookups)
    served = ServedEntity(feature_spec_name="features.both")
    fe.create_feature_serving_endpoint(name="both", config=EndpointCoreConfig(served_entities=served))
    fe.publish_table(source_table_name="features.planes")
    later = fe.create_online_store(name="later", capacity="CU_1", url=address)
    fe.publish_table(online_store=later, source_table_name="features.hubs")
    answer = lake.query("both", {"dataframe_records": [{"key": "b"}, {"key": "z"}]})
    assert answer == {"outputs": [{"planes": 2, "hubs": 2}, {"planes": None, "hubs": None}]}
    fe.delete_feature_serving_endpoint(name="both")
    fe.delete_online_store(name="later", force=True)


def test_no_one_is_told_the_password_and_only_managers_make_stores(
    fe: FeatureEngineeringClient, lake: Lake, fast: DatabricksOnlineStore, command: Callable[..., tuple[int, str]]
) -> None:
    fe.publish_table(online_store=fast, source_table_name="features.planes")
    said = [command("features", *words.split())[1] for words in (
        "stores list --json", "stores show fast --json", "stores list", "online list --json",
        "online show features.planes --json",
    )]  # fmt: skip
    assert not [words for words in said if PASSWORD in words]
    assert [store["name"] for store in json.loads(said[0])] == ["default", "fast"]
    lake.call("POST", "/api/v1/principals", {"name": "reader", "kind": "user"})
    token = lake.call("POST", "/api/v1/tokens", {"principal": "reader"})["token"]
    for privilege in ("USE CATALOG", "USE SCHEMA", "SELECT"):
        grant = {"principal": "reader", "privilege": privilege, "kind": "catalog", "securable": "dev"}
        lake.call("POST", "/api/v1/grants", grant)
    reader = FeatureEngineeringClient(context=Lake(type(lake.http)(lake.http.url, token), "dev"))
    assert [store.name for store in reader.list_online_stores()] == ["default", "fast"]
    for act in (
        lambda: reader.create_online_store(name="mine", capacity="CU_1"), lambda: reader.delete_online_store(name="fast"),
        lambda: reader.publish_table(online_store="fast", source_table_name="features.planes"),
        lambda: reader._context.call("GET", "/api/v1/online-stores/dev/locations"),
        lambda: reader._context.online_location("features.planes"), lambda: reader.drop_online_table("features.planes"),
    ):  # fmt: skip
        with pytest.raises(NotPermitted):
            act()
    reader._context.http.close()  # type: ignore[attr-defined]


def test_the_commands_make_publish_to_change_and_delete_a_store(
    fe: FeatureEngineeringClient, command: Callable[..., tuple[int, str]]
) -> None:
    assert command("features", "stores", "create", "mine", "--capacity", "CU_2")[0] == 0
    assert command("features", "publish", "features.hubs", "--store", "mine")[0] == 0
    assert '"mine"' in command("features", "online", "list", "--json")[1]
    code, said = command("features", "stores", "delete", "mine")
    assert (code, "drop them first" in said) == (1, True)
    assert "CU_8" in command("features", "stores", "update", "mine", "--capacity", "CU_8", "--json")[1]
    assert command("features", "online", "drop", "features.hubs", "--store", "mine")[0] == 0
    assert command("features", "stores", "delete", "mine")[0] == 0


def test_a_dropped_table_is_served_nowhere_any_more(
    fe: FeatureEngineeringClient, fast: DatabricksOnlineStore, lake: Lake, address: str
) -> None:
    rows = pd.DataFrame({"key": ["a"], "seats": [1]})
    for drop in (lambda: fe.drop_table(name="raw_online.old"), lambda: lake.sql("DROP SCHEMA raw_online CASCADE")):
        fe.create_table(name="raw_online.old", primary_keys="key", df=rows)
        fe.publish_table(source_table_name="raw_online.old")
        fe.publish_table(source_table_name="raw_online.old", online_store=fast, online_table_name="raw_online.other")
        assert {"dev.raw_online.old", "dev.raw_online.other"} <= {table["table"] for table in fe.published_tables()}
        drop()
        for store in ("default", "fast"):
            tables = store_for(lake, "features.planes", write=True, store=store).tables()
            assert not [table.table for table in tables if "raw_online" in table.table]


def test_a_table_stays_while_a_store_cannot_say_whether_it_serves_it(fe: FeatureEngineeringClient, lake: Lake) -> None:
    fe.create_table(name="features.kept", primary_keys="key", df=pd.DataFrame({"key": ["a"], "seats": [1]}))
    with TemporaryDirectory(prefix="bh-redis-") as folder, redis_server(Path(folder)) as (url, _):
        fe.create_online_store(name="passing", capacity="CU_1", url=url)
    with pytest.raises(Unavailable, match=r"online store passing may serve dev\.features\.kept"):
        fe.drop_table(name="features.kept")
    assert lake.table("features.kept").read().to_arrow().num_rows == 1
    fe.drop_table(name="features.kept", force=True)
    assert not lake.table_exists("features.kept")
    fe.delete_online_store(name="passing", force=True)
