"""The feature spec as YAML beside the model."""

from datetime import timedelta

import pytest
import yaml

from boathouse.errors import InvalidInput
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpec, TableFacts, resolve

WEATHER = TableFacts(
    {"origin": "string", "hour": "timestamp", "temp": "double"}, ("origin", "hour"), "hour", None, 3
)


@pytest.fixture
def spec() -> FeatureSpec:
    lookup = FeatureLookup(
        "features.weather",
        "airport",
        rename_outputs={"temp": "warmth"},
        timestamp_lookup_key="at",
        lookback_window=timedelta(hours=6),
        default_values={"warmth": 1e-05},
    )
    feels = FeatureFunction(
        udf_name="features.feels", input_bindings={"t": "warmth"}, output_name="feels_like"
    )
    spine = {"airport": "string", "at": "timestamp", "late": "boolean"}
    return resolve(spine, [lookup, feels], {"features.weather": WEATHER}, "late", ["at"])


def test_a_spec_survives_its_yaml(spec: FeatureSpec) -> None:
    again = FeatureSpec.from_yaml(spec.to_yaml())
    assert again == spec
    assert again.lookups() == spec.lookups()


def test_the_yaml_has_the_published_shape(spec: FeatureSpec) -> None:
    document = yaml.safe_load(spec.to_yaml())
    columns = {name: entry for column in document["input_columns"] for name, entry in column.items()}
    assert columns["airport"] == {
        "source": "training_data", "data_type": "string", "include": True, "topological_ordering": 0,
    }  # fmt: skip
    assert columns["warmth"] | {"lookback_window": 0} == {
        "source": "feature_store", "data_type": "double", "table_name": "features.weather", "feature_name": "temp",
        "lookup_key": ["airport"], "timestamp_lookup_key": ["at"], "lookback_window": 0, "output_name": "warmth",
        "default_value_str": "1e-05", "default_value": 1e-05, "include": True, "topological_ordering": 2,
    }  # fmt: skip
    assert columns["feels_like"]["input_bindings"] == [{"parameter": "t", "bound_to": "warmth"}]
    assert document["input_functions"] == [{"features.feels": {}}]
    assert document["serialization_version"] == 11


def test_tables_carry_what_a_lookup_must_know_of_them(spec: FeatureSpec) -> None:
    assert yaml.safe_load(spec.to_yaml())["input_tables"] == [
        {
            "features.weather": {
                "lookback_window": 21600.0,
                "table_version": 3,
                "primary_keys": ["origin"],
                "event_time": "hour",
                "known_time": None,
            }
        }
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "input_columns: 3", "input_columns: [", "serialization_version: x"]
)
def test_what_is_no_spec_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="no feature spec"):
        FeatureSpec.from_yaml(text)


def test_a_newer_spec_is_refused(spec: FeatureSpec) -> None:
    newer = spec.to_yaml().replace("serialization_version: 11", "serialization_version: 12")
    with pytest.raises(InvalidInput, match="reads up to 11: upgrade"):
        FeatureSpec.from_yaml(newer)
