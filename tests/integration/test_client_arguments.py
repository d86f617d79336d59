"""What scripts for the published client hand over: each argument acts, or the error names it."""

import gc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression

from boathouse.client import Lake
from boathouse.errors import DuplicateKey, InvalidInput, NotFound
from boathouse.feature_engineering import (
    UNSET,
    Aggregation,
    AggregationFunction,
    DeltaTableSource,
    EndpointCoreConfig,
    Feature,
    FeatureAggregations,
    FeatureEngineeringClient,
    FeatureFunction,
    FeatureLookup,
    FeatureStoreClient,
    OfflineStoreConfig,
    RollingWindow,
    Sum,
)
from boathouse.feature_engineering.entities.feature_function import FeatureFunction as OtherFunction
from boathouse.feature_engineering.entities.feature_lookup import FeatureLookup as OtherLookup
from boathouse.feature_engineering.publishing import store_for
from boathouse.features import FeatureSpec
from boathouse.scoring import load
from boathouse.serving.online_completion import OnlineCompletion
from boathouse.serving.rows import Rows

AT = datetime(2025, 3, 30, tzinfo=UTC)
SPINE = pd.DataFrame({"who": ["ann", "bob"], "at": [AT, AT], "rate": [2.0, 3.0], "bought": [0, 1]})
SPENT = [{"customer": "ann", "at": AT, "spent": 5.0}, {"customer": "bob", "at": AT, "spent": 1.0}]


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    made = FeatureEngineeringClient(context=lake)
    made.create_table(name="shop.customers", primary_keys=["customer", "at"], timeseries_columns=["at"], df=SPENT)

    def times(spent: float | None, rate: float) -> float:
        return (spent or 0.0) * rate

    lake.functions.create("shop.times", times)
    return made


@pytest.fixture(scope="module")
def asked() -> list[FeatureLookup | FeatureFunction]:
    return [FeatureLookup("shop.customers", "who", timestamp_lookup_key="at"),
            FeatureFunction(udf_name="shop.times", output_name="total")]  # fmt: skip


def test_former_names_of_the_event_time_are_taken(fe: FeatureEngineeringClient) -> None:
    assert fe.get_table(name="shop.customers").timestamp_keys == ["at"]
    with pytest.raises(InvalidInput, match="one event time, not at, until"):
        fe.create_table(name="shop.two", primary_keys=["at", "until"], timestamp_keys=["at", "until"], df=SPENT)


@pytest.mark.parametrize(
    ("rows", "keys", "error"),
    [
        ([{"id": 1}, {"id": 1}], ["id"], DuplicateKey),
        ([{"id": 1}, {"id": None}], ["id"], InvalidInput),
        ([{"id": 1}], [], InvalidInput),
        ([{"id": 1}, {"id": 1}], ["id", "id"], InvalidInput),
        (pd.DataFrame({"id": [1, 2], "of": [1, "two"]}), ["id"], InvalidInput),
    ],
)
def test_rows_that_cannot_be_written_leave_no_table(
    fe: FeatureEngineeringClient, lake: Lake, rows: Any, keys: list[str], error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"shop\.never|the frame cannot be read"):
        fe.create_table(name="shop.never", primary_keys=keys, df=rows)
    assert not lake.table_exists("shop.never")


def test_what_is_declared_wrongly_is_told_before_what_the_rows_hold(fe: FeatureEngineeringClient) -> None:
    with pytest.raises(InvalidInput, match="the event time 'at' must be one of the primary keys"):
        fe.create_table(name="shop.never", primary_keys="customer", timeseries_column="at", df=SPENT * 2)


def test_rows_are_written_in_the_types_of_a_schema_and_maps_from_dicts(fe: FeatureEngineeringClient) -> None:
    rows = pd.DataFrame({"id": [1, 2], "owed": [1, 2], "by": [{"a": 1.5}, None]})
    fe.create_table(name="shop.typed", primary_keys="id", schema="id bigint, owed decimal(9,2), by map<string,double>", df=rows)
    fe.write_table(name="shop.typed", df=pd.DataFrame({"id": [2, 3], "by": [{"b": 2.5}, {"c": 1.0}]}))
    found = {row["id"]: (row["owed"], row["by"]) for row in fe.read_table(name="shop.typed").to_dicts()}
    assert found == {1: (Decimal(1), [("a", 1.5)]), 2: (Decimal(2), [("b", 2.5)]), 3: (None, [("c", 1.0)])}


def test_rows_that_can_be_read_once_only_become_a_table(fe: FeatureEngineeringClient, lake: Lake) -> None:
    fe.create_table(name="shop.once", primary_keys="customer", df=lake.sql("select 'ann' customer, 1 n").to_reader())
    assert fe.read_table(name="shop.once").to_dicts() == [{"customer": "ann", "n": 1}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"feature_lookups": ["shop.customers"]}, "feature_lookups holds 'shop.customers'"),
        ({"label": "bougt"}, "did you mean 'bought'"),
        ({"feature_lookups": OtherLookup("shop.customers", "Who", timestamp_lookup_key="at")}, "did you mean 'who'"),
        ({"feature_lookups": OtherLookup("shop.customers", "who", timestamp_lookup_key="ats")}, "did you mean 'at'"),
    ],
)
def test_what_cannot_be_looked_up_is_named(fe: FeatureEngineeringClient, given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        fe.create_training_set(**{"df": SPINE, "label": "bought", "feature_lookups": [], **given})


def test_a_misspelt_argument_is_refused(fe: FeatureEngineeringClient) -> None:
    with pytest.raises(TypeError, match="exclude_column"):
        fe.create_training_set(df=SPINE, feature_lookups=[], label="bought", exclude_column=["at"])  # type: ignore[call-arg]


def test_what_a_function_raises_names_it(fe: FeatureEngineeringClient, lake: Lake) -> None:
    def broken(rate: float) -> float:
        return rate / 0

    lake.functions.create("shop.broken", broken)
    asked = OtherFunction(udf_name="shop.broken", output_name="x")
    made = fe.create_training_set(df=SPINE, feature_lookups=[asked], label="bought")
    with pytest.raises(InvalidInput, match=r"^the function shop\.broken failed: ZeroDivisionError"):
        made.load_df().toPandas()


def test_a_model_predicts_by_keys_that_its_training_set_left_out(
    fe: FeatureEngineeringClient, lake: Lake, asked: list[FeatureLookup | FeatureFunction]
) -> None:
    made = fe.create_training_set(df=SPINE, feature_lookups=asked, label="bought", exclude_columns=["who", "at", "rate", "spent"])
    doubled = LinearRegression().fit(pd.DataFrame({"total": [1.0, 2.0]}), [2.0, 4.0])
    info = fe.log_model(model=doubled, artifact_path="model", flavor=mlflow.sklearn, training_set=made,
                        registered_model_name="shop.doubled")  # fmt: skip
    inputs = {column.name: (str(column.type), column.required) for column in info.signature.inputs.inputs}
    assert inputs == {"who": ("DataType.string", True), "rate": ("DataType.double", True), "total": ("DataType.double", False),
                      "at": ("DataType.datetime", False)}  # fmt: skip
    rows = SPINE.drop(columns="bought").assign(at=SPINE["at"].dt.tz_localize(None))
    assert list(mlflow.pyfunc.load_model("models:/dev.shop.doubled/1").predict(rows)) == pytest.approx([20.0, 6.0])
    uri = "models:/shop.doubled/1"
    assert fe.score_batch(model_uri=uri, df=SPINE, result_type="BIGINT").to_pandas()["prediction"].tolist() == [20, 6]
    nothing = fe.score_batch(model_uri=uri, df=SPINE.head(0)).to_pandas()
    assert (len(nothing), str(nothing["prediction"].dtype)) == (0, "float64")
    with pytest.raises(InvalidInput, match="env_manager 'conda'"):
        fe.score_batch(model_uri=uri, df=SPINE, env_manager="conda")
    with pytest.raises(InvalidInput, match="'lightgbm'"):
        fe.log_model(model=doubled, artifact_path="model", flavor="lightgbm", training_set=made)


def test_a_default_of_a_decimal_feature_is_exact_in_every_mode(fe: FeatureEngineeringClient, lake: Lake) -> None:
    owed = pa.table({"customer": ["ann"], "owed": pa.array([Decimal("1.25")], pa.decimal128(20, 2))})
    fe.create_table(name="shop.owed", primary_keys=["customer"], df=owed)
    least = Decimal("90071992547409.93")  # more digits than a double holds
    looked = [FeatureLookup("shop.owed", lookup_key="who", default_values={"owed": least})]
    spine = SPINE.assign(who=["ann", "eve"])
    made = fe.create_training_set(df=spine, feature_lookups=looked, label="bought", exclude_columns=["at"])
    assert made.load_df().to_arrow().column("owed").to_pylist() == [Decimal("1.25"), least]
    fe.publish_table(source_table_name="shop.owed")
    spec = FeatureSpec.from_yaml(made.feature_spec.to_yaml())
    assert next(c.default for c in spec.input_columns if c.name == "owed") == least
    completed = OnlineCompletion(spec, store_for(lake, "shop.owed", write=False), None)
    rows, _ = completed.complete(Rows({"who": ["ann", "eve"], "rate": [1.0, 1.0]}, 2))
    assert rows.columns["owed"] == [Decimal("1.25"), least]


def test_files_of_a_model_go_with_it(lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = lake.models.version("shop.doubled", "1")["run_id"]
    for uri in ("models:/shop.doubled/1", f"runs:/{run}/model"):
        model = load(lake, uri)
        assert list(tmp_path.rglob("MLmodel"))
        assert len(model.predict(pd.DataFrame({"spent": [1.0], "rate": [2.0], "total": [2.0]})).values) == 1
        del model
        gc.collect()
        assert not list(tmp_path.iterdir())


def test_scored_rows_keep_their_types_beside_nulls(
    fe: FeatureEngineeringClient, asked: list[FeatureLookup | FeatureFunction]
) -> None:
    made = fe.create_training_set(df=SPINE, feature_lookups=asked, label="bought", exclude_columns=["who", "at", "rate", "spent"])
    model = LinearRegression().fit(pd.DataFrame({"total": [1.0, 2.0]}), [2.0, 4.0])
    info = fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=made)
    rows = pa.table({"who": ["ann", "bob"], "at": [AT, AT], "rate": [2.0, 3.0]})
    for name, values in (("visits", [2**60 + 1, None]), ("since", [AT.date(), None]), ("owed", [Decimal("1.25"), None])):
        rows = rows.append_column(name, pa.array(values))
    for uri in (info.model_uri, f"runs:/{info.run_id}/model"):  # as MLflow names what no version was made of
        found = fe.score_batch(model_uri=uri, df=rows).to_arrow()
        assert found.select(["visits", "since", "owed"]).equals(rows.select(["visits", "since", "owed"]))
        assert found.column("prediction").to_pylist() == pytest.approx([20.0, 6.0])
    assert fe.score_batch(model_uri=info.model_uri, df=found.slice(0, 0)).to_arrow().schema.field("owed") == rows.field("owed")
    with pytest.raises(NotFound, match="there is no model at runs:/nothing/model"):
        fe.score_batch(model_uri="runs:/nothing/model", df=SPINE)
    with pytest.raises(InvalidInput, match="register the model first"):
        fe.score_batch(model_uri=info.model_uri, df=SPINE, log_to="shop.unregistered")


def test_the_older_client_registers_specs_and_says_what_is_elsewhere(
    fe: FeatureEngineeringClient, lake: Lake, asked: list[FeatureLookup | FeatureFunction]
) -> None:
    older = FeatureStoreClient(context=lake)
    assert older.create_feature_spec(name="shop.older", features=asked, exclude_columns="spent").name == "dev.shop.older"
    older.delete_feature_spec(name="shop.older")
    with pytest.raises(InvalidInput, match="register_table is not here: keys are declared"):
        older.register_table(delta_table="shop.customers", primary_keys="customer")
    with pytest.raises(InvalidInput, match="add_data_sources is not here: lineage"):
        older.add_data_sources(feature_table_name="shop.customers", source_names="raw")
    before = lake.table("shop.customers").history()[0]["timestamp"]
    older.write_table("shop.customers", [{"customer": "cat", "at": AT, "spent": 9.0}])
    assert older.read_table("shop.customers", as_of_delta_timestamp=datetime.fromtimestamp(before / 1000, UTC)).count() == 2


def test_a_model_takes_features_of_types_that_mlflow_has_not(fe: FeatureEngineeringClient) -> None:
    odd = pa.table({"who": ["ann"], "since": [AT], "n": pa.array([2], pa.int64()), "price": [Decimal("1.50")],
                    "seats": pa.array([{"first": 8}], pa.map_(pa.string(), pa.int32()))})  # fmt: skip
    fe.create_table(name="shop.odd_types", primary_keys="who", df=odd)
    spine = SPINE.drop(columns=["at"])
    made = fe.create_training_set(df=spine, feature_lookups=[FeatureLookup("shop.odd_types", "who")], label="bought")
    model = DummyClassifier(strategy="constant", constant=1).fit(spine[["rate"]], spine["bought"])
    fe.log_model(model=model, artifact_path="m", flavor=mlflow.sklearn, training_set=made, registered_model_name="shop.odd_types")
    assert fe.score_batch(model_uri="models:/shop.odd_types/1", df=spine)["prediction"].to_dicts() == [{"prediction": 1}] * 2
    inputs = mlflow.models.get_model_info("models:/shop.odd_types/1").signature.inputs.input_dict()
    assert [str(inputs[name].type) for name in ("since", "n", "price")] == ["DataType.datetime", "DataType.double", "Any"]


def test_what_is_not_here_is_told_however_it_is_called(fe: FeatureEngineeringClient) -> None:
    with pytest.raises(InvalidInput, match="build_model_env is not here"):
        fe.build_model_env("models:/shop.wanted/1", "/tmp/environment")
    with pytest.raises(InvalidInput, match="register_table is not here"):
        FeatureStoreClient(context=fe._context).register_table("shop.customers", ["customer"])


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda fe: fe.create_feature_spec(name="shop.s", features=[]), "shop.s has no features"),
        (lambda fe: fe.create_feature_spec(name="shop.s", features="shop.times"), "features of shop.s holds 'shop.times'"),
        (lambda fe: fe.create_feature_serving_endpoint(name="e", config={}), "config of the endpoint e is {}"),
        (lambda fe: EndpointCoreConfig(served_entities={"feature_spec_name": "s"}).entity, "served_entities holds {'feature"),
        (lambda fe: EndpointCoreConfig(served_entities="shop.s").entity, "served_entities holds 'shop.s'"),
        (lambda fe: fe.log_model(model=0, artifact_path="m", flavor=mlflow.sklearn, training_set=SPINE), "nor DataFrame"),
    ],
)
def test_what_specs_endpoints_and_models_cannot_take_is_named(
    fe: FeatureEngineeringClient, ask: Callable[[FeatureEngineeringClient], Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        ask(fe)


def test_one_lookup_makes_a_spec_without_a_list(fe: FeatureEngineeringClient) -> None:
    made = fe.create_feature_spec(name="shop.single", features=FeatureLookup("shop.customers", "who"))
    assert "spent" in made.spec
    fe.delete_feature_spec(name="shop.single")


def test_several_numbers_a_row_become_the_result_type_one_by_one(
    fe: FeatureEngineeringClient, asked: list[FeatureLookup | FeatureFunction]
) -> None:
    spine = SPINE.assign(again=[1, 0])
    made = fe.create_training_set(df=spine, feature_lookups=asked, label=["bought", "again"], exclude_columns=["who", "at"])
    model = LinearRegression().fit(made.load_df().toPandas()[["rate", "spent", "total"]], spine[["bought", "again"]])
    fe.log_model(model=model, artifact_path="m", flavor=mlflow.sklearn, training_set=made, registered_model_name="shop.several")
    for result, kind in (("float", pa.float32()), ("array<int>", pa.int32()), ("double", pa.float64())):
        scored = fe.score_batch(model_uri="models:/shop.several/1", df=spine, result_type=result).to_arrow()
        assert scored.schema.field("prediction").type.value_type == kind
        assert [len(row) for row in scored.column("prediction").to_pylist()] == [2, 2]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda t: t.read(where="spnt > 1"), 'column "spnt" not found.* Candidate bindings: "spent"'),
        (lambda t: t.read().select("spnt"), 'Candidate bindings: "spent"'),
        (lambda t: t.read(timestamp="yesterday"), "'yesterday' is no time of dev.shop.customers"),
        (lambda t: t.update({"spnt": "1"}, "true"), "has no column 'spnt'"),
        (lambda t: t.changes(since=-5), "no version -5"),
    ],
)
def test_wrong_names_and_times_are_told_by_name(fe: FeatureEngineeringClient, lake: Lake, ask: Any, said: str) -> None:
    table = lake.table("shop.customers")
    before = table.version
    with pytest.raises(InvalidInput, match=said):
        ask(table)
    assert table.version == before


def test_columns_of_any_name_are_updated(lake: Lake) -> None:
    table = lake.create_table("shop.odd", [{"Group By": "a", "n": 1}, {"Group By": "b", "n": 2}])
    table.update({"group by": "'c'"}, "n = 2")
    assert sorted(row["Group By"] for row in table.read().to_dicts()) == ["a", "c"]


def test_a_declared_feature_without_a_name_is_called_after_its_column() -> None:
    window = RollingWindow(window_duration=timedelta(days=1))
    source = DeltaTableSource(schema_name="shop", table_name="orders")
    summed = AggregationFunction(Sum(input="Amount €"), window)
    made = Feature(source=source, function=summed, entity="who", timeseries_column="at")
    assert made.name == "Amount__sum_rolling_1d"
    with pytest.raises(InvalidInput, match="window_duration of a rolling window is 7"):
        RollingWindow(window_duration=7)  # type: ignore[arg-type]


SUM = Aggregation(function="sum", column="spent", time_window=timedelta(days=1))
DAILY: dict[str, Any] = {
    "source_table": "shop.customers", "lookup_key": "customer", "timestamp_key": "at", "granularity": timedelta(days=1),
    "start_time": AT, "aggregations": SUM,
}  # fmt: skip


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda fe: FeatureAggregations(**{**DAILY, "granularity": 7}), "granularity .* is 7: give a timedelta"),
        (lambda fe: FeatureAggregations(**{**DAILY, "start_time": "2025-01-01"}), "start_time .* give a datetime"),
        (lambda fe: FeatureAggregations(**{**DAILY, "aggregations": ["sum"]}), "needs aggregations="),
        (lambda fe: RollingWindow(start_time="2025-01-01"), "start_time of a rolling window"),
        (lambda fe: fe.compute_features(feature("customer")), "customer_sum.*: sum takes numbers, and 'customer' is VARCHAR"),
        (lambda fe: fe.compute_features(feature(filter_condition="spnt > 0")), "the source of spent_sum.*: .*spnt"),
        (lambda fe: fe.create_training_set(df=SPINE, features=FeatureLookup("a.b", "c"), label=None), "given as feature_lookups"),
        (lambda fe: fe.materialize_features(features=feature(), trigger="hourly"), "trigger is 'hourly': give CronSchedule"),
        (lambda fe: fe.materialize_features(features=feature(), online_config={}), "online_config is {}: give OnlineStoreConfig"),
        (lambda fe: fe.materialize_features(features=feature(), offline_config="shop"), "offline_config is 'shop': give Offline"),
        (lambda fe: fe.compute_features(feature("spnt")), "the source has no column 'spnt'; did you mean 'spent'"),
        (lambda fe: fe.compute_features(feature(time="customer")), "the source's time 'customer' is VARCHAR"),
        (lambda fe: fe.create_training_set(df=SPINE.assign(customer=1), features=feature(), label=None),
         "'customer' is BIGINT in the rows and VARCHAR in the source"),
        (lambda fe: fe.publish_table(source_table_name="shop.customers", features="spnt"), "'spnt'; did you mean 'spent'"),
        (lambda fe: fe.publish_table(source_table_name="shop.customers", filter_condition="spnt > 0"), "the filter_condition of"),
    ],
)
def test_what_declared_features_and_publishing_cannot_take_is_named(
    fe: FeatureEngineeringClient, ask: Callable[[FeatureEngineeringClient], Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        ask(fe)


def test_what_is_unset_was_not_given(fe: FeatureEngineeringClient) -> None:
    fe.create_online_store(name="unset", capacity="CU_1", read_replica_count=UNSET)
    assert fe.update_online_store(name="unset", capacity="CU_2", read_replica_count=UNSET).capacity == "CU_2"
    config = OfflineStoreConfig(schema_name="shop", table_name_prefix="unset")
    [kept] = fe.materialize_features(features=feature(), offline_config=config, online_config=UNSET, trigger=UNSET)
    assert not kept.online
    with pytest.raises(InvalidInput, match="start_time is UNSET"):
        fe.backfill_features(features=feature(), start_time=UNSET, end_time=UNSET)  # type: ignore[arg-type]


def test_one_feature_needs_no_list(fe: FeatureEngineeringClient) -> None:
    assert fe.compute_features(feature()).count() > 0
    spine = SPINE.rename(columns={"who": "customer"}).assign(at=AT + timedelta(hours=1))
    for one in (feature(), FeatureAggregations(**{**DAILY, "granularity": timedelta(minutes=1)})):
        found = fe.create_training_set(df=spine, features=one, label="bought").load_df().toPandas()
        assert found.filter(like="spent_sum").iloc[:, 0].tolist() == [5.0, 1.0]


def feature(column: str = "spent", time: str = "at", **source: Any) -> Feature:
    return Feature(
        source=DeltaTableSource(schema_name="shop", table_name="customers", **source), entity="customer", timeseries_column=time,
        function=AggregationFunction(Sum(input=column), RollingWindow(window_duration=timedelta(days=1))),
    )  # fmt: skip
