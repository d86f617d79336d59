"""The columns of the two gold tables: the published ones, then ours."""

from collections.abc import Mapping

import pyarrow as pa

TABLE = ":table"
"""The `column_name` of rows that describe the whole group."""

_INSTANT = pa.timestamp("us", "UTC")
_WINDOW = pa.struct([("start", _INSTANT), ("end", _INSTANT)])
_TEST = pa.struct([("statistic", pa.float64()), ("pvalue", pa.float64())])
_AVERAGES = pa.struct([("macro", pa.float64()), ("weighted", pa.float64())])
_ITEM = pa.struct([("item", pa.string()), ("count", pa.int64())])
_BIN = pa.struct([("lo", pa.float64()), ("hi", pa.float64()), ("count", pa.int64()), ("sum", pa.float64())])
_CELL = pa.struct([("prediction", pa.string()), ("label", pa.string()), ("count", pa.int64())])

_STATISTICS: Mapping[str, pa.DataType] = {
    "count": pa.int64(),
    "data_type": pa.string(),
    "num_nulls": pa.int64(),
    "avg": pa.float64(),
    "quantiles": pa.list_(pa.float64()),
    "min": pa.float64(),
    "max": pa.float64(),
    "stddev": pa.float64(),
    "num_zeros": pa.int64(),
    "num_nan": pa.int64(),
    "min_length": pa.float64(),
    "max_length": pa.float64(),
    "avg_length": pa.float64(),
    "non_null_columns": pa.list_(pa.string()),
    "frequent_items": pa.list_(_ITEM),
    "median": pa.float64(),
    "distinct_count": pa.int64(),
    "percent_nan": pa.float64(),
    "percent_null": pa.float64(),
    "percent_zeros": pa.float64(),
    "percent_distinct": pa.float64(),
}

QUALITY: Mapping[str, pa.DataType] = {
    "accuracy_score": pa.float64(),
    "confusion_matrix": pa.list_(_CELL),
    "precision": _AVERAGES,
    "recall": _AVERAGES,
    "f1_score": _AVERAGES,
    "log_loss": pa.float64(),
    "roc_auc_score": pa.float64(),
    "mean_squared_error": pa.float64(),
    "root_mean_squared_error": pa.float64(),
    "mean_average_error": pa.float64(),
    "mean_absolute_percentage_error": pa.float64(),
    "r2_score": pa.float64(),
    "num_labels": pa.int64(),
    "mean_prediction": pa.float64(),
    "mean_label": pa.float64(),
    "calibration_error": pa.float64(),
    "brier": pa.float64(),
}
"""Model quality, on ':table' rows; from `num_labels` on ours."""

_DRIFT: Mapping[str, pa.DataType] = {
    "data_type": pa.string(),
    "window_cmp": _WINDOW,
    "drift_type": pa.string(),
    "count_delta": pa.int64(),
    "avg_delta": pa.float64(),
    "percent_null_delta": pa.float64(),
    "percent_zeros_delta": pa.float64(),
    "percent_distinct_delta": pa.float64(),
    "non_null_columns_delta": pa.struct([("added", pa.int32()), ("missing", pa.int32())]),
    "js_distance": pa.float64(),
    "ks_test": _TEST,
    "wasserstein_distance": pa.float64(),
    "population_stability_index": pa.float64(),
    "chi_squared_test": _TEST,
    "tv_distance": pa.float64(),
    "l_infinity_distance": pa.float64(),
    "js_distance_binned": pa.float64(),
    "noise_floor": pa.float64(),
    "n_window": pa.int64(),
    "n_baseline": pa.int64(),
}


def gold_names(table: str, output_schema: str | None = None) -> tuple[str, str]:
    """The profile and drift tables of a watched table: beside it, or under its name in another schema of the environment."""
    beside = f"{output_schema.rpartition('.')[2]}.{table.rpartition('.')[2]}" if output_schema else table
    return f"{beside}_profile_metrics", f"{beside}_drift_metrics"


def profile_schema(model_id_col: str | None = None) -> pa.Schema:
    """The columns of a profile: the published ones, then ours (from `num_labels` on)."""
    return pa.schema(
        [
            ("window", _WINDOW),
            ("log_type", pa.string()),
            ("logging_table_commit_version", pa.int32()),
            ("monitor_version", pa.int64()),
            *_group(model_id_col),
            *_STATISTICS.items(),
            *QUALITY.items(),
            ("other_count", pa.int64()),
            ("bins", pa.list_(_BIN)),
        ]
    )


def drift_schema(model_id_col: str | None = None) -> pa.Schema:
    """The columns of drift: the published ones, then ours (from `js_distance_binned` on)."""
    granularity, *group = _group(model_id_col)
    return pa.schema(
        [("window", _WINDOW), granularity, ("monitor_version", pa.int64()), *group, *_DRIFT.items()]
    )


def _group(model_id_col: str | None) -> list[tuple[str, pa.DataType]]:
    model = [model_id_col] if model_id_col else []
    names = ["granularity", "slice_key", "slice_value", *model, "column_name"]
    return [(name, pa.string()) for name in names]
