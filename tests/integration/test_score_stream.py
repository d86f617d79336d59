"""A stream that is scored with declared features gives, once each, what scoring the same rows in batch gives."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boathouse.client import Lake
from boathouse.errors import InvalidInput
from boathouse.feature_engineering import (
    AggregationFunction,
    DeltaTableSource,
    Feature,
    FeatureEngineeringClient,
    RollingWindow,
    Sum,
)
from boathouse.feature_engineering.scored import scored
from boathouse.feature_engineering.streaming import StreamingQuery

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = {"availableNow": True}


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    import mlflow.sklearn
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    lake.create_table("raw.orders", [{"user": "ann", "at": START + n * HOUR, "amount": float(n)} for n in range(9)])
    lake.create_table("raw.asked", [{"request_id": f"r{n}", "user": "ann", "at": START + n * HOUR} for n in range(3)])
    fe = FeatureEngineeringClient(context=lake)
    source = DeltaTableSource(schema_name="raw", table_name="orders")
    spent = Feature(source=source, entity="user", timeseries_column="at", name="spent",
                    function=AggregationFunction(Sum(input="amount"), RollingWindow(window_duration=4 * HOUR)))  # fmt: skip
    spine = [{"user": "ann", "at": START + n * HOUR, "late": n % 2} for n in range(1, 9)]
    examples = fe.create_training_set(df=spine, features=[spent], label="late", exclude_columns=["user", "at"])
    frame = examples.load_df().to_pandas()
    model = make_pipeline(SimpleImputer(), LogisticRegression()).fit(frame[["spent"]], frame["late"])
    fe.log_model(model=model, artifact_path="model", flavor=mlflow.sklearn, training_set=examples,
                 registered_model_name="shop.late", pip_requirements=["scikit-learn", "pandas", "skops"])  # fmt: skip
    return fe


def test_every_row_is_scored_once_as_in_batch(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    asked = lake.table("raw.asked")
    for _ in range(2):
        query = fe.score_stream(model_uri="models:/shop.late/1", df=asked.stream(), log_to="shop.late",
                                checkpoint_location=str(tmp_path), trigger=NOW)  # fmt: skip
        query.awaitTermination(120)
        asked.append([{"request_id": f"s{asked.version}", "user": "bob", "at": START}])
    query = fe.score_stream(model_uri="models:/shop.late/1", df=asked.stream(), log_to="shop.late",
                            checkpoint_location=str(tmp_path), trigger=NOW)  # fmt: skip
    query.awaitTermination(120)
    batch = fe.score_batch(model_uri="models:/shop.late/1", df=asked.read().to_arrow()).to_dicts()
    logged = lake.table("shop.late_inference").read().to_dicts()
    assert len(logged) == len(batch)
    assert {(r["request_id"], r["spent"], r["prediction"], r["mode"]) for r in logged} == {
        (r["request_id"], r["spent"], r["prediction"], "stream") for r in batch
    }


def test_rows_without_names_are_appended_once(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path) -> None:
    for _ in range(2):
        query = fe.score_stream(model_uri="models:/shop.late/1", df=lake.table("raw.asked").stream(), output_table="shop.scored",
                                checkpoint_location=str(tmp_path), trigger=NOW)  # fmt: skip
        query.awaitTermination(120)
    assert lake.table("shop.scored").read().count() == lake.table("raw.asked").read().count()
    with pytest.raises(InvalidInput, match="output_table"):
        fe.score_stream(model_uri="models:/shop.late/1", df=lake.table("raw.asked").stream(), checkpoint_location=str(tmp_path))


def test_two_queries_of_one_checkpoint_take_turns(fe: FeatureEngineeringClient, lake: Lake, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    turns, queries = lake.create_table("raw.turns", [{"user": "ann", "at": START}]), list[StreamingQuery]()
    rival_has_rows, calls = threading.Event(), list[object]()

    def start() -> None:
        queries.append(fe.score_stream(model_uri="models:/shop.late/1", df=turns.stream(), output_table="shop.turns",
                                       checkpoint_location=str(tmp_path), trigger=NOW))  # fmt: skip

    def between_reading_and_writing(*given: Any) -> Any:
        calls.append(given)
        if len(calls) == 1:
            turns.append([{"user": "bob", "at": START}])
            start()
            rival_has_rows.wait(2)
        else:
            rival_has_rows.set()
            queries[0].awaitTermination(20)
        return scored(*given)

    monkeypatch.setattr("boathouse.feature_engineering.client.scored", between_reading_and_writing)
    start()
    assert queries[0].awaitTermination(60)
    assert queries[1].awaitTermination(60)
    assert sorted(row["user"] for row in lake.table("shop.turns").read().to_dicts()) == ["ann", "bob"]
