"""The newer calls on a cluster: what it computes, what this process computes for it, and what is refused."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from boathouse.client import Lake
from boathouse.errors import DuplicateKey, ExpectationsFailed, InvalidInput, NotPermitted
from boathouse.feature_engineering import (
    AggregationFunction,
    DeltaTableSource,
    Feature,
    FeatureEngineeringClient,
    FeatureFunction,
    FeatureLookup,
    RollingWindow,
)
from boathouse.feature_engineering.entities import Sum
from boathouse.lake import Cluster
from boathouse.scoring import complete

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
ORDERS = [{"user": "ann", "at": START + n * HOUR, "amount": n} for n in range(6)]
SPINE = pa.table({"user": ["ann", "bob", None, "ann"], "at": [START + n * HOUR for n in (3, 3, 4, 5)], "late": [1, 0, 1, 0]})
BALANCES = pa.table({"user": ["ann", "ann", "bob"], "at": [START, START + 4 * HOUR, START + HOUR], "balance": [1.0, 2.0, None]})
BALANCE = FeatureLookup("shop.balances", "user", timestamp_lookup_key="at", feature_names=["balance"])


@pytest.fixture(scope="module")
def both(lake: Lake, spark_address: str) -> Iterator[tuple[Lake, Lake]]:
    """One home through two engines: in this process, and on a cluster."""
    environ = dict(os.environ)
    lake.create_table("shop.orders", ORDERS)
    FeatureEngineeringClient(context=lake).create_table(
        name="shop.balances", primary_keys=["user", "at"], timeseries_column="at", df=BALANCES
    )
    with Lake(lake.http, "dev", engine=spark_address) as remote:
        yield lake, remote
    os.environ.clear()
    os.environ.update(environ)


def made(lake: Lake, *lookups: Any, **more: Any) -> Any:
    fe = FeatureEngineeringClient(context=lake)
    return fe.create_training_set(df=SPINE, feature_lookups=list(lookups) or None, label="late", **more)


def rows(frame: Any) -> pa.Table:
    return frame.toArrow() if hasattr(frame, "toArrow") else frame.to_arrow()


def spent() -> Feature:
    return Feature(
        source=DeltaTableSource(schema_name="shop", table_name="orders"), entity="user", timeseries_column="at", name="spent_2h",
        function=AggregationFunction(operator=Sum(input="amount"), time_window=RollingWindow(window_duration=2 * HOUR)),
    )  # fmt: skip


def test_columns_have_the_same_types_on_both_engines(both: tuple[Lake, Lake]) -> None:
    here, there = (made(each, BALANCE) for each in both)
    assert rows(there.load_df()).to_pylist() == rows(here.load_df()).to_pylist()
    assert dict(there.load_df().dtypes) == {"user": "string", "at": "timestamp", "late": "bigint", "balance": "double"}
    assert there.feature_spec.to_yaml() == here.feature_spec.to_yaml()


def test_a_version_of_some_columns_is_whole_on_both_engines(both: tuple[Lake, Lake]) -> None:
    here, there = (FeatureEngineeringClient(context=each) for each in both)
    first = {"user": "ann", "at": START, "known": START, "balance": 1.0, "owed": 2.0}
    keys: dict[str, Any] = {"primary_keys": ["user", "at"], "timeseries_column": "at", "known_time_column": "known"}
    here.create_table(name="shop.dated", **keys, df=[first])
    there.write_table(name="shop.dated", df=[{"user": "ann", "at": START, "known": START + 4 * HOUR, "balance": 3.0}])
    lookup = FeatureLookup("shop.dated", "user", timestamp_lookup_key="at")
    found = [rows(made(each, lookup).load_df()).select(["balance", "owed"]).to_pylist() for each in both]
    assert found[0] == found[1]
    assert [tuple(row.values()) for row in found[0]] == [(1.0, 2.0), (None, None), (None, None), (3.0, 2.0)]


def test_functions_get_and_give_the_values_that_they_do_here(both: tuple[Lake, Lake], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")

    bodies = {
        "late_hour": ("at TIMESTAMP, balance DOUBLE", "DOUBLE", "return at.hour"),  # a whole number for a double
        "next_day": ("at TIMESTAMP", "TIMESTAMP", "from datetime import timedelta\nreturn at + timedelta(days=1)"),
        "no_number": ("balance DOUBLE", "DOUBLE", "return float('nan')"),
        "shop.lucky": ("", "BIGINT", "return 7"),  # a function without an output_name has its own, dots and all
    }
    lookups = [BALANCE]
    for name, (parameters, returns, body) in bodies.items():
        called = f"shop.{name.removeprefix('shop.')}"
        declared = f"{called}({parameters}) RETURNS {returns}"
        both[0].functions.execute(f"CREATE FUNCTION {declared} LANGUAGE PYTHON AS $$\n{body}\n$$")
        lookups.append(FeatureFunction(udf_name=called, output_name=None if name == called else name))
    here, there = (rows(made(each, *lookups).load_df()).to_pylist() for each in both)
    assert there == here
    assert [there[0][name] for name in bodies] == [3.0, START + timedelta(days=1, hours=3), None, 7]


def test_a_function_that_gives_another_type_is_named_and_never_a_null(both: tuple[Lake, Lake]) -> None:
    def wrong(balance: float) -> int:
        return "much"  # type: ignore[return-value]

    both[0].functions.create("shop.wrong", wrong)
    lookups = [BALANCE, FeatureFunction(udf_name="shop.wrong", input_bindings={"balance": "balance"}, output_name="wrong")]
    with pytest.raises(Exception, match=r"the function shop\.wrong should return long"):
        made(both[1], *lookups).load_df().toPandas()


def test_declared_features_are_computed_here_and_sent_there(both: tuple[Lake, Lake]) -> None:
    here, there = (made(each, features=[spent()]) for each in both)
    assert rows(there.load_df()).to_pylist() == rows(here.load_df()).to_pylist()
    assert [r.spent_2h for r in there.load_df().collect()] == [3, None, None, 7]
    assert there.load_df().toPandas().shape == (4, 4)


def test_a_spec_with_declared_features_completes_batches_alike(both: tuple[Lake, Lake]) -> None:
    spec = made(both[1], features=[spent()]).feature_spec
    here, there = (complete(each, spec, SPINE) for each in both)
    assert there[0].to_dicts() == here[0].to_dicts()
    assert there[1] == here[1]


def test_a_spec_by_name_is_joined_there(both: tuple[Lake, Lake]) -> None:
    FeatureEngineeringClient(context=both[0]).create_feature_spec(name="shop.known", features=[BALANCE])
    here, there = (made(each, feature_spec="shop.known") for each in both)
    assert rows(there.load_df()).to_pylist() == rows(here.load_df()).to_pylist()


def test_what_a_training_set_is_made_of_is_known(both: tuple[Lake, Lake]) -> None:
    here, there = (made(each, BALANCE) for each in both)
    assert there.origin.tables() == here.origin.tables() == {"dev.shop.balances": str(there.versions["dev.shop.balances"])}
    assert there.origin.query


def test_a_leak_report_is_the_same_on_both_engines(both: tuple[Lake, Lake]) -> None:
    here, there = (made(each, BALANCE).leaks() for each in both)
    assert there == here


def test_masks_filters_and_views_are_refused_by_every_read(both: tuple[Lake, Lake]) -> None:
    lake, remote = both
    for name, rule in (("shop.masked", {"masks": {"balance": "null"}}), ("shop.filtered", {"row_filter": "user = 'ann'"})):
        FeatureEngineeringClient(context=lake).create_table(
            name=name, primary_keys=["user", "at"], timeseries_column="at", df=BALANCES
        )
        lookup = FeatureLookup(name, "user", timestamp_lookup_key="at", feature_names=["balance"])
        spec = made(lake, lookup).feature_spec
        lake.describe_table(name, **rule)  # type: ignore[arg-type]
        for read in (lambda look=lookup: made(remote, look), lambda s=spec: complete(remote, s, SPINE)):
            with pytest.raises(NotPermitted, match=rf"dev\.{name} is read through the server alone.*BOATHOUSE_ENGINE=duckdb"):
                read()
    lake.sql("CREATE VIEW shop.seen AS SELECT user, balance FROM shop.balances")
    with pytest.raises(NotPermitted, match=r"dev\.shop\.seen is read through the server alone"):
        FeatureEngineeringClient(context=remote).read_table(name="shop.seen")


def test_what_holds_for_writes_holds_for_frames_of_the_cluster(both: tuple[Lake, Lake]) -> None:
    fe, cluster = FeatureEngineeringClient(context=both[1]), both[1].cluster
    assert cluster
    fe.create_table(name="shop.warm", primary_keys="id", schema={"id": "bigint", "temp": "double"},
                    expectations={"warm": {"expr": "temp > 0", "action": "fail"}})  # fmt: skip
    fe.write_table(name="shop.warm", df=cluster.session.createDataFrame([(1, 5.0)], "id bigint, temp double"))
    with pytest.raises(ExpectationsFailed, match="warm"):
        fe.write_table(name="shop.warm", df=cluster.session.createDataFrame([(2, -5.0)], "id bigint, temp double"))
    with pytest.raises(DuplicateKey):
        fe.write_table(name="shop.warm", df=cluster.session.createDataFrame([(3, 5.0), (3, 6.0)], "id bigint, temp double"))
    fe.write_table(name="shop.warm", df=cluster.session.createDataFrame([(1, 7.0), (4, 8.0)], "id bigint, temp double"))
    assert sorted(map(tuple, fe.read_table(name="shop.warm").collect())) == [(1, 7.0), (4, 8.0)]
    fe.write_table(name="shop.warm", df=fe.read_table(name="shop.warm").where("id = 4"), mode="overwrite")
    assert fe.read_table(name="shop.warm").count() == 1


def test_frames_of_other_sessions_and_streams_of_spark_are_refused(both: tuple[Lake, Lake], spark_address: str) -> None:
    fe, cluster = FeatureEngineeringClient(context=both[1]), both[1].cluster
    assert cluster
    other = Cluster(spark_address)
    with pytest.raises(InvalidInput, match=r"another Spark session's: make it with `lake\.cluster\.session`"):
        fe.create_training_set(df=other.frame(SPINE), feature_lookups=[BALANCE], label="late")
    other.close()
    ticks = cluster.session.readStream.format("rate").load()
    for act in (lambda: fe.write_table(name="shop.balances", df=ticks), lambda: cluster.frame(ticks)):
        with pytest.raises(InvalidInput, match=r"follow a table with lake\.table\(…\)\.stream\(\)"):
            act()


def test_streams_and_publishing_go_on_in_this_process(both: tuple[Lake, Lake], tmp_path: Any) -> None:
    fe, remote = FeatureEngineeringClient(context=both[1]), both[1]
    fe.create_table(name="shop.copied", primary_keys=["user", "at"], timeseries_column="at", schema=BALANCES.schema)
    query = fe.write_table(name="shop.copied", df=remote.table("shop.balances").stream(), trigger={"availableNow": True},
                           checkpoint_location=str(tmp_path))  # fmt: skip
    assert query
    query.awaitTermination()
    assert fe.read_table(name="shop.copied").count() == 3
    assert fe.publish_table(source_table_name="shop.copied").rows == 2
    assert remote.beside().cluster is None
