"""Declared features through the published client's names: trained on, kept, looked up, scored."""

from datetime import UTC, datetime, timedelta

import pytest

from boathouse.client import Lake
from boathouse.errors import AlreadyExists, InvalidInput, NotFound
from boathouse.feature_engineering import (
    AggregationFunction,
    DeltaTableSource,
    Feature,
    FeatureEngineeringClient,
    OfflineStoreConfig,
    RollingWindow,
)
from boathouse.feature_engineering.entities import Count, KafkaSource, Sum

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVENTS = [{"user": "ann", "at": START + n * HOUR, "amount": n} for n in range(6)]
SPINE = [{"user": "ann", "at": START + 3 * HOUR, "late": 1}, {"user": "bob", "at": START + 3 * HOUR, "late": 0}]


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    lake.create_table("shop.orders", EVENTS)
    return FeatureEngineeringClient(context=lake)


def spent(name: str = "spent_2h", condition: str | None = None) -> Feature:
    source = DeltaTableSource(schema_name="shop", table_name="orders", filter_condition=condition)
    window = RollingWindow(window_duration=2 * HOUR)
    return Feature(source=source, entity="user", timeseries_column="at", name=name,
                   function=AggregationFunction(operator=Sum(input="amount"), time_window=window))  # fmt: skip


def test_a_feature_is_registered_found_and_forgotten(fe: FeatureEngineeringClient) -> None:
    made = fe.register_feature(feature=spent("kept_here"), schema_name="shop")
    assert made.full_name == "dev.shop.kept_here"
    assert fe.get_feature("shop.kept_here") == made
    assert made in fe.list_features(schema_name="shop")
    with pytest.raises(AlreadyExists, match="kept_here"):
        fe.register_feature(feature=spent("kept_here"), schema_name="shop")
    fe.delete_feature("dev.shop.kept_here")
    with pytest.raises(NotFound, match="kept_here"):
        fe.get_feature("shop.kept_here")


def test_a_training_set_sees_what_had_ended_before_each_row(fe: FeatureEngineeringClient) -> None:
    rows = fe.create_training_set(df=SPINE, features=[spent()], label="late").load_df().to_dicts()
    assert [(r["user"], r["spent_2h"], r["late"]) for r in rows] == [("ann", 1 + 2, 1), ("bob", None, 0)]


def test_what_a_table_keeps_is_what_computing_gives(fe: FeatureEngineeringClient, lake: Lake) -> None:
    counted = Feature(source=spent().source, entity="user", timeseries_column="at", name="orders_2h",
                      function=AggregationFunction(Count(), RollingWindow(window_duration=2 * HOUR)))  # fmt: skip
    kept = fe.materialize_features(features=[spent(), counted], offline_config=OfflineStoreConfig(schema_name="shop"))
    assert {k.table_name for k in kept} == {"dev.shop.orders_by_user"}
    training = fe.create_training_set(df=SPINE, features=[spent(), counted], label="late")
    lookup, = training.feature_spec.lookups()
    from boathouse.scoring import complete

    looked_up, _ = complete(lake, training.feature_spec, [{k: r[k] for k in ("user", "at")} for r in SPINE])
    wanted = ('"user"', '"at"', "spent_2h", "orders_2h")
    assert looked_up.select(*wanted).to_dicts() == training.load_df().select(*wanted).to_dicts()
    assert lookup.table.name == "dev.shop.orders_by_user"


def test_a_model_computes_what_no_table_keeps(fe: FeatureEngineeringClient, lake: Lake) -> None:
    from boathouse.features import FeatureSpec
    from boathouse.scoring import complete

    training = fe.create_training_set(df=SPINE, features=[spent("uncached", "amount <> 1")], label="late")
    spec = FeatureSpec.from_yaml(training.feature_spec.to_yaml())
    rows, versions = complete(lake, spec, [{k: r[k] for k in ("user", "at")} for r in SPINE])
    assert [r["uncached"] for r in rows.to_dicts()] == [2, None]
    assert versions == {"dev.shop.orders": 1}


def test_a_source_reads_nothing_but_its_own_rows(fe: FeatureEngineeringClient) -> None:
    readings = ("amount > (SELECT count(*) FROM read_csv('/etc/passwd'))", "getenv('HOME') = ''", "1) OR (2; DROP TABLE x")
    for condition in readings:
        with pytest.raises(InvalidInput, match="cannot be read"):
            fe.compute_features([spent("bad", condition)])


def test_what_cannot_be_done_is_named() -> None:
    with pytest.raises(InvalidInput, match="Kafka"):
        KafkaSource(name="clicks")
    with pytest.raises(InvalidInput, match="timeseries_column"):
        Feature(source=spent().source, entity="user", function=AggregationFunction(Count()))
