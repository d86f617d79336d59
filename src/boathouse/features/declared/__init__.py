"""Declared features: windows, operators, sources, and the SQL that computes them."""

from boathouse.features.declared.compute import (
    TIME,
    check_names,
    complete_sql,
    keys,
    lead,
    moments_sql,
    reach,
    rows_sql,
    touched_sql,
    values_sql,
)
from boathouse.features.declared.feature import AggregationFunction, Feature
from boathouse.features.declared.sources import DataFrameSource, DeltaTableSource, RequestSource, SourceLateness

__all__ = [
    "TIME",
    "AggregationFunction",
    "DataFrameSource",
    "DeltaTableSource",
    "Feature",
    "RequestSource",
    "SourceLateness",
    "check_names",
    "complete_sql",
    "keys",
    "lead",
    "moments_sql",
    "reach",
    "rows_sql",
    "touched_sql",
    "values_sql",
]
