"""Feature lookups: specs, point-in-time joins and the embedded online store."""

from boathouse.features.completion import complete_sql, training_set_sql
from boathouse.features.functions import OnlineFunctions, with_functions_sql
from boathouse.features.lookups import FeatureFunction, FeatureLookup
from boathouse.features.online import OnlineReader, OnlineSnapshot, OnlineTable, publish, withdraw
from boathouse.features.point_in_time import AsOf, FeatureSide, as_of_join_sql, check_duplicates
from boathouse.features.registered_specs import FeatureSpecInfo, FeatureSpecs
from boathouse.features.resolution import as_asked, resolve, resolve_alone
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
    "FeatureSpecInfo",
    "FeatureSpecs",
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
    "as_asked",
    "as_of_join_sql",
    "check_duplicates",
    "complete_sql",
    "publish",
    "resolve",
    "resolve_alone",
    "training_set_sql",
    "with_functions_sql",
    "withdraw",
]
