"""Features declared by their source, function and window; computed, trained on, kept, and filled again."""

from datetime import UTC, datetime, timedelta

import pandas as pd

from boathouse.feature_engineering import Aggregation, CronSchedule, FeatureAggregations, FeatureEngineeringClient
from boathouse.feature_engineering.entities import (
    AggregationFunction,
    Avg,
    Count,
    DeltaTableSource,
    Feature,
    OfflineStoreConfig,
    RollingWindow,
    Sum,
    TumblingWindow,
)

fe = FeatureEngineeringClient()
start = datetime(2024, 1, 1, tzinfo=UTC)
orders = DeltaTableSource(catalog_name="dev", schema_name="shop", table_name="orders")
spent = fe.create_feature(
    source=orders, function=AggregationFunction(operator=Sum(input="amount"),
                                                time_window=RollingWindow(window_duration=timedelta(hours=2))),
    catalog_name="dev", schema_name="shop", entity=["customer_id"], timeseries_column="ts", name="spent_2h",
)  # fmt: skip
count = Feature(source=orders, function=AggregationFunction(Count(), TumblingWindow(window_duration=timedelta(hours=1))),
                entity=["customer_id"], timeseries_column="ts", name="orders_1h")  # fmt: skip
found = [f.name for f in fe.list_features(catalog_name="dev", schema_name="shop")]
spine = pd.DataFrame({"customer_id": [1], "ts": pd.to_datetime(["2024-01-01 03:00"], utc=True), "label": [1]})
training = fe.create_training_set(df=spine, features=[spent, count], label="label").load_df().toPandas()
kept = fe.materialize_features(
    features=[spent], offline_config=OfflineStoreConfig(catalog_name="dev", schema_name="shop", table_name_prefix="kept"),
    trigger=CronSchedule(quartz_cron_expression="0 0 * * * ?", timezone_id="UTC"),
)  # fmt: skip
filled = fe.backfill_features(features=[spent], start_time=start, end_time=start + timedelta(hours=4))
hourly = FeatureAggregations(
    source_table="dev.shop.orders", lookup_key="customer_id", timestamp_key="ts", granularity=timedelta(hours=1),
    start_time=start, end_time=start + timedelta(hours=6),
    aggregations=[Aggregation(function=Avg(input="amount"), time_window=RollingWindow(window_duration=timedelta(hours=2)),
                              output_column="avg_2h")],
)  # fmt: skip
grid = fe.compute_features(features=[hourly]).toPandas()
for each in fe.list_materialized_features():
    fe.delete_materialized_feature(each)
fe.delete_feature(full_name="dev.shop.spent_2h")
