import warnings
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from duckdb import DuckDBPyConnection as Lake

from flights import training
from flights.instants import BEGINNING, instant
from flights.scoring import requests

END = instant("2013-02-01")


def plan(lake: Lake, departure: str, flight: int = 1) -> None:
    leg = ["UA", flight, "EWR", "IAH", f"{departure}+00", "N1"]
    lake.execute(
        "insert into raw.flights values (?, ?, ?, ?, ?, ?, ?, 5, 15, 1400, 200, ?)",
        [*leg, departure[:10], f"{departure}+00"],
    )


def arrive(lake: Lake, departure: str, delay: int, known: str, flight: int = 1) -> None:
    leg = ["UA", flight, "EWR", "IAH", f"{departure}+00", "N1"]
    lake.execute(
        "insert into raw.arrivals values (?, ?, ?, ?, ?, ?, ?, 100, ?)", [*leg, delay, f"{known}+00"]
    )


def rows(lake: Lake, query: str) -> list[dict[str, Any]]:
    return list(lake.sql(query).to_arrow_table().to_pylist())


def test_a_flight_is_predicted_two_hours_before_it_leaves(lake: Lake) -> None:
    plan(lake, "2013-01-05 12:00:00")
    (flight,) = rows(lake, training.departures(BEGINNING, END))
    assert flight["prediction_time"] == instant("2013-01-05T10:00")
    assert flight["weekday"] == 6
    assert rows(lake, training.departures(instant("2013-01-05T10:01"), END)) == []
    assert rows(lake, training.departures(BEGINNING, instant("2013-01-05T10:00"))) == []


@pytest.mark.parametrize(("delay", "late"), [(14, 0), (15, 1)])
def test_fifteen_minutes_are_late(lake: Lake, delay: int, late: int) -> None:
    plan(lake, "2013-01-05 12:00:00")
    arrive(lake, "2013-01-05 12:00:00", delay, known="2013-01-05 15:00:00")
    (flight,) = rows(lake, training.spine(BEGINNING, END, as_of=END))
    assert flight["late"] == late


def test_a_label_that_was_not_yet_known_is_not_learned(lake: Lake) -> None:
    plan(lake, "2013-01-05 12:00:00")
    arrive(lake, "2013-01-05 12:00:00", 30, known="2013-01-05 15:00:00")
    assert rows(lake, training.spine(BEGINNING, END, as_of=instant("2013-01-05T14:59"))) == []
    assert len(rows(lake, training.spine(BEGINNING, END, as_of=instant("2013-01-05T15:00")))) == 1


def test_a_cancelled_flight_is_scored_but_not_learned(lake: Lake) -> None:
    plan(lake, "2013-01-05 12:00:00")
    assert len(rows(lake, requests(BEGINNING, END))) == 1
    assert rows(lake, training.spine(BEGINNING, END, as_of=END)) == []


def test_labels_come_once_and_with_the_time_they_were_known(lake: Lake) -> None:
    plan(lake, "2013-01-05 12:00:00")
    arrive(lake, "2013-01-05 12:00:00", 30, known="2013-01-05 15:00:00")
    known = instant("2013-01-05T15:00")
    assert [row["label_time"] for row in rows(lake, training.labels(BEGINNING, known))] == [known]
    assert rows(lake, training.labels(known, END)) == []


def test_the_same_flight_is_the_same_request(lake: Lake) -> None:
    for flight in (1, 2):
        plan(lake, "2013-01-05 12:00:00", flight)
    first, again = rows(lake, requests(BEGINNING, END)), rows(lake, requests(instant("2013-01-05"), END))
    key = [row["request_id"] for row in first]
    assert sorted(key) == sorted(row["request_id"] for row in again)
    assert len(set(key)) == 2


def flights(rows: int = 400) -> pd.DataFrame:
    """Flights that are late when it rains, with every feature the model knows."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame({name: random.normal(size=rows) for name in training.NUMBERS})
    names = {name: random.choice(["a", "b", "c"], rows) for name in training.CATEGORIES}
    start = datetime(2013, 1, 1, tzinfo=UTC)
    times = [start + timedelta(hours=hour) for hour in range(rows)]
    late = (frame["precip"] + random.normal(scale=0.3, size=rows) > 0).astype(int)
    return frame.assign(**names, prediction_time=times, late=late)


def test_a_model_learns_and_is_measured_on_later_rows() -> None:
    earlier, later = training.split(flights())
    assert earlier["prediction_time"].max() < later["prediction_time"].min()
    measured = training.metrics(training.fit(training.pipeline(20), earlier), later)
    assert measured["roc_auc"] > 0.9
    assert measured["rows"] == 80


def test_shuffled_labels_teach_nothing() -> None:
    earlier, later = training.split(flights())
    bad = training.fit(training.pipeline(20), training.shuffled(earlier))
    assert training.shuffled(earlier)["late"].sum() == earlier["late"].sum()
    assert training.metrics(bad, later)["roc_auc"] < 0.7


def test_a_single_row_of_json_with_gaps_and_unseen_categories_is_scored() -> None:
    model = training.fit(training.pipeline(20), flights())
    request = dict.fromkeys(training.FEATURES) | {"carrier": "unseen", "hour": 7, "precip": 2.0}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert 0.5 < model.predict_proba(pd.DataFrame([request]))[0, 1] < 1


def test_the_same_data_give_the_same_model() -> None:
    frame = flights()
    once, again = (training.fit(training.pipeline(10), frame) for _ in range(2))
    assert (training.probability(once, frame) == training.probability(again, frame)).all()


def test_neither_month_nor_outcome_nor_identity_is_a_feature() -> None:
    forbidden = {"month", "dep_delay", "arr_delay", "air_time", "label_time", *training.NOT_FEATURES}
    assert not forbidden & set(training.FEATURES)
