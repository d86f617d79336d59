"""On-demand functions: registered once, the same in training, batch and online."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from boathouse.client import Lake
from boathouse.errors import AlreadyExists, InvalidInput, NotFound
from boathouse.feature_engineering import (
    EndpointCoreConfig,
    FeatureEngineeringClient,
    FeatureFunction,
    FeatureLookup,
    ServedEntity,
)
from boathouse.features import FeatureSpec, open_online_store
from boathouse.scoring import complete
from boathouse.serving.online_completion import OnlineCompletion
from boathouse.serving.rows import Rows

pytestmark = pytest.mark.xdist_group("functions")
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


def headwind(speed: float, wind: float | None) -> float:
    """What is left of the speed against the wind."""
    import math

    return speed - (0.0 if wind is None else math.fabs(wind))


def label_of(carrier: str, left: float) -> str:
    return f"{carrier}:{left:.0f}"


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    client = FeatureEngineeringClient()
    wind = pd.DataFrame({"origin": ["JFK", "LGA"], "at": [NOON, NOON], "wind": [-30.0, None]})
    client.create_table(name="features.wind", primary_keys=["origin", "at"], timeseries_column="at", df=wind)
    lake.functions.create("features.headwind", headwind)
    lake.functions.create("features.label_of", label_of)
    client.publish_table(source_table_name="features.wind")
    return client


FEATURES = [
    FeatureLookup("features.wind", "origin", timestamp_lookup_key="at"),
    FeatureFunction(udf_name="features.headwind", output_name="left"),
    FeatureFunction(udf_name="features.label_of", input_bindings={"left": "left", "carrier": "who"}, output_name="tag"),
]
SPINE = pd.DataFrame({"origin": ["LGA", "JFK", "EWR"], "at": [NOON] * 3, "speed": [200.0, 210.0, 220.0],
                      "who": ["AA", "UA", "DL"], "late": [0, 1, 0]})  # fmt: skip
LEFT, TAGS = [200.0, 180.0, 220.0], ["AA:200", "UA:180", "DL:220"]


def test_a_training_set_holds_what_functions_make_of_spine_and_looked_up_columns(fe: FeatureEngineeringClient) -> None:
    made = fe.create_training_set(df=SPINE, feature_lookups=FEATURES, label="late", exclude_columns=["wind", "who"])
    assert made.load_df().columns == ["origin", "at", "speed", "late", "left", "tag"]
    rows = made.load_df().to_pandas()
    assert rows["left"].tolist() == LEFT
    assert rows["tag"].tolist() == TAGS


def online_values(lake: Lake, spec: FeatureSpec, given: pd.DataFrame) -> Mapping[str, list[Any]]:
    store = open_online_store(str(lake.online_folder()), lake.environment)
    rows = Rows({name: given[name].tolist() for name in given}, len(given))
    return OnlineCompletion(spec, store).complete(rows)[0].columns


def test_batch_and_online_compute_what_training_computed_from_the_spec_alone(lake: Lake, fe: FeatureEngineeringClient) -> None:
    made = fe.create_training_set(df=SPINE, feature_lookups=FEATURES, label="late", exclude_columns=["at"])
    spec = FeatureSpec.from_yaml(made.feature_spec.to_yaml())
    batch = complete(lake, spec, SPINE)[0].to_pandas()
    online = online_values(lake, spec, SPINE.drop(columns=["at", "late"]))
    assert batch["left"].tolist() == online["left"] == LEFT
    assert batch["tag"].tolist() == online["tag"] == TAGS


def test_a_value_given_for_a_function_overrides_it_in_batch_and_online(lake: Lake, fe: FeatureEngineeringClient) -> None:
    spec = fe.create_training_set(df=SPINE, feature_lookups=FEATURES, label="late").feature_spec
    given = SPINE.assign(left=1.0)
    assert complete(lake, spec, given)[0].to_pandas()["tag"].tolist() == ["AA:1", "UA:1", "DL:1"]
    assert online_values(lake, spec, given)["tag"] == ["AA:1", "UA:1", "DL:1"]


def test_a_function_may_take_nothing_in_batch_and_online(lake: Lake, fe: FeatureEngineeringClient) -> None:
    lake.functions.execute("CREATE FUNCTION features.lucky() RETURNS BIGINT LANGUAGE PYTHON AS $$ return 7 $$")
    lucky = FeatureFunction(udf_name="features.lucky", output_name="lucky")
    spec = fe.create_training_set(df=SPINE, feature_lookups=[lucky], label="late").feature_spec
    assert complete(lake, spec, SPINE)[0].to_pandas()["lucky"].tolist() == [7, 7, 7]
    assert online_values(lake, spec, SPINE.drop(columns=["late"]))["lucky"] == [7, 7, 7]


def test_functions_take_maps_as_dicts_in_batch_and_online(lake: Lake, fe: FeatureEngineeringClient) -> None:
    seats = pa.table({"origin": ["JFK"], "seats": pa.array([[("first", 8)]], pa.map_(pa.string(), pa.int32()))})
    fe.create_table(name="features.seats", primary_keys="origin", df=seats)
    fe.publish_table(source_table_name="features.seats")
    body = "return (stored or {}).get('first', 0) + sent.get('extra', 0)"
    parameters = "stored MAP<STRING, INT>, sent MAP<STRING, INT>"
    lake.functions.execute(f"CREATE FUNCTION features.first({parameters}) RETURNS INT LANGUAGE PYTHON AS $$ {body} $$")
    function = FeatureFunction(udf_name="features.first", input_bindings={"stored": "seats"}, output_name="first")
    spine = pa.table({"origin": ["LGA", "JFK"], "sent": pa.array([{"extra": 1}] * 2, pa.map_(pa.string(), pa.int32()))})
    spec = fe.create_training_set(df=spine, feature_lookups=[FeatureLookup("features.seats", "origin"), function],
                                  label=None).feature_spec  # fmt: skip
    assert complete(lake, spec, spine)[0].to_pandas()["first"].tolist() == [1, 9]
    sent = pd.DataFrame({"origin": ["LGA", "JFK"], "sent": [{"extra": 1}] * 2})
    assert online_values(lake, spec, sent)["first"] == [1, 9]
    with pytest.raises(InvalidInput, match=r"'sent' of the function features\.first takes map"):
        online_values(lake, spec, sent.assign(sent=["much"] * 2))


def test_what_a_request_says_in_json_comes_as_from_a_table(lake: Lake, fe: FeatureEngineeringClient) -> None:
    body = "return repr([at.isoformat(), day.isoformat(), str(price), seats, who])"
    parameters = "at TIMESTAMP, day DATE, price DECIMAL(6,2), seats INT, who STRING"
    lake.functions.execute(f"CREATE FUNCTION features.told({parameters}) RETURNS STRING LANGUAGE PYTHON AS $$ {body} $$")
    told = FeatureFunction(udf_name="features.told", output_name="told")
    rows = pd.DataFrame({"at": [NOON], "day": [NOON.date()], "price": [Decimal("1.50")], "seats": [3], "who": ["7"]})
    spec = fe.create_training_set(df=rows, feature_lookups=[told], label=None).feature_spec
    batch = complete(lake, spec, rows)[0].to_pandas()["told"].tolist()
    sent = {"at": "2013-07-01T14:00:00+02:00", "day": "2013-07-01", "price": 1.5, "seats": 3.0, "who": 7}
    assert online_values(lake, spec, pd.DataFrame([sent]))["told"] == batch
    with pytest.raises(InvalidInput, match=r"'at' of the function features\.told takes timestamp: .*noon"):
        online_values(lake, spec, pd.DataFrame([{**sent, "at": "noon"}]))


def test_a_replaced_function_leaves_the_code_in_older_specs_alone(lake: Lake, fe: FeatureEngineeringClient) -> None:
    statement = "CREATE {} FUNCTION features.twice(x DOUBLE) RETURNS DOUBLE LANGUAGE PYTHON AS $$\n  return x * {}\n$$"
    lake.functions.execute(statement.format("", 2))
    with pytest.raises(AlreadyExists, match="exists already"):
        lake.functions.execute(statement.format("", 3))
    features = [FeatureFunction(udf_name="features.twice", input_bindings={"x": "speed"}, output_name="more")]
    before = fe.create_training_set(df=SPINE, feature_lookups=features, label="late").feature_spec
    assert lake.functions.execute(statement.format("OR REPLACE", 3)).version == 2
    assert complete(lake, before, SPINE)[0].to_pandas()["more"].tolist() == [400.0, 420.0, 440.0]


def test_a_function_that_fails_or_returns_another_type_is_named(lake: Lake, fe: FeatureEngineeringClient) -> None:
    lake.functions.execute("CREATE FUNCTION features.bad(x DOUBLE) RETURNS BIGINT LANGUAGE PYTHON AS $$ return 'many' $$")
    features = [FeatureFunction(udf_name="features.bad", input_bindings={"x": "speed"}, output_name="n")]
    made = fe.create_training_set(df=SPINE, feature_lookups=features, label="late")
    with pytest.raises(Exception, match="should return"):
        made.load_df().to_pandas()


def test_code_that_reaches_outside_itself_is_refused_with_the_name_it_uses(lake: Lake) -> None:
    def reaching(x: float) -> float:
        return x * NOON.hour

    with pytest.raises(InvalidInput, match="NOON"):
        lake.functions.create("features.reaching", reaching)


def test_types_come_from_hints_and_an_absent_one_is_an_error(lake: Lake) -> None:
    def untyped(x):  # type: ignore[no-untyped-def]
        return x

    with pytest.raises(InvalidInput, match="parameter 'x'"):
        lake.functions.create("features.untyped", untyped)
    made = lake.functions.create("features.untyped", untyped, parameters={"x": "array<double>"}, returns="array<double>")
    assert made.returns == "array<double>"


def test_a_dropped_function_is_gone_for_everyone(lake: Lake) -> None:
    lake.functions.execute("CREATE FUNCTION features.brief() RETURNS BIGINT LANGUAGE PYTHON AS $$ return 1 $$")
    lake.functions.drop("features.brief")
    with pytest.raises(NotFound, match="brief"):
        lake.functions.get("features.brief")


def test_a_registered_spec_makes_the_training_set_that_its_lookups_make(fe: FeatureEngineeringClient) -> None:
    made = fe.create_feature_spec(name="features.flight", features=FEATURES, exclude_columns=["wind"])
    assert made.name == "dev.features.flight"
    by_name = fe.create_training_set(df=SPINE, feature_spec="features.flight", label="late", exclude_columns=["who"])
    assert by_name.load_df().to_pandas()["tag"].tolist() == TAGS
    assert "wind" not in by_name.load_df().columns


def test_an_endpoint_of_a_spec_that_is_not_there_is_refused(fe: FeatureEngineeringClient) -> None:
    entity = ServedEntity(feature_spec_name="features.fligth")
    with pytest.raises(NotFound, match=r"features\.fligth"):
        fe.create_feature_serving_endpoint(name="misspelt", config=EndpointCoreConfig(served_entities=entity))


def test_an_endpoint_answers_with_the_features_of_a_spec(lake: Lake, fe: FeatureEngineeringClient) -> None:
    entity = ServedEntity(feature_spec_name="features.flight")
    fe.create_feature_serving_endpoint(name="flight-features", config=EndpointCoreConfig(served_entities=entity))
    request = {"dataframe_records": SPINE[["origin", "speed", "who"]].to_dict("records")}
    answer = lake.query("flight-features", request)
    assert answer == {"outputs": [{"left": left, "tag": tag} for left, tag in zip(LEFT, TAGS, strict=True)]}
    assert fe.get_feature_serving_endpoint(name="flight-features").state == "READY"
    with pytest.raises(AlreadyExists, match="'flight-features' already"):
        fe.create_feature_serving_endpoint(name="flight-features", config=EndpointCoreConfig(served_entities=entity))
    fe.delete_feature_serving_endpoint(name="flight-features")
    with pytest.raises(NotFound):
        lake.call("GET", "/api/v1/endpoints/dev/flight-features")
