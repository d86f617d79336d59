"""A script for the published client's older class runs with its import line changed."""

import textwrap

import pandas as pd
import pytest

from boathouse import context
from boathouse.client import Lake
from boathouse.errors import InvalidInput
from boathouse.feature_store import FeatureStoreClient
from boathouse.feature_store.online_store_spec import AmazonDynamoDBSpec

SCRIPT = textwrap.dedent("""
    from boathouse.feature_store import FeatureLookup, FeatureStoreClient
    from boathouse.feature_store.online_store_spec import AmazonDynamoDBSpec, OnlineStoreSpec

    fs = FeatureStoreClient()
    fs.create_table(
        "recommender.customers", primary_keys=["customer_id"], timestamp_keys=["ts"], df=first, description="per customer",
    )
    fs.write_table("recommender.customers", second, mode="merge")
    rows = fs.read_table("recommender.customers").to_pandas()
    table = fs.get_table("recommender.customers")
    training = fs.create_training_set(
        spine, [FeatureLookup("recommender.customers", "customer_id", timestamp_lookup_key="ts")], label="bought",
    ).load_df().to_pandas()
    fs.publish_table("recommender.customers", OnlineStoreSpec(table_name="recommender.customers_online"),
                     filter_condition="spent > 0", mode="merge", features=["spent"])
    fs.write_table("recommender.customers", third, mode="overwrite")
    after = fs.read_table("recommender.customers").to_pandas()
    fs.publish_table("recommender.customers", AmazonDynamoDBSpec(region="us-west-2"), mode="overwrite")
""")


def rows(day: int, **spent: float) -> pd.DataFrame:
    at = pd.Timestamp(f"2024-01-{day:02}", tz="UTC").as_unit("us")
    return pd.DataFrame({"customer_id": list(spent), "ts": at, "spent": list(spent.values())})


def test_a_script_of_the_older_client_runs(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    spine = rows(2, ann=0).drop(columns="spent").assign(bought=1)
    said: dict[str, object] = {"first": rows(1, ann=1, bob=0), "second": rows(3, ann=5), "third": rows(4, cat=9), "spine": spine}
    context.use(lake)
    exec(SCRIPT, said)
    assert said["table"].primary_keys == ["customer_id"]  # type: ignore[attr-defined]
    assert said["table"].timestamp_keys == ["ts"]  # type: ignore[attr-defined]
    assert len(said["rows"]) == 3  # type: ignore[arg-type]
    assert said["training"]["spent"].tolist() == [1]  # type: ignore[index]
    assert said["after"]["customer_id"].tolist() == ["cat"]  # type: ignore[index]
    online = {table["table"]: table for table in said["fs"]._client.published_tables()}  # type: ignore[attr-defined]
    assert online["dev.recommender.customers_online"]["rows"] == 1
    assert online["dev.recommender.customers"]["rows"] == 1
    assert "default online store instead" in caplog.text
    for spec in (said["OnlineStoreSpec"](table_name="recommender.customers_online"), AmazonDynamoDBSpec("us-west-2")):  # type: ignore[operator]
        said["fs"].drop_online_table("recommender.customers", spec)  # type: ignore[attr-defined]


def test_a_table_with_two_times_is_refused(lake: Lake) -> None:
    with pytest.raises(InvalidInput, match="one event time"):
        FeatureStoreClient(context=lake).create_table("recommender.x", "k", rows(1, a=1), timestamp_keys=["ts", "spent"])
