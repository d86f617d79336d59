"""Lineage from raw rows to predictions, by table, version and column."""

from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow.sklearn
import pytest
from sklearn.linear_model import LogisticRegression

from boathouse.client import Lake
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup

pytestmark = pytest.mark.xdist_group("lineage")
NOON = datetime(2013, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def story(lake: Lake) -> Lake:
    """raw.weather -> features.weather -> model flights.delay -> its inference table; labels from raw.flights."""
    hours = [NOON + timedelta(hours=h) for h in range(8)]
    lake.create_table("raw.weather", {"station": ["JFK"] * 8, "hour": hours, "fahrenheit": [float(h) for h in range(8)]})
    lake.create_table("raw.flights", {"id": list(range(8)), "origin": ["JFK"] * 8, "at": hours, "delay": [0, 30] * 4})
    client = FeatureEngineeringClient()
    warm = lake.sql("SELECT station AS origin, hour, (fahrenheit - 32) / 1.8 AS celsius FROM raw.weather WHERE fahrenheit < 99")
    client.create_table(name="features.weather", primary_keys=["origin", "hour"], timeseries_column="hour", df=warm)
    spine = lake.sql('SELECT id, origin, "at", (delay > 15)::INT AS late FROM raw.flights').to_arrow()
    lookup = FeatureLookup("features.weather", "origin", timestamp_lookup_key="at")
    examples = client.create_training_set(
        df=spine, feature_lookups=[lookup], label="late", exclude_columns=["id", "origin", "at"]
    )
    frame = examples.load_df().to_pandas()
    model = LogisticRegression().fit(frame[["celsius"]], frame["late"])
    client.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=examples,
                     registered_model_name="flights.delay")  # fmt: skip
    requests = lake.sql('SELECT id::VARCHAR AS request_id, "at" AS request_time, origin, "at" FROM raw.flights').to_arrow()
    client.score_batch(model_uri="models:/flights.delay/1", df=requests, log_to="flights.delay")
    return lake


def edges(lake: Lake, name: str, **options: Any) -> set[tuple[str, str, str]]:
    return {(e["source"], e["target"], e["how"]) for e in lake.lineage(name, **options)}


def test_a_prediction_s_table_leads_back_to_the_raw_tables(story: Lake) -> None:
    assert edges(story, "flights.delay_inference") == {
        ("dev.raw.weather", "dev.features.weather", "derived"),
        ("dev.features.weather", "model:dev.flights.delay", "derived"),
        ("dev.raw.flights", "model:dev.flights.delay", "derived"),
        ("model:dev.flights.delay", "dev.flights.delay_inference", "derived"),
        ("dev.raw.flights", "dev.flights.delay_inference", "derived"),
        ("dev.features.weather", "dev.flights.delay_inference", "derived"),
    }
