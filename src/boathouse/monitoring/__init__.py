"""Monitoring: profiles, drift and quality of tables and of models.

`profile` describes the windows of a relation, `drift` compares profiles with each other; both give rows
with the published columns. The measures are functions over arrays, for gates and notebooks.
"""

from boathouse.monitoring.bins import bin_edges
from boathouse.monitoring.definition import completed, gold_of
from boathouse.monitoring.drift import drift
from boathouse.monitoring.gold import QUALITY, TABLE, drift_schema, profile_schema
from boathouse.monitoring.measures import (
    Measures,
    binary_metrics,
    cbpe,
    multiclass_metrics,
    regression_metrics,
)
from boathouse.monitoring.profile import profile
from boathouse.monitoring.refresh import Refresh, join_labels, refresh, spec_of
from boathouse.monitoring.spec import MonitorSpec
from boathouse.monitoring.unpack import pending
from boathouse.monitoring.windows import GRANULARITIES, Granularity, Window, parse_granularity, touched

__all__ = [
    "GRANULARITIES",
    "QUALITY",
    "TABLE",
    "Granularity",
    "Measures",
    "MonitorSpec",
    "Refresh",
    "Window",
    "bin_edges",
    "binary_metrics",
    "cbpe",
    "completed",
    "drift",
    "drift_schema",
    "gold_of",
    "join_labels",
    "multiclass_metrics",
    "parse_granularity",
    "pending",
    "profile",
    "profile_schema",
    "refresh",
    "regression_metrics",
    "spec_of",
    "touched",
]
