"""Where an older script says that a table goes: a store of this lakehouse, whichever service the script names."""

import logging
from typing import Any

from boathouse.features import DEFAULT_STORE

_log = logging.getLogger(__name__)


class OnlineStoreSpec:
    """A named online store, and the name of the table in it (the feature table's own where none is given)."""

    def __init__(self, store: str = DEFAULT_STORE, table_name: str | None = None) -> None:
        self.name, self.table_name = store, table_name


class _Elsewhere(OnlineStoreSpec):
    """A service that this lakehouse does not write to: the environment's default store takes its place, and the log says so."""

    def __init__(self, *_address: Any, table_name: str | None = None, **_options: Any) -> None:
        super().__init__(DEFAULT_STORE, table_name)
        _log.warning("%s: rows go to this environment's default online store instead", type(self).__name__)


class AmazonDynamoDBSpec(_Elsewhere):
    """Stands for the default store."""


class AmazonRdsMySqlSpec(_Elsewhere):
    """Stands for the default store."""


class AzureCosmosDBSpec(_Elsewhere):
    """Stands for the default store."""


class AzureMySqlSpec(_Elsewhere):
    """Stands for the default store."""


class AzureSqlServerSpec(_Elsewhere):
    """Stands for the default store."""
