"""Online stores: the newest known row of each key, for endpoints; embedded (LMDB) or over the network (Redis)."""

from boathouse.features.online.codec import Row, stored_type
from boathouse.features.online.embedded import EmbeddedStore, copy_embedded, embedded_stores
from boathouse.features.online.named import OnlineStoreInfo, OnlineStores
from boathouse.features.online.opening import open_online_store
from boathouse.features.online.redis_store import RedisStore
from boathouse.features.online.routing import Lookups, RoutedStores
from boathouse.features.online.store import OnlineStore
from boathouse.features.online.table import DEFAULT_STORE, Found, OnlineTable, Publication

__all__ = [
    "DEFAULT_STORE",
    "EmbeddedStore",
    "Found",
    "Lookups",
    "OnlineStore",
    "OnlineStoreInfo",
    "OnlineStores",
    "OnlineTable",
    "Publication",
    "RedisStore",
    "RoutedStores",
    "Row",
    "copy_embedded",
    "embedded_stores",
    "open_online_store",
    "stored_type",
]
