"""Lineage from raw rows to predictions, by table, version and column."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import mlflow.sklearn
import pytest
from sklearn.linear_model import LogisticRegression

from boathouse.client import Http, Lake
from boathouse.errors import InvalidInput, NotFound, NotPermitted
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


@pytest.fixture(scope="module")
def person(lake: Lake) -> Callable[..., Lake]:
    """Someone's own connection, with grants in dev."""

    def connect(name: str, *grants: tuple[str, str, str]) -> Lake:
        lake.call("POST", "/api/v1/principals", {"name": name})
        for privilege, kind, securable in (("USE CATALOG", "catalog", "dev"), *grants):
            lake.call("POST", "/api/v1/grants", {"principal": name, "privilege": privilege, "kind": kind, "securable": securable})
        return Lake(Http(lake.http.url, lake.call("POST", "/api/v1/tokens", {"principal": name})["token"]), "dev")

    return connect


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


def columns(lake: Lake, name: str, **options: Any) -> set[str]:
    found = lake.lineage(name, **options)
    return {f"{e['source']}.{c['source']} -> {e['target']}.{c['target']} {c['how'][0]}" for e in found for c in e["columns"]}


def test_a_feature_s_column_leads_back_to_its_raw_column_and_forward_to_predictions(story: Lake) -> None:
    assert columns(story, "features.weather.celsius") == {
        "dev.raw.weather.fahrenheit -> dev.features.weather.celsius TRANSFORMATION",
        "dev.raw.weather.fahrenheit -> dev.features.weather.* FILTER",
    }
    down = columns(story, "raw.weather.fahrenheit", direction="down")
    assert "dev.features.weather.celsius -> model:dev.flights.delay.celsius IDENTITY" in down
    assert "model:dev.flights.delay.prediction -> dev.flights.delay_inference.prediction IDENTITY" in down
    assert not any("late" in step for step in down)


def test_a_prediction_s_column_leads_back_through_the_model_to_the_label_and_the_features(story: Lake) -> None:
    up = columns(story, "dev.flights.delay_inference.prediction")
    assert {
        "model:dev.flights.delay.prediction -> dev.flights.delay_inference.prediction IDENTITY",
        "dev.raw.flights.delay -> model:dev.flights.delay.prediction TRANSFORMATION",
        "dev.features.weather.celsius -> model:dev.flights.delay.prediction TRANSFORMATION",
        "dev.raw.weather.fahrenheit -> dev.features.weather.celsius TRANSFORMATION",
    } <= up
    everything = columns(story, "flights.delay_inference", columns=True)
    assert "dev.features.weather.celsius -> dev.flights.delay_inference.celsius IDENTITY" in everything


def test_the_lineage_of_a_model_is_found_by_its_name_alone_and_by_version(story: Lake) -> None:
    assert edges(story, "flights.delay", depth=1) == edges(story, "model:flights.delay", depth=1, version=1)
    assert edges(story, "flights.delay", depth=1, version=9) == set()
    with pytest.raises(NotFound, match=r"nothing is named raw\.nothing"):
        story.lineage("raw.nothing")
    with pytest.raises(InvalidInput, match="no kind of node"):
        story.lineage("dashboard:x")


def test_what_is_hidden_has_no_name_in_any_form(story: Lake, person: Any) -> None:
    with person("anna", ("USE SCHEMA", "schema", "dev.features"), ("SELECT", "schema", "dev.features"),
                ("USE SCHEMA", "schema", "dev.flights"), ("SELECT", "schema", "dev.flights")) as anna:  # fmt: skip
        found = anna.lineage("features.weather", "both")
        (hidden,) = [e for e in found if e["target"] == "dev.features.weather"]
        assert hidden["source"].startswith("(hidden ")
        assert hidden["source_version"] is hidden["run_id"] is hidden["principal"] is hidden["job"] is None
        for form in ("edges", "graph", "dot", "mermaid"):
            text = anna.lineage_as(form, "features.weather", "both", columns=True)
            assert not [secret for secret in ("raw", "fahrenheit", "model:", "late") if secret in text]
        with pytest.raises(NotPermitted):
            anna.lineage("raw.weather", "down")


def test_from_a_version_of_a_table_forward_to_the_predictions_it_went_into(story: Lake, person: Any) -> None:
    assert story.touched("raw.weather", 1) == {
        "table": "dev.raw.weather", "version": 1, "newest": 1, "holding": "1",
        "tables": {"dev.features.weather": "1", "dev.flights.delay_inference": "1"},
        "models": {"dev.flights.delay": "1"}, "endpoints": [], "predictions": {"dev.flights.delay_inference": 8}, "hidden": 0,
    }  # fmt: skip
    with pytest.raises(InvalidInput, match="its newest is 1"):
        story.touched("raw.weather", 7)
    with person("rita", ("USE SCHEMA", "schema", "dev.raw"), ("SELECT", "schema", "dev.raw")) as rita:
        assert (rita.touched("raw.weather", 1)["tables"], rita.touched("raw.weather", 1)["hidden"]) == ({}, 3)


def test_a_trace_shows_the_versions_that_were_seen_and_not_those_written_since(story: Lake) -> None:
    late = NOON + timedelta(days=1)
    story.table("raw.weather").append({"station": ["LGA"], "hour": [late], "fahrenheit": [70.0]})
    warm = story.sql("SELECT station AS origin, hour, fahrenheit AS celsius FROM raw.weather WHERE station = 'LGA'")
    story.table("features.weather").merge(warm)
    found = story.trace("3:0")
    assert "dev.raw.weather@1 -> dev.features.weather@1" in found["lineage"]
    assert "dev.features.weather@1 -> model:dev.flights.delay@1" in found["lineage"]
    assert found["raw_tables"] == ["dev.raw.flights", "dev.raw.weather"]
    newest = {(e["source_version"], e["target_version"]) for e in story.lineage("features.weather")}
    assert newest == {("2", "2")}
    assert {e["behind"] for e in story.lineage("flights.delay") if e["source"] == "dev.features.weather"} == {1}


def test_a_search_finds_models_by_their_inputs(story: Lake, person: Any) -> None:
    found = {(f["kind"], f["name"]): {m["field"] for m in f["matched"]} for f in story.search("celsius")}
    assert found["model", "dev.flights.delay"] == {"column"}
    assert found["table", "dev.features.weather"] == {"column"}
    with person("noel") as noel:
        assert noel.search("celsius") == []


def test_who_may_write_a_volume_may_say_what_its_files_were_made_of(story: Lake, person: Any) -> None:
    story.volumes.create("raw.exports")
    told = {"target": "volume:dev.raw.exports", "version": None, "sources": [["dev.raw.weather", "1", "inferred"]]}
    with person("vera", ("USE SCHEMA", "schema", "dev.raw"), ("WRITE VOLUME", "volume", "dev.raw.exports")) as vera:
        vera.call("POST", "/api/v1/lineage", told)
        assert story.lineage("volume:raw.exports") == []  # of what she may not see she can tell nothing
    with person("vince", ("USE SCHEMA", "schema", "dev.raw")) as vince, pytest.raises(NotPermitted, match="WRITE VOLUME"):
        vince.call("POST", "/api/v1/lineage", told)
