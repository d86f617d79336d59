"""The pipelines jointly: real tables, few flights, few trees. Runs in staging, in a throw-away schema.

The tests follow one another, as the jobs do.
"""

from typing import Any

import boathouse
import pytest

from flights.instants import instant
from flights.raw import TABLES as RAW
from flights.scoring import INFERENCE, MODEL
from flights.training import LABEL, LABELLED, lookups, spine
from jobs import features, ingest, labels, score_batch, score_stream, train

AS_OF = "2013-01-24"
SAMPLE = ["--sample", "0.2"]


@pytest.fixture(scope="module")
def lake() -> Any:
    return boathouse.connect()


def count(lake: Any, name: str, where: str = "true") -> int:
    return int(lake.sql(f"select count(*) as n from {name} where {where}").to_arrow()["n"][0].as_py())


def test_events_come_in_steps_and_nothing_comes_twice(lake: Any) -> None:
    ingest.main(["--as-of", "2013-01-10", *SAMPLE])
    first = count(lake, "raw.arrivals")
    ingest.main(["--as-of", AS_OF, *SAMPLE])
    after = {table.name: count(lake, table.name) for table in RAW}
    assert after["raw.arrivals"] > first > 0
    ingest.main(["--as-of", AS_OF, *SAMPLE])
    assert {table.name: count(lake, table.name) for table in RAW} == after
    assert count(lake, "raw.arrivals", f"known_time > timestamptz '{AS_OF} 00:00:00+00'") == 0


def test_features_are_refreshed_in_steps_and_nothing_comes_twice(lake: Any) -> None:
    features.main(["--as-of", "2013-01-10"])
    features.main(["--as-of", AS_OF])
    rows = count(lake, "features.carrier_history")
    features.main(["--as-of", AS_OF])
    assert rows == count(lake, "features.carrier_history") > 0
    assert count(lake, "features.planes") > 0


def test_no_feature_is_newer_than_the_prediction(lake: Any) -> None:
    from boathouse.feature_engineering import FeatureEngineeringClient

    flights = lake.sql(spine(instant("2013-01-15"), instant("2013-01-16"), instant(AS_OF))).to_arrow()
    client = FeatureEngineeringClient()
    joined = (
        client.create_training_set(df=flights, feature_lookups=lookups(), label=LABEL).load_df().toPandas()
    )
    assert len(joined) == flights.num_rows > 0
    row = joined.iloc[0]
    known = lake.sql(f"""
        select temp from features.weather
        where origin = '{row["origin"]}' and known_time <= timestamptz '{row["prediction_time"]}'
        order by time_hour desc limit 1
    """).to_arrow()
    assert known["temp"][0].as_py() == row["temp"]


def test_labels_are_collected(lake: Any) -> None:
    labels.main(["--as-of", AS_OF])
    assert count(lake, LABELLED) == count(lake, "raw.arrivals")


def test_a_model_is_trained_and_registered(lake: Any) -> None:
    train.main(["--as-of", AS_OF, "--holdout-days", "5", "--iterations", "10", "--trials", "1"])
    assert lake.models.get(MODEL)["versions"]


def test_batch_and_stream_log_their_predictions(lake: Any) -> None:
    newest = ["--model-uri", f"models:/{MODEL}/1"]
    score_batch.main(["--from", "2013-01-20", "--to", "2013-01-21", *newest])
    score_stream.main(["--as-of", "2013-01-22", *newest])
    batch, stream = count(lake, INFERENCE, "mode = 'batch'"), count(lake, INFERENCE, "mode = 'stream'")
    assert batch > 0
    assert stream > 0
    score_stream.main(["--as-of", "2013-01-22", *newest])
    assert count(lake, INFERENCE, "mode = 'stream'") == stream
