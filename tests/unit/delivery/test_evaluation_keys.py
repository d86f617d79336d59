"""By which columns of the evaluation's rows features are found."""

import pandas as pd

from boathouse.delivery.evaluate import found_by
from boathouse.features import FeatureSpec, InputColumn, InputTable, Source

SPEC = FeatureSpec(
    (
        InputColumn("amount", Source.TRAINING_DATA),
        InputColumn("temp", Source.FEATURE_STORE, table_name="w", feature_name="temp", lookup_key=("origin",),
                    timestamp_lookup_key="time_hour"),
        InputColumn("ratio", Source.ON_DEMAND, udf_name="f.ratio", input_bindings={"a": "amount", "t": "temp"}),
        InputColumn("origin", Source.TRAINING_DATA, include=False),
        InputColumn("time_hour", Source.TRAINING_DATA, include=False),
    ),
    {"w": InputTable("dev.features.w", ("origin",), "time_hour")},
)  # fmt: skip
ROWS = pd.DataFrame({"origin": ["JFK"], "departed": [3], "amount": [1.0], "temp": [99.0], "ratio": [9.0], "late": [1]})


def test_without_keys_the_rows_own_columns_are_taken() -> None:
    assert found_by(SPEC, ROWS, {}) is ROWS


def test_with_keys_what_the_model_looks_up_or_computes_is_not_taken_from_the_rows() -> None:
    assert [*found_by(SPEC, ROWS, {"keys": ["origin"]}).columns] == ["origin", "departed", "amount", "late"]


def test_the_timestamp_is_the_time_of_each_lookup_whatever_the_model_calls_it() -> None:
    found = found_by(SPEC, ROWS, {"timestamp": "departed"})
    assert found["time_hour"].to_list() == [3]
    assert found["temp"].to_list() == [99.0]
