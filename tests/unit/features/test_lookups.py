"""FeatureLookup and FeatureFunction as the published client writes them."""

from datetime import timedelta
from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.features import FeatureFunction, FeatureLookup


def test_one_name_may_stand_for_a_list() -> None:
    lookup = FeatureLookup("features.weather", "origin", feature_names="temp", timestamp_lookup_key="hour")
    assert lookup == FeatureLookup(
        table_name="features.weather",
        lookup_key=["origin"],
        feature_names=["temp"],
        timestamp_lookup_key=["hour"],
    )


def test_feature_name_and_output_name_still_work_with_a_warning() -> None:
    with pytest.warns(DeprecationWarning, match="use feature_names and rename_outputs"):
        lookup = FeatureLookup("features.planes", "tail", feature_name="seats", output_name="plane_seats")
    assert (lookup.feature_names, lookup.rename_outputs) == (("seats",), {"seats": "plane_seats"})


def test_old_and_new_names_cannot_be_mixed() -> None:
    with pytest.warns(DeprecationWarning, match="deprecated"), pytest.raises(InvalidInput, match="mixes"):
        FeatureLookup("features.planes", "tail", feature_names=["seats"], feature_name="seats")


def test_a_negative_lookback_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"features\.weather is negative"):
        FeatureLookup("features.weather", "origin", lookback_window=timedelta(hours=-1))


def test_a_function_is_named_after_itself_unless_told_otherwise() -> None:
    assert FeatureFunction(udf_name="features.speed").output_name == "features.speed"
    assert FeatureFunction(udf_name="features.speed", output_name="speed").output_name == "speed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"lookback_window": 7}, r"lookback_window of shop.t is 7: give a datetime.timedelta"),
        ({"rename_outputs": "x"}, "rename_outputs of shop.t is a dict"),
        ({"default_values": [1]}, "default_values of shop.t is a dict"),
        ({"lookup_key": 3}, "lookup_key of shop.t is a column's name or a list"),
        ({"table_name": None}, "table_name is the name of a table, not None"),
    ],
)
def test_arguments_of_another_kind_are_named(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        FeatureLookup(**{"table_name": "shop.t", "lookup_key": "id", **given})
