"""A version of a row that brings some columns only: the others stay as they were known then."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boathouse.client import Lake
from boathouse.errors import ExpectationsFailed
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup

NOON = datetime(2025, 3, 30, 12, tzinfo=UTC)


def at(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def version(place: str, known: int, event: int = 0, **values: Any) -> dict[str, Any]:
    return {"place": place, "at": at(event), "known": at(known), **values}


@pytest.fixture
def fe(lake: Lake) -> FeatureEngineeringClient:
    made = FeatureEngineeringClient(context=lake)
    if lake.table_exists("sky.weather"):
        made.drop_table(name="sky.weather", force=True)
    made.create_table(
        name="sky.weather", primary_keys=["place", "at"], timeseries_column="at", known_time_column="known",
        df=[version("pune", 1, temp=20.0, rain=1.0), version("pune", 5, temp=25.0, rain=5.0),
            version("köln", 1, temp=8.0, rain=0.0)],
    )  # fmt: skip
    return made


def seen(fe: FeatureEngineeringClient, *moments: int) -> list[tuple[Any, ...]]:
    spine = [{"place": "pune", "when": at(moment)} for moment in moments]
    asked = FeatureLookup("sky.weather", "place", timestamp_lookup_key="when")
    rows = fe.create_training_set(df=spine, feature_lookups=[asked], label=None).load_df().toPandas()
    return list(zip(rows["temp"], rows["rain"], strict=True))


def test_a_correction_of_some_columns_keeps_the_others_as_they_were_known(fe: FeatureEngineeringClient) -> None:
    fe.write_table(name="sky.weather", df=[version("pune", 7, temp=26.0)])
    assert seen(fe, 1, 6, 7) == [(20.0, 1.0), (25.0, 5.0), (26.0, 5.0)]


def test_what_came_late_takes_what_was_known_at_its_own_time_and_changes_no_later_version(fe: FeatureEngineeringClient) -> None:
    fe.write_table(name="sky.weather", df=[version("pune", 3, temp=22.0), version("pune", 4, temp=23.0)])
    assert seen(fe, 1, 3, 4, 5) == [(20.0, 1.0), (22.0, 1.0), (23.0, 1.0), (25.0, 5.0)]


def test_a_version_that_is_there_changes_in_place_and_one_without_a_past_has_nulls(
    fe: FeatureEngineeringClient, lake: Lake
) -> None:
    first, other = version("pune", 0, temp=19.0), version("pune", 9, event=8, temp=30.0)
    fe.write_table(name="sky.weather", df=[version("pune", 5, temp=24.0), first, other, version("goa", 1, temp=31.0)])
    rows = lake.sql("select place, temp, rain from sky.weather order by temp").to_dicts()
    assert [(r["place"], r["temp"], r["rain"]) for r in rows] == [
        ("köln", 8.0, 0.0), ("pune", 19.0, None), ("pune", 20.0, 1.0), ("pune", 24.0, 5.0), ("pune", 30.0, None),
        ("goa", 31.0, None),
    ]  # fmt: skip


def test_a_null_that_is_given_is_kept_and_new_columns_come_with_it(fe: FeatureEngineeringClient) -> None:
    fe.write_table(name="sky.weather", df=[{**version("pune", 7, temp=None), "wind": 3.0}])
    found = next(r for r in fe.read_table(name="sky.weather").to_dicts() if r["place"] == "pune")
    assert (found["temp"], found["rain"], found["wind"]) == (None, 5.0, 3.0)


def test_expectations_are_asked_of_the_whole_version(fe: FeatureEngineeringClient, lake: Lake) -> None:
    hot = {"hot": {"expr": "temp < 10 OR rain < 5", "action": "fail"}}
    lake.call("PATCH", "/api/v1/tables/dev.sky.weather", {"expectations": hot})
    with pytest.raises(ExpectationsFailed, match="hot"):
        fe.write_table(name="sky.weather", df=[version("pune", 7, temp=26.0)])
    fe.write_table(name="sky.weather", df=[version("köln", 7, temp=26.0)])
