"""Feature lookups: specs, point-in-time joins and the embedded online store."""

from boathouse.features.completion import complete_sql, training_set_sql
from boathouse.features.functions import OnlineFunctions, with_functions_sql
from boathouse.features.lookups import FeatureFunction, FeatureLookup
from boathouse.features.online import OnlineReader, OnlineSnapshot, OnlineTable, publish, withdraw
from boathouse.features.point_in_time import AsOf, FeatureSide, as_of_join_sql, check_duplicates
from boathouse.features.resolution import resolve
from boathouse.features.specs import (
    FeatureSpec,
    FunctionFacts,
    InputColumn,
    InputTable,
    Source,
    TableFacts,
    TableLookup,
)

__all__ = [
    "AsOf",
    "FeatureFunction",
    "FeatureLookup",
    "FeatureSide",
    "FeatureSpec",
    "FunctionFacts",
    "InputColumn",
    "InputTable",
    "OnlineFunctions",
    "OnlineReader",
    "OnlineSnapshot",
    "OnlineTable",
    "Source",
    "TableFacts",
    "TableLookup",
    "as_of_join_sql",
    "check_duplicates",
    "complete_sql",
    "publish",
    "resolve",
    "training_set_sql",
    "with_functions_sql",
    "withdraw",
]
