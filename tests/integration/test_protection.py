"""A feature in use is protected: whoever drops or changes it hears who uses it, at every door."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from boathouse.client import Lake
from boathouse.errors import Conflict
from boathouse.feature_engineering import (
    AggregationFunction,
    Count,
    DeltaTableSource,
    EndpointCoreConfig,
    FeatureEngineeringClient,
    FeatureFunction,
    FeatureLookup,
    ServedEntity,
    TumblingWindow,
)
from boathouse.features import USES, Uses
from boathouse.registry import InUse, Registry

pytestmark = pytest.mark.xdist_group("protection")
Command = Callable[..., tuple[int, str]]
TWICE = "CREATE {} FUNCTION features.twice(x DOUBLE) RETURNS DOUBLE LANGUAGE PYTHON AS $$ return x * {} $$"
DAILY = TumblingWindow(window_duration=timedelta(days=1))
ROWS = pd.DataFrame({"origin": ["JFK", "LGA"] * 4, "speed": [1.0, 2.0] * 4, "late": [0, 1] * 4})
MODEL = r"model dev.flights.delay version 1 \(Production\)"


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    """A model in Production, a feature spec, and an endpoint that serves the spec; all of one feature table."""
    import mlflow.sklearn

    client = FeatureEngineeringClient()
    weather = pd.DataFrame({"origin": ["JFK", "LGA"], "temp": [1.0, 2.0], "wind": [3.0, 4.0]})
    client.create_table(name="features.weather", primary_keys=["origin"], df=weather)
    client.create_table(name="features.unused", primary_keys=["origin"], df=weather)
    lake.functions.execute(TWICE.format("", 2))
    features = [FeatureLookup("features.weather", "origin", feature_names="temp"),
                FeatureFunction(udf_name="features.twice", input_bindings={"x": "speed"}, output_name="more")]  # fmt: skip
    made = client.create_training_set(df=ROWS, feature_lookups=features, label="late", exclude_columns=["origin"])
    rows = made.load_df().to_pandas()
    client.log_model(model=LogisticRegression().fit(rows.drop(columns="late"), rows["late"]), artifact_path="m",
                     flavor=mlflow.sklearn, training_set=made, registered_model_name="flights.delay")  # fmt: skip
    lake.models.promote("flights.delay", "1")
    client.create_feature_spec(name="features.trip", features=[FeatureLookup("features.weather", "origin", feature_names="wind")])
    client.create_feature_serving_endpoint(
        name="trip", config=EndpointCoreConfig(served_entities=ServedEntity(feature_spec_name="features.trip"))
    )
    return client


def test_python_refuses_to_drop_a_used_table_and_names_models_specs_and_endpoints(fe: FeatureEngineeringClient) -> None:
    with pytest.raises(Conflict, match=MODEL) as refused:
        fe.drop_table(name="features.weather")
    assert "feature spec dev.features.trip" in str(refused.value)
    assert "endpoint dev.trip" in str(refused.value)
    assert fe.read_table(name="features.weather").to_pandas().shape == (2, 3)


def test_a_served_version_without_a_stage_is_told_without_one(
    fe: FeatureEngineeringClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = InUse("dev.flights.delay", 2, "None", {USES: Uses({"features.unused": []}).to_tag()})
    monkeypatch.setattr(Registry, "in_use", lambda *_: [served])
    with pytest.raises(Conflict, match=r"is used by model dev\.flights\.delay version 2; nothing was changed"):
        fe.drop_table(name="features.unused")


def test_sql_the_command_line_and_http_refuse_alike(lake: Lake, fe: FeatureEngineeringClient, command: Command) -> None:
    for act in (
        lambda: lake.sql("DROP TABLE features.weather"), lambda: lake.sql("DROP SCHEMA features CASCADE"),
        lambda: lake.call("DELETE", "/api/v1/tables/dev.features.weather"),
    ):
        with pytest.raises(Conflict, match=MODEL):
            act()
    skin = f"{lake.http.url}/api/2.1/unity-catalog/tables/dev.features.weather"
    assert httpx.delete(skin, headers={"Authorization": f"Bearer {lake.http.token}"}).status_code == 409
    for words in (("tables", "drop", "features.weather", "--yes"), ("schemas", "drop", "features", "--cascade")):
        code, said = command(*words)
        assert (code, "model dev.flights.delay" in said, "--force" in said) == (1, True, True)


def test_a_column_in_use_neither_goes_nor_changes_its_type(lake: Lake, fe: FeatureEngineeringClient) -> None:
    def columns(temp: str, wind: str) -> list[dict[str, str]]:
        types = {"origin": "string", "temp": temp, "wind": wind}
        return [{"name": n, "type": t, "comment": ""} for n, t in types.items() if t]

    for given, user in ((("", "double"), "model"), (("string", "double"), "model"), (("double", ""), "feature spec")):
        with pytest.raises(Conflict, match=f"used by .*{user}"):
            lake.describe_table("features.weather", columns=columns(*given))
    lake.describe_table("features.weather", columns=columns("double", "double"))


def test_an_overwrite_with_other_columns_keeps_those_in_use(lake: Lake, fe: FeatureEngineeringClient) -> None:
    table, version = lake.table("features.weather"), lake.table("features.weather").version
    rows = table.read().to_pandas()
    for given in (rows.drop(columns="temp"), rows.astype({"temp": "str"})):
        with pytest.raises(Conflict, match=MODEL):
            table.overwrite(given, evolve=True)
        with pytest.raises(Conflict, match=MODEL):
            lake.work("dev.features.weather", "overwrite", {"evolve": True}, given)
    assert lake.table("features.weather").version == version
    table.overwrite(rows.assign(gust=1.0), evolve=True)
    table.overwrite(rows.drop(columns="wind"), evolve=True, force=True)
    table.overwrite(rows, evolve=True)


def test_a_restore_that_brings_other_columns_keeps_those_in_use(lake: Lake, fe: FeatureEngineeringClient,
                                                               command: Command) -> None:  # fmt: skip
    table = lake.table("features.weather")
    rows = table.read().to_pandas()
    without = table.overwrite(rows.drop(columns="temp"), evolve=True, force=True).version
    table.overwrite(rows, evolve=True)
    for attempt in (lambda: table.restore(without),
                    lambda: lake.work("dev.features.weather", "restore", {"version": without}, None)):  # fmt: skip
        with pytest.raises(Conflict, match=MODEL):
            attempt()
    assert command("tables", "restore", "features.weather", str(without))[0] == 1
    assert command("tables", "restore", "features.weather", str(without), "--force")[0] == 0
    assert [c.name for c in lake.table_info("features.weather").columns] == ["origin", "wind"]
    table.restore(without + 1)
    assert [c.name for c in lake.table_info("features.weather").columns] == ["origin", "temp", "wind"]


def test_a_function_of_a_model_is_neither_dropped_nor_replaced(lake: Lake, fe: FeatureEngineeringClient, command: Command,
                                                               tmp_path: Path) -> None:  # fmt: skip
    with pytest.raises(Conflict, match=MODEL):
        lake.functions.drop("features.twice")
    assert command("functions", "drop", "features.twice")[0] == 1
    (tmp_path / "twice.sql").write_text(TWICE.format("OR REPLACE", 3))
    assert command("functions", "create", str(tmp_path / "twice.sql"))[0] == 1
    lake.functions.execute(TWICE.format("OR REPLACE", 2))  # computes the same
    assert command("functions", "create", str(tmp_path / "twice.sql"), "--force")[0] == 0


def test_a_spec_that_an_endpoint_serves_stays(fe: FeatureEngineeringClient) -> None:
    with pytest.raises(Conflict, match=r"used by endpoint dev\.trip"):
        fe.delete_feature_spec(name="features.trip")


def test_what_an_endpoint_answers_from_stays_online(fe: FeatureEngineeringClient, command: Command) -> None:
    for name in ("features.weather", "features.unused"):
        fe.publish_table(source_table_name=name)
    fe.publish_table(source_table_name="features.weather", online_table_name="features.weather_again")
    fe.drop_online_table("features.unused")
    fe.drop_online_table("features.weather_again")
    with pytest.raises(Conflict, match=r"stop serving: dev\.features\.weather is used by endpoint dev\.trip;"):
        fe.drop_online_table("features.weather")
    assert command("features", "online", "drop", "features.weather")[0] == 1
    assert command("features", "online", "drop", "features.weather", "--force")[0] == 0


def test_the_source_of_a_declared_feature_stays(lake: Lake, fe: FeatureEngineeringClient) -> None:
    at = pd.Timestamp("2024-01-01", tz="UTC")
    lake.create_table("raw.orders", pd.DataFrame({"who": ["a"], "at": [at], "paid": [1.0]}))
    fe.create_feature(catalog_name="dev", schema_name="features", name="orders", entity=["who"], timeseries_column="at",
                      source=DeltaTableSource(catalog_name="dev", schema_name="raw", table_name="orders"),
                      function=AggregationFunction(Count(input="paid"), DAILY))  # fmt: skip
    with pytest.raises(Conflict, match=r"used by declared feature dev\.features\.orders"):
        lake.drop_table("raw.orders")
    fe.delete_feature("features.orders")
    lake.drop_table("raw.orders")


def test_what_nobody_uses_any_more_goes_freely(lake: Lake, fe: FeatureEngineeringClient) -> None:
    fe.drop_table(name="features.unused")
    assert not lake.table_exists("features.unused")


def test_force_carries_on_and_the_audit_log_keeps_who_used_it(lake: Lake, fe: FeatureEngineeringClient, command: Command) -> None:
    assert command("tables", "drop", "features.weather", "--yes", "--force")[0] == 0
    entry = next(e for e in lake.call("GET", "/api/v1/audit") if e["action"] == "force drop table")
    assert entry["subject"] == "dev.features.weather"
    assert "model dev.flights.delay version 1 (Production)" in entry["details"]["used_by"]
