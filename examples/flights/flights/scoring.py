"""Scoring of flights at their prediction time, 2 hours before departure. Batch and stream share it."""

from datetime import datetime
from typing import Any

from flights.raw import LEG
from flights.training import PREDICTION_TIME, departures

MODEL = "flights.delay"
CHAMPION = f"models:/{MODEL}@champion"
INFERENCE = f"{MODEL}_inference"


def requests(begin: datetime, end: datetime) -> str:
    """SQL of one request a flight of [begin, end): what a client would send, with an id and a time.

    The id is made of the flight: scoring a flight again is recognised as the same request.
    """
    return f"""
    select md5(concat_ws('|', {", ".join(LEG)})) as request_id, {PREDICTION_TIME} as request_time, *
    from ({departures(begin, end)})
    """


def score(lake: Any, begin: datetime, end: datetime, *, mode: str, model_uri: str = CHAMPION) -> int:
    """Predict the flights of [begin, end), each with features as of its prediction time, and say how many.

    The predictions are logged to the model's inference table as made in `mode` (batch or stream).
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    flights = lake.sql(requests(begin, end)).to_arrow()
    if flights.num_rows:
        FeatureEngineeringClient().score_batch(model_uri=model_uri, df=flights, log_to=MODEL, mode=mode)
    return int(flights.num_rows)
