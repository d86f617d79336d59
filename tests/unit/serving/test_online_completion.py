"""Rows of a request, completed with published features."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput, Unavailable
from boathouse.features import EmbeddedStore, FeatureLookup, FeatureSpec, Publication, TableFacts, resolve
from boathouse.serving.online_completion import OnlineCompletion
from boathouse.serving.rows import ABSENT, Rows

WEATHER, PLANES = "dev.features.weather", "dev.features.planes"
FACTS = {
    WEATHER: TableFacts(
        {"origin": "string", "hour": "timestamp", "temp": "double"}, ("origin", "hour"), "hour"
    ),
    PLANES: TableFacts({"tail": "string", "year": "int", "seats": "int"}, ("tail", "year")),
}
LOOKUPS = [
    FeatureLookup(WEATHER, "origin", timestamp_lookup_key="at", rename_outputs={"temp": "warmth"}),
    FeatureLookup(PLANES, ["plane", "built"], default_values={"seats": 50}),
]


@pytest.fixture
def spec() -> FeatureSpec:
    columns = {"origin": "string", "at": "timestamp", "plane": "string", "built": "int", "late": "int"}
    return resolve(columns, LOOKUPS, FACTS, "late", ["origin", "at", "plane", "built"])


@pytest.fixture
def online(tmp_path: Path) -> EmbeddedStore:
    store = EmbeddedStore(tmp_path)
    store.publish(Publication(table=WEATHER, keys=("origin",), version=4), [pa.record_batch({"origin": ["JFK"], "temp": [18.0]})])
    planes = pa.record_batch(
        {"year": [1999, 2001], "tail": ["N1", "N2"], "seats": pa.array([100, None], pa.int32())}
    )
    store.publish(Publication(table=PLANES, keys=("tail", "year"), version=7), [planes])
    return store


def asked(*without: str, **columns: list[object]) -> Rows:
    given = {"origin": ["JFK"], "plane": ["N1"], "built": [1999], **columns}
    return Rows({name: values for name, values in given.items() if name not in without}, 1)


def complete(spec: FeatureSpec, rows: Rows, online: EmbeddedStore) -> tuple[Mapping[str, list[Any]], Mapping[str, int]]:
    completed, versions = OnlineCompletion(spec, online).complete(rows)
    return completed.columns, versions


def test_features_are_looked_up_by_key_under_their_output_names(
    spec: FeatureSpec, online: EmbeddedStore
) -> None:
    rows, versions = complete(spec, asked(), online)
    assert (rows["warmth"], rows["seats"]) == ([18.0], [100])
    assert versions == {WEATHER: 4, PLANES: 7}


def test_a_value_of_the_request_overrides_the_stored_one(spec: FeatureSpec, online: EmbeddedStore) -> None:
    rows, versions = complete(spec, asked("origin", warmth=[30.0]), online)
    assert rows["warmth"] == [30.0]
    assert versions == {PLANES: 7}


def test_an_unknown_key_gives_nothing_or_the_default(spec: FeatureSpec, online: EmbeddedStore) -> None:
    rows, _ = complete(spec, asked(origin=["XXX"], plane=["N9"]), online)
    assert rows["warmth"] == [None]
    assert rows["seats"] == [50]


def test_a_stored_null_and_a_null_key_give_the_default(spec: FeatureSpec, online: EmbeddedStore) -> None:
    rows = Rows({"origin": ["JFK", None], "plane": ["N2", ABSENT], "built": [2001, None]}, 2)
    completed, _ = complete(spec, rows, online)
    assert completed["seats"] == [50, 50]


def test_a_missing_lookup_key_is_named(spec: FeatureSpec, online: EmbeddedStore) -> None:
    with pytest.raises(InvalidInput, match="the rows lack 'plane'; a request carries origin, plane, built"):
        complete(spec, asked("plane"), online)


def test_no_time_is_needed_and_rows_are_not_changed(spec: FeatureSpec, online: EmbeddedStore) -> None:
    rows = asked()
    complete(spec, rows, online)
    assert list(rows.columns) == ["origin", "plane", "built"]


def test_a_table_that_was_never_published_is_named(spec: FeatureSpec, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=f"{WEATHER} is not published"):
        complete(spec, asked(), EmbeddedStore(tmp_path / "empty"))


def test_a_feature_that_was_not_published_is_named(
    spec: FeatureSpec, online: EmbeddedStore
) -> None:
    online.publish(Publication(table=WEATHER, keys=("origin",), version=5), [pa.record_batch({"origin": ["JFK"], "wind": [3.0]})])
    with pytest.raises(Unavailable, match=f"{WEATHER} was published without 'temp'"):
        complete(spec, asked(), online)


def test_a_model_without_features_takes_the_rows_as_they_are(online: EmbeddedStore) -> None:
    assert complete(FeatureSpec(()), asked(), online) == (asked().columns, {})
