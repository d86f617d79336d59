"""Feature lookups: specs, point-in-time joins and online stores."""

from boathouse.features.as_of_frames import as_of_join_frame, check_duplicate_rows, newest_known_rows
from boathouse.features.as_of_search import as_of_search
from boathouse.features.completion import (
    complete_frame,
    complete_search,
    complete_sql,
    training_set_frame,
    training_set_search,
    training_set_sql,
)
from boathouse.features.functions import OnlineFunctions, with_functions_frame, with_functions_sql
from boathouse.features.leaks import (
    COMMITTED,
    FeatureLeak,
    LeakQuestion,
    LeakReport,
    Reading,
    Retrained,
    TableLeak,
    listed,
    read_as,
    row_key,
)
from boathouse.features.lookups import FeatureFunction, FeatureLookup
from boathouse.features.online import (
    DEFAULT_STORE,
    EmbeddedStore,
    Lookups,
    OnlineStore,
    OnlineStoreInfo,
    OnlineStores,
    OnlineTable,
    Publication,
    RedisStore,
    RoutedStores,
    open_online_store,
)
from boathouse.features.point_in_time import AsOf, FeatureSide, as_of_join_sql, check_duplicates, quote
from boathouse.features.registered_features import RegisteredFeatures
from boathouse.features.registered_specs import FeatureSpecInfo, FeatureSpecs
from boathouse.features.resolution import as_asked, resolve, resolve_alone
from boathouse.features.served_skew import GIVEN, TIME, ServedQuestion
from boathouse.features.skew import FeatureSkew, Reason, SkewReport, online_skew_sql, skews
from boathouse.features.specs import (
    FeatureSpec,
    FunctionFacts,
    InputColumn,
    InputTable,
    Source,
    TableFacts,
    TableLookup,
)
from boathouse.features.uses import USES, Uses, source_of, uses_of

__all__ = [
    "COMMITTED",
    "DEFAULT_STORE",
    "GIVEN",
    "TIME",
    "USES",
    "AsOf",
    "EmbeddedStore",
    "FeatureFunction",
    "FeatureLeak",
    "FeatureLookup",
    "FeatureSide",
    "FeatureSkew",
    "FeatureSpec",
    "FeatureSpecInfo",
    "FeatureSpecs",
    "FunctionFacts",
    "InputColumn",
    "InputTable",
    "LeakQuestion",
    "LeakReport",
    "Lookups",
    "OnlineFunctions",
    "OnlineStore",
    "OnlineStoreInfo",
    "OnlineStores",
    "OnlineTable",
    "Publication",
    "Reading",
    "Reason",
    "RedisStore",
    "RegisteredFeatures",
    "Retrained",
    "RoutedStores",
    "ServedQuestion",
    "SkewReport",
    "Source",
    "TableFacts",
    "TableLeak",
    "TableLookup",
    "Uses",
    "as_asked",
    "as_of_join_frame",
    "as_of_join_sql",
    "as_of_search",
    "check_duplicate_rows",
    "check_duplicates",
    "complete_frame",
    "complete_search",
    "complete_sql",
    "listed",
    "newest_known_rows",
    "online_skew_sql",
    "open_online_store",
    "quote",
    "read_as",
    "resolve",
    "resolve_alone",
    "row_key",
    "skews",
    "source_of",
    "training_set_frame",
    "training_set_search",
    "training_set_sql",
    "uses_of",
    "with_functions_frame",
    "with_functions_sql",
]
