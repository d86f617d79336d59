"""Names that nothing has: the error says which one was meant, of those that the caller may know of."""

from collections.abc import Callable
from typing import Any

import mlflow
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression

from boathouse.client import Http, Lake
from boathouse.errors import AlreadyExists, NotFound
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup

ROWS = pd.DataFrame({"shop": [1, 2], "sold": [3.0, 4.0]})


def doubled(sold: float | None) -> float:
    return 2 * (sold or 0.0)


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    made = FeatureEngineeringClient(context=lake)
    made.create_table(name="market.orders", primary_keys="shop", df=ROWS)
    lake.functions.create("market.doubled", doubled)
    lookups = [FeatureLookup("market.orders", "shop")]
    made.create_feature_spec(name="market.sales", features=lookups)
    training = made.create_training_set(df=ROWS[["shop"]].assign(y=[1.0, 2.0]), feature_lookups=lookups, label="y")
    model = LinearRegression().fit(ROWS, [1.0, 2.0])
    made.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=training,
                   registered_model_name="market.demand")  # fmt: skip
    return made


def scoring(uri: str) -> Callable[[FeatureEngineeringClient], Any]:
    return lambda fe: fe.score_batch(model_uri=f"models:/market.{uri}", df=ROWS[["shop"]])


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda fe: fe.read_table(name="market.ordrs"), "no table is named dev.market.ordrs; .*did you mean dev.market.orders"),
        (lambda fe: fe.read_table(name="main.market.orders"), "no environment or catalog 'main'; you may see dev, prod, staging"),
        (lambda fe: fe.write_table(name="main.market.orders", df=[{"n": 1}]), "no environment or catalog 'main'"),
        (lambda fe: fe.get_table(name="markt.orders"), "did you mean dev.market.orders"),
        (lambda fe: fe.publish_table(source_table_name="Market.Orders"), "did you mean dev.market.orders"),
        (lambda fe: fe.delete_feature_spec(name="market.sale"), "no feature spec .*did you mean dev.market.sales"),
        (lambda fe: fe.update_feature_spec(name="market.sale", owner="admins"), "no feature spec .*dev.market.sales"),
        (scoring("demnd/1"), "there is no model dev.market.demnd; .*did you mean dev.market.demand"),
        (scoring("demand/7"), "has no version 7, its newest is 1"),
        (scoring("demand@chmpion"), "no version of dev.market.demand is chmpion; it has latest and versions up to 1"),
        (lambda fe: fe.skew(model="market.demnd"), "there is no model .*did you mean dev.market.demand"),
        (lambda fe: fe.skew(model="market.demand"), "no endpoint has answered from dev.market.demand yet"),
    ],
)
def test_what_was_meant_is_told(fe: FeatureEngineeringClient, ask: Callable[[FeatureEngineeringClient], Any], said: str) -> None:
    with pytest.raises(NotFound, match=said):
        ask(fe)


def test_functions_are_told_apart_from_others(fe: FeatureEngineeringClient, lake: Lake) -> None:
    with pytest.raises(NotFound, match=r"did you mean dev\.market\.doubled") as told:
        lake.functions.get("market.doubeld")
    assert told.value.details["nearest"] == "dev.market.doubled"
    with pytest.raises(NotFound, match=r"shows those there are$"):
        lake.functions.get("market.something_else")
    with pytest.raises(AlreadyExists, match="replace=True"):
        lake.functions.create("market.doubled", doubled)
    with pytest.raises(NotFound, match=r"no lineage is recorded of it; did you mean dev\.market\.orders"):
        lake.lineage("market.ordrs")


def test_nobody_hears_of_what_he_may_not_see(fe: FeatureEngineeringClient, lake: Lake) -> None:
    lake.create_table("markets.stalls", {"n": "bigint"})
    lake.call("POST", "/api/v1/principals", {"name": "guest"})
    for privilege, kind, name in (
        ("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.markets"), ("SELECT", "schema", "dev.markets"),
    ):  # fmt: skip
        grant = {"principal": "guest", "privilege": privilege, "kind": kind, "securable": name}
        lake.call("POST", "/api/v1/grants", grant)
    guest = Http(lake.http.url, lake.call("POST", "/api/v1/tokens", {"principal": "guest"})["token"])
    with pytest.raises(NotFound, match=r"did you mean dev\.market\.orders"):
        lake.call("GET", "/api/v1/tables/dev.markets.orders")
    with pytest.raises(NotFound, match=r"shows those there are$"):
        guest.call("GET", "/api/v1/tables/dev.markets.orders")
    with pytest.raises(NotFound, match=r"did you mean dev\.markets\.stalls"):
        guest.call("GET", "/api/v1/tables/dev.markets.stall")
    guest.close()
