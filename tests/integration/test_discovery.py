"""Finding features: by words, tags and owner; with what they are made of, who uses them, and how fresh they are."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pandas as pd
import pytest

from boathouse.client import Lake
from boathouse.feature_engineering import FeatureEngineeringClient, FeatureLookup

pytestmark = pytest.mark.xdist_group("discovery")
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def fe(lake: Lake) -> FeatureEngineeringClient:
    client = FeatureEngineeringClient()
    hours = pd.DataFrame({"origin": ["JFK"], "hour": [datetime(2024, 1, 1, tzinfo=UTC)], "temp": [1.0], "wind": [2.0]})
    lake.create_table("raw.hours", hours)
    client.create_table(name="features.weather", primary_keys=["origin", "hour"], timeseries_column="hour",
                        df=lake.table("raw.hours").read(), tags={"team": "ops"}, description="Weather by hour.",
                        feature_descriptions={"wind": "Gusts in knots."})  # fmt: skip
    client.create_table(name="features.gates", primary_keys=["origin"], df=pd.DataFrame({"origin": ["JFK"], "gates": [8]}))
    client.create_feature_spec(name="features.trip", features=[
        FeatureLookup("features.weather", "origin", feature_names="temp"), FeatureLookup("features.gates", "origin"),
    ])  # fmt: skip
    client.publish_table(source_table_name="features.weather")
    return client


def test_a_search_finds_words_of_features_and_tags(fe: FeatureEngineeringClient, command: Command) -> None:
    def found(*words: str) -> list[str]:
        return [t["name"] for t in json.loads(command("features", "list", *words, "--json")[1])]

    assert found() == ["dev.features.gates", "dev.features.weather"]
    assert found("--search", "knots WEATHER") == found("--tag", "team=ops") == ["dev.features.weather"]
    assert found("--search", "knots gates") == found("--owner", "nobody") == []


def test_a_table_shows_sources_specs_and_freshness(fe: FeatureEngineeringClient, command: Command) -> None:
    shown = json.loads(command("features", "show", "features.weather", "--json")[1])
    assert shown["uses"]["sources"] == ["dev.raw.hours"]
    assert shown["uses"]["specs"] == ["dev.features.trip"]
    assert shown["freshness"]["newest_event"].startswith("2024-01-01")
    assert shown["freshness"]["online_version"] == shown["freshness"]["version"]


def test_one_feature_shows_what_uses_that_feature(fe: FeatureEngineeringClient, command: Command) -> None:
    used, unused = (json.loads(command("features", "show", f"features.weather.{c}", "--json")[1]) for c in ("temp", "wind"))
    assert (used["uses"]["specs"], unused["uses"]["specs"]) == (["dev.features.trip"], [])
    code, said = command("features", "show", "features.weather.rain")
    assert (code, "has no column 'rain'" in said) == (1, True)
