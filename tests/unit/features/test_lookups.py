"""FeatureLookup and FeatureFunction as the published client writes them."""

from datetime import timedelta

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
