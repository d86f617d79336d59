"""Declared features through the published client's names: trained on, kept, looked up, scored."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boathouse.client import Http, Lake
from boathouse.client.builtin import materialize_features
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound, NotPermitted
from boathouse.feature_engineering import (
    Aggregation,
    AggregationFunction,
    CronSchedule,
    DeltaTableSource,
    Feature,
    FeatureAggregations,
    FeatureEngineeringClient,
    FeatureLookup,
    OfflineStoreConfig,
    OnlineStoreConfig,
    RollingWindow,
    StreamingMode,
    TableTrigger,
)
from boathouse.feature_engineering.entities import Count, KafkaSource, Max, Sum

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


def test_a_column_that_no_declared_feature_takes_may_go(fe: FeatureEngineeringClient, lake: Lake) -> None:
    table = lake.create_table("shop.wide", [{**row, "colour": "red"} for row in EVENTS])
    source = DeltaTableSource(schema_name="shop", table_name="wide")
    fe.create_feature(source=source, entity="user", timeseries_column="at", schema_name="shop", name="reds", function=Count())
    table.overwrite([{k: row[k] for k in ("user", "at")} for row in EVENTS], evolve=True)
    with pytest.raises(Conflict, match=r"its at.*declared feature dev\.shop\.reds"):
        table.overwrite([{"user": "ann"}], evolve=True)
    fe.delete_feature("shop.reds")


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
    edge, = lake.lineage("shop.orders_by_user.spent_2h")
    assert {"source": "amount", "target": "spent_2h", "how": ["AGGREGATION"]} in edge["columns"]


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


def aggregations(**more: object) -> FeatureAggregations:
    given = [
        Aggregation(function="sum", time_window=3 * HOUR, column="amount", output_column="spent_3h"),
        Aggregation(function="count", time_window=6 * HOUR, output_column="odd", filter_condition="amount % 2 = 1"),
        Aggregation(function=Max(input="amount"), time_window=RollingWindow(window_duration=HOUR, delay=HOUR), column="amount"),
    ]
    return FeatureAggregations(source_table="shop.orders", lookup_key="user", timestamp_key="at", granularity=2 * HOUR,
                               start_time=START + HOUR, aggregations=given, **more)  # fmt: skip


def test_aggregations_change_at_the_steps_of_their_grid(fe: FeatureEngineeringClient) -> None:
    spine = [{"user": "ann", "at": START + hours * HOUR} for hours in (3, 4, 5)]
    made = fe.create_training_set(df=spine, feature_lookups=[aggregations()], label=None).load_df().to_dicts()
    assert [(r["spent_3h"], r["odd"], r["amount_max_sliding_1h_2h"]) for r in made] == [(3, 1, 1), (3, 1, 1), (9, 2, 3)]
    ended = fe.create_training_set(df=spine, features=[aggregations(end_time=START + 2 * HOUR)], label=None)
    assert [r["spent_3h"] for r in ended.load_df().to_dicts()] == [1, 1, None]


def test_aggregations_are_kept_and_looked_up(fe: FeatureEngineeringClient, lake: Lake) -> None:
    config = OfflineStoreConfig(schema_name="shop", table_name_prefix="grid")
    kept = fe.materialize_features(features=[aggregations()], offline_config=config)
    assert {k.table_name for k in kept} == {"dev.shop.grid_orders_by_user"}
    spine = [{"user": "ann", "at": START + hours * HOUR} for hours in (3, 4, 5)]
    lookup = FeatureLookup("shop.grid_orders_by_user", "user", timestamp_lookup_key="at")
    found = fe.create_training_set(df=spine, feature_lookups=[lookup], label=None).load_df().to_dicts()
    assert [(r["spent_3h"], r["odd"]) for r in found] == [(3, 1), (3, 1), (9, 2)]
    with pytest.raises(InvalidInput, match="FeatureLookup"):
        fe.create_training_set(df=spine, feature_lookups=[lookup, aggregations()], label=None)
    with pytest.raises(InvalidInput, match="table_name_prefix"):
        fe.materialize_features(features=[aggregations(end_time=START + HOUR)], offline_config=config)


def test_features_of_one_table_that_count_other_rows_are_kept_in_tables_of_their_own(fe: FeatureEngineeringClient) -> None:
    config = OfflineStoreConfig(schema_name="shop", table_name_prefix="apart")
    both = [spent("all_2h"), spent("large_2h", "amount > 2")]
    for _again in range(2):
        made = fe.materialize_features(features=both, offline_config=config)
        assert [m.table_name for m in made] == ["dev.shop.apart_orders_by_user", "dev.shop.apart_orders_by_user_2"]
    values = [row["large_2h"] for row in fe.read_table(name=made[1].table_name).to_dicts()]
    assert sorted(v for v in values if v is not None) == [3, 5, 7, 9]
    with pytest.raises(InvalidInput, match="apart_orders_by_user keeps a 'all_2h' of another source"):
        fe.materialize_features(features=[spent("new_2h"), spent("all_2h", "amount > 3")], offline_config=config)
    assert "new_2h" not in fe.get_table(name="shop.apart_orders_by_user").features


def test_kept_features_go_to_the_store_that_is_named_and_stay_in_step_there(fe: FeatureEngineeringClient, lake: Lake) -> None:
    fe.create_online_store(name="aside", capacity="CU_1")
    place = {"offline_config": OfflineStoreConfig(schema_name="shop", table_name_prefix="aside"),
             "online_config": OnlineStoreConfig(online_store_name="aside")}  # fmt: skip
    [made] = fe.materialize_features(features=[spent("aside_2h")], trigger=TableTrigger(), **place)
    assert [t["store"] for t in fe.published_tables() if t["source"] == made.table_name] == ["aside"]
    [listed] = [m for m in fe.list_materialized_features() if m.feature_name == "aside_2h"]
    assert listed.online
    fe.drop_online_table(made.table_name, "aside")
    assert lake.jobs.run("refresh_shop_aside_orders_by_user")["state"] == "SUCCESS"
    assert [t["store"] for t in fe.published_tables() if t["source"] == made.table_name] == ["aside"]
    fe.delete_materialized_feature(made)


def test_a_backfill_is_known_to_later_processes(fe: FeatureEngineeringClient, lake: Lake) -> None:
    fe.materialize_features(features=[spent("again_2h")], offline_config=OfflineStoreConfig("dev", "shop", "again"))
    made = fe.backfill_features(features=[spent("again_2h")], start_time=START, end_time=START + 3 * HOUR)
    assert FeatureEngineeringClient(context=lake).get_backfill(made.backfill_id) == made
    with pytest.raises(NotFound, match="no backfill"):
        fe.get_backfill("gone")
    with pytest.raises(Conflict, match="ended"):
        fe.cancel_backfill(made.backfill_id)


def test_what_is_registered_and_what_is_only_kept_is_listed_and_protected(fe: FeatureEngineeringClient, lake: Lake,
                                                                          command: Any) -> None:  # fmt: skip
    fe.create_table(name="listed.base", primary_keys=["user", "at"], timeseries_column="at", df=EVENTS)
    source = DeltaTableSource(schema_name="listed", table_name="base")
    total = Feature(source=source, entity="user", timeseries_column="at", name="total", function=Sum(input="amount"))
    fe.register_feature(feature=total, schema_name="listed")
    kept = Feature(source=source, entity="user", timeseries_column="at", name="kept", function=Count())
    fe.materialize_features(features=[kept], offline_config=OfflineStoreConfig(schema_name="listed"))
    code, said = command("features", "declared", "--schema", "listed", "--json")
    told = [(row["called"], row["table"]) for row in json.loads(said)]
    assert (code, told) == (0, [("dev.listed.total", None), ("kept", "dev.listed.base_by_user")])
    assert "sum of amount" in command("features", "declared")[1]
    assert json.loads(command("--env", "staging", "features", "declared", "--json")[1]) == []
    with pytest.raises(Conflict, match=r"its amount, at.*table of declared features dev\.listed\.base_by_user"):
        lake.table("listed.base").overwrite([{"user": "ann"}], evolve=True)
    assert "time_window" not in command("features", "show", "listed.base_by_user")[1]


def jobs(lake: Lake) -> dict[str, dict[str, Any]]:
    return {job["name"]: job for job in lake.jobs.deployed()}


def _may_be_had_by_who_runs_and_writes(lake: Lake, table: str, source: str) -> None:
    lake.call("POST", "/api/v1/principals", {"name": "rita"})
    token = lake.call("POST", "/api/v1/tokens", {"principal": "rita"})["token"]
    held = [("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.shop"), ("MODIFY", "table", table)]
    for privilege, kind, where in [*held, ("RUN", "catalog", "dev")]:
        lake.call("POST", "/api/v1/grants", {"principal": "rita", "privilege": privilege, "kind": kind, "securable": where})
    rita, address, wish = Http(lake.http.url, token), f"/api/v1/tables/{table}/refresh", {"schedule": None, "tables": [source]}
    with pytest.raises(NotPermitted, match=f"rita lacks SELECT on {source}"):
        rita.call("PUT", address, wish)
    lake.call("POST", "/api/v1/grants", {"principal": "rita", "privilege": "SELECT", "kind": "table", "securable": source})
    lake.describe_table(source, masks={"amount": "NULL"})
    with pytest.raises(NotPermitted, match="rita lacks DEPLOY on dev"):
        rita.call("PUT", address, wish)
    lake.describe_table(source, masks={})
    assert rita.call("PUT", address, wish)["job"] == "refresh_shop_visits_by_user"
    lake.call("POST", "/api/v1/grants/revoke", {"principal": "rita", "privilege": "RUN", "kind": "catalog", "securable": "dev"})
    with pytest.raises(NotPermitted, match="rita lacks RUN on dev"):
        rita.call("DELETE", address)
    rita.close()


def test_a_trigger_makes_a_job_that_refreshes_and_goes_with_the_table(fe: FeatureEngineeringClient, lake: Lake,
                                                                    command: Callable[..., tuple[int, str]]) -> None:  # fmt: skip
    lake.create_table("shop.visits", EVENTS)
    source = DeltaTableSource(schema_name="shop", table_name="visits")
    visits = Feature(source=source, entity="user", timeseries_column="at", name="visits",
                     function=AggregationFunction(Count(), RollingWindow(window_duration=2 * HOUR)))  # fmt: skip
    config, name = OfflineStoreConfig(schema_name="shop"), "refresh_shop_visits_by_user"

    def keep(trigger: Any) -> dict[str, Any]:
        fe.materialize_features(features=[visits], offline_config=config, trigger=trigger)
        return jobs(lake)[name]

    assert keep(CronSchedule("0 0 3 * * ?", "Europe/Vienna"))["next_due"]
    assert keep(StreamingMode())["trigger"]["table_update"]["min_time_between_triggers_seconds"] == 0
    assert keep(TableTrigger())["trigger"]["table_update"]["table_names"] == ["dev.shop.visits"]
    with pytest.raises(InvalidInput, match="is no schedule"):
        keep(CronSchedule("whenever"))
    assert command("jobs", "pause", name)[0] == 0
    assert jobs(lake)[name]["paused"]
    _may_be_had_by_who_runs_and_writes(lake, "dev.shop.visits_by_user", "dev.shop.visits")
    with pytest.raises(NotPermitted, match=r"computed from dev\.shop\.visits now"):
        materialize_features(lake, "shop.visits_by_user", "from=dev.shop.orders")
    lake.table("shop.visits").append([{"user": "bob", "at": START, "amount": 1}])
    assert lake.jobs.run(name)["state"] == "SUCCESS"
    assert jobs(lake)[name]["last_run"]["state"] == "SUCCESS"
    assert command("jobs", "resume", name)[0] == 0
    assert "bob" in {row["user"] for row in lake.table("shop.visits_by_user").read().to_dicts()}
    fe.delete_materialized_feature("shop.visits_by_user.visits")
    assert name not in jobs(lake)
