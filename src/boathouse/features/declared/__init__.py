"""Declared features: windows, operators, sources, what computes them, and tables that keep them."""

from boathouse.features.declared.aggregations import Aggregation, FeatureAggregations, expanded
from boathouse.features.declared.completion import complete_declared
from boathouse.features.declared.compute import check_names, complete_sql
from boathouse.features.declared.feature import AggregationFunction, Feature
from boathouse.features.declared.materialize import Refreshed, backfill, computed, create, refresh, standing
from boathouse.features.declared.reading import grouped
from boathouse.features.declared.sources import DataFrameSource, DeltaTableSource, RequestSource, Source, SourceLateness

__all__ = [
    "Aggregation",
    "AggregationFunction",
    "DataFrameSource",
    "DeltaTableSource",
    "Feature",
    "FeatureAggregations",
    "Refreshed",
    "RequestSource",
    "Source",
    "SourceLateness",
    "backfill",
    "check_names",
    "complete_declared",
    "complete_sql",
    "computed",
    "create",
    "expanded",
    "grouped",
    "refresh",
    "standing",
]
