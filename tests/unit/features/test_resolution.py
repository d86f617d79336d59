"""Lookups resolved into a feature spec."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from boathouse.errors import BoathouseError, InvalidInput, NotFound
from boathouse.features import (
    FeatureFunction,
    FeatureLookup,
    FeatureSpec,
    FunctionFacts,
    Source,
    TableFacts,
    resolve,
)

SPINE = {
    "origin": "string",
    "dest": "string",
    "tail": "string",
    "at": "timestamp",
    "distance": "bigint",
    "late": "boolean",
}
FACTS = {
    "features.weather": TableFacts(
        {
            "origin": "string",
            "hour": "timestamp",
            "received": "timestamp",
            "temp": "double",
            "wind_speed": "double",
        },
        ("origin", "hour"),
        "hour",
        "received",
        7,
    ),
    "features.planes": TableFacts({"tailnum": "string", "seats": "int", "maker": "string"}, ("tailnum",)),
    "features.routes": TableFacts(
        {"origin": "string", "dest": "string", "flights": "long"}, ("origin", "dest")
    ),
}
PLANES = FeatureLookup("features.planes", "tail", default_values={"seats": 0})


def weather(key: str = "origin", **options: Any) -> FeatureLookup:
    return FeatureLookup("features.weather", key, timestamp_lookup_key="at", **options)


def resolved(
    *lookups: FeatureLookup | FeatureFunction, exclude: Sequence[str] = (), **options: Any
) -> FeatureSpec:
    return resolve(SPINE, lookups, FACTS, "late", exclude, **options)


def test_the_model_sees_the_spine_then_the_features_in_order_and_never_the_label() -> None:
    spec = resolved(weather(), PLANES)
    features = ("temp", "wind_speed", "seats", "maker")
    assert spec.model_columns == ("origin", "dest", "tail", "at", "distance", *features)
    assert spec.training_columns == ("origin", "dest", "tail", "at", "distance", "late", *features)


def test_excluded_columns_stay_as_inputs_only_where_something_needs_them() -> None:
    spec = resolved(weather(), exclude=["origin", "dest", "tail", "at", "wind_speed"])
    assert spec.model_columns == ("distance", "temp")
    assert spec.training_columns == ("distance", "late", "temp")
    assert spec.spine_inputs == ("origin", "at", "distance")


def test_a_request_need_not_carry_a_time_that_only_chooses_among_rows() -> None:
    assert resolved(weather(), exclude=["dest", "tail", "at"]).required_inputs == ("origin", "distance")
    assert resolved(weather(), exclude=["dest", "tail"]).required_inputs == ("origin", "at", "distance")


def test_lookups_carry_keys_times_defaults_and_the_facts_of_their_tables() -> None:
    lookup, planes = resolved(weather(lookback_window=timedelta(hours=2)), PLANES).lookups()
    assert (lookup.on, lookup.at, lookup.lookback) == (("origin",), "at", timedelta(hours=2))
    assert lookup.columns == (("temp", "temp"), ("wind_speed", "wind_speed"))
    assert (lookup.table.keys, lookup.table.event_time, lookup.table.known_time) == (
        ("origin",),
        "hour",
        "received",
    )
    assert lookup.table.version == 7
    assert (planes.on, planes.at, planes.defaults) == (("tail",), None, {"seats": 0})


def test_one_table_may_be_looked_up_twice_by_different_keys() -> None:
    there = weather("dest", feature_names="temp", rename_outputs={"temp": "dest_temp"})
    spec = resolved(weather(feature_names="temp"), there)
    assert [(lookup.on, lookup.columns) for lookup in spec.lookups()] == [
        (("origin",), (("temp", "temp"),)),
        (("dest",), (("temp", "dest_temp"),)),
    ]
    assert list(spec.tables) == ["features.weather"]


def test_lookup_keys_match_by_name_where_the_names_are_equal_else_by_position() -> None:
    def on(*keys: str) -> tuple[str, ...]:
        return resolved(FeatureLookup("features.routes", list(keys))).lookups()[0].on

    assert on("dest", "origin") == ("origin", "dest")
    assert on("tail", "origin") == ("tail", "origin")


def test_a_feature_that_the_spine_brings_keeps_its_place_and_stays_a_feature() -> None:
    spec = resolve(["temp", "origin", "at", "late"], [weather()], FACTS, "late")
    assert spec.model_columns == ("temp", "origin", "at", "wind_speed")
    assert spec.input_columns[0].source is Source.FEATURE_STORE
    assert "temp" not in spec.required_inputs


def test_rows_that_bring_every_feature_need_no_key() -> None:
    spec = resolved(weather(), exclude=["origin", "dest", "tail", "at"]).without(["temp", "wind_speed"])
    assert (spec.lookups(), spec.tables) == ((), {})
    assert spec.spine_inputs == ("distance", "temp", "wind_speed")


def test_without_a_label_every_column_is_an_input() -> None:
    assert resolve(SPINE, [], {}).model_columns == tuple(SPINE)
    assert resolve(SPINE, [], {}, ["late", "distance"]).label == ("late", "distance")


def test_functions_stand_after_what_they_take() -> None:
    speed = FeatureFunction(
        udf_name="features.ratio", input_bindings={"a": "double", "b": "temp"}, output_name="r"
    )
    double = FeatureFunction(
        udf_name="features.double", input_bindings={"x": "distance"}, output_name="double"
    )
    spec = resolved(speed, weather(), double, exclude=["distance", "temp", "wind_speed"])
    assert [column.name for column in spec.functions] == ["double", "r"]
    assert spec.model_columns == ("origin", "dest", "tail", "at", "double", "r")
    assert "distance" in spec.required_inputs
    assert [lookup.columns for lookup in spec.lookups()] == [(("temp", "temp"),)]


def test_a_parameter_without_a_binding_takes_the_column_of_its_name() -> None:
    function = FeatureFunction(
        udf_name="features.speed", input_bindings={"miles": "distance"}, output_name="speed"
    )
    facts = {"features.speed": FunctionFacts(("miles", "temp"), "DOUBLE")}
    column = resolved(weather(), function, function_facts=facts).functions[0]
    assert (column.input_bindings, column.data_type) == ({"miles": "distance", "temp": "temp"}, "double")


SPEED = FeatureFunction(udf_name="f.speed", input_bindings={"x": "distanse"}, output_name="speed")
TWICE = weather(feature_names=["temp", "wind_speed"], rename_outputs={"temp": "wind_speed"})
CASES: list[tuple[str, type[BoathouseError], list[FeatureLookup | FeatureFunction], str]] = [
    ("a key that is not in the spine", InvalidInput, [weather("orign")], r"'orign' of features\.weather is no"),
    ("the spine's columns are named", InvalidInput, [weather("orign")], r"which has \(origin, dest, tail, at,"),
    ("a table that is not there", NotFound, [FeatureLookup("features.plane", "tail")], "'features.planes'"),
    ("a feature that is not there", NotFound, [weather(feature_names="wind_sped")], "did you mean 'wind_speed'"),
    ("a renamed feature not there", NotFound, [weather(rename_outputs={"tmp": "t"})], "no feature 'tmp'"),
    ("a rename left out", InvalidInput, [weather(feature_names="temp", rename_outputs={"wind_speed": "w"})], "leaves out"),
    ("too many keys", InvalidInput, [FeatureLookup("features.planes", ["tail", "at"])], "has 2 columns"),
    ("too few keys", InvalidInput, [FeatureLookup("features.routes", "origin")], r"its keys are \(origin, dest\)"),
    ("no time", InvalidInput, [FeatureLookup("features.weather", "origin")], "give timestamp_lookup_key"),
    ("a time that is not there", InvalidInput,
     [FeatureLookup("features.weather", "origin", timestamp_lookup_key="hour")], "'hour' of features.weather"),
    ("a time that is none", InvalidInput,
     [FeatureLookup("features.weather", "origin", timestamp_lookup_key="distance")], "is long, not a timestamp"),
    ("a time for a static table", InvalidInput,
     [FeatureLookup("features.planes", "tail", timestamp_lookup_key="at")], "has no timeseries column"),
    ("a key of another type", InvalidInput, [FeatureLookup("features.planes", "distance")], "'distance' is long, the key"),
    ("the label as key", InvalidInput, [FeatureLookup("features.planes", "late")], "cannot be the lookup key"),
    ("two outputs of one name", InvalidInput, [weather(), weather("dest")], "two features are named 'temp'"),
    ("two outputs of one lookup", InvalidInput, [TWICE], "get one output name"),
    ("an output that differs in case", InvalidInput, [weather(rename_outputs={"temp": "Tail"})], "only in case"),
    ("an output like the label", InvalidInput, [weather(rename_outputs={"temp": "late"})], "name of a feature too"),
    ("a default for no output", InvalidInput, [weather(default_values={"tmp": 1.0})], "is no output"),
    ("a default of another type", InvalidInput, [weather(default_values={"temp": "cold"})], "does not fit its type double"),
    ("a function of nothing", InvalidInput, [SPEED], "bound to 'distanse', .* did you mean 'distance'"),
]  # fmt: skip


@pytest.mark.parametrize(("error", "lookups", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_cannot_be_right_is_refused_by_name(
    error: type[BoathouseError], lookups: list[FeatureLookup | FeatureFunction], says: str
) -> None:
    with pytest.raises(error, match=says):
        resolved(*lookups)


def test_labels_and_exclusions_must_be_columns() -> None:
    with pytest.raises(InvalidInput, match="the label 'delayed' is no column of the spine"):
        resolve(SPINE, [], {}, "delayed")
    with pytest.raises(InvalidInput, match="the label 'late' cannot be excluded"):
        resolved(exclude=["late"])
    with pytest.raises(InvalidInput, match="no column; did you mean 'distance'"):
        resolved(exclude=["distanc"])


def called(output: str, **bound: str) -> FeatureFunction:
    return FeatureFunction(udf_name="f.speed", input_bindings=bound, output_name=output)


BOUND: list[tuple[str, list[FeatureFunction], str]] = [
    ("the label", [called("s", miles="late", hours="distance")], "'miles' of f.speed is bound to the label 'late'"),
    ("nothing", [called("s", miles="distance")], "f.speed takes 'hours', and neither .* bind it in input_bindings"),
    ("a misspelt column", [called("s", miles="distanse", hours="distance")], "'miles' of .* did you mean 'distance'"),
    ("each other", [called("s", miles="t", hours="t"), called("t", miles="s", hours="s")], "s, t wait for each other"),
    ("a time for a number", [called("s", miles="at", hours="distance")], "'miles' of f.speed is double, and 'at' is timestamp"),
    ("another parameter", [called("s", mils="distance")], r"no parameter 'mils'; did you mean 'miles'"),
]  # fmt: skip


@pytest.mark.parametrize(("functions", "says"), [c[1:] for c in BOUND], ids=[c[0] for c in BOUND])
def test_a_binding_that_cannot_be_is_told_with_its_parameter(functions: list[FeatureFunction], says: str) -> None:
    facts = {"f.speed": FunctionFacts(("miles", "hours"), "double", ("double", "double"))}
    with pytest.raises(InvalidInput, match=says):
        resolved(*functions, function_facts=facts)


def test_bindings_go_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"input_bindings of f\.speed is a dict"):
        FeatureFunction(udf_name="f.speed", input_bindings=["distance"])  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="udf_name is the name of a registered function"):
        FeatureFunction(udf_name=len)  # type: ignore[arg-type]


def test_a_table_without_keys_is_told_apart_from_a_wrong_key() -> None:
    with pytest.raises(InvalidInput, match=r"raw\.plain has no primary keys"):
        resolve(SPINE, [FeatureLookup("raw.plain", "origin")], {"raw.plain": TableFacts({"origin": "string"}, ())})
    rates = TableFacts({"at": "timestamp", "rate": "double"}, ("at",), "at")
    with pytest.raises(InvalidInput, match="has no primary keys besides its times"):
        resolve(SPINE, [FeatureLookup("raw.rates", [], timestamp_lookup_key="at")], {"raw.rates": rates})


def test_keys_of_bytes_are_compared_under_the_engines_name_for_them() -> None:
    facts = {"features.files": TableFacts({"digest": "binary", "size": "long"}, ("digest",))}
    assert resolve({"digest": "BLOB"}, [FeatureLookup("features.files", "digest")], facts).model_columns == ("digest", "size")


def test_a_function_has_only_the_parameters_it_has() -> None:
    with pytest.raises(InvalidInput, match=r"f\.speed has no parameter 'x'"):
        resolved(SPEED, function_facts={"f.speed": FunctionFacts(("miles",))})
