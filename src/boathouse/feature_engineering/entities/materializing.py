"""The published names of what keeps declared features: where, when, and how far it has come."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

__all__ = [
    "Backfill",
    "CronSchedule",
    "MaterializedFeature",
    "OfflineStoreConfig",
    "OnlineStoreConfig",
    "StreamingMode",
    "TableTrigger",
]


@dataclass(frozen=True)
class OfflineStoreConfig:
    """Where tables of features are kept; names without a catalog are the environment's."""

    catalog_name: str | None = None
    schema_name: str = "features"
    table_name_prefix: str | None = None


@dataclass(frozen=True)
class OnlineStoreConfig:
    """That tables of features are published online, too, in the named store or the default one.

    The other fields name what this lakehouse has by itself: online tables are called as their sources.
    """

    catalog_name: str | None = None
    schema_name: str | None = None
    table_name_prefix: str | None = None
    online_store_name: str | None = None


@dataclass(frozen=True)
class CronSchedule:
    """When to refresh: a Quartz expression and a time zone."""

    quartz_cron_expression: str = ""
    timezone_id: str = "UTC"


@dataclass(frozen=True)
class TableTrigger:
    """Refresh when the source has new rows, once a minute at most."""


@dataclass(frozen=True)
class StreamingMode:
    """Refresh at each commit of the source, as soon as it is there."""


Trigger = CronSchedule | TableTrigger | StreamingMode


@dataclass(frozen=True)
class MaterializedFeature:
    """One feature and the table that keeps it, standing at a version of its source and at a moment."""

    feature_name: str
    table_name: str
    source_version: int | None = None
    until: datetime | None = None
    online: bool = False

    @property
    def materialized_feature_id(self) -> str:
        """`table.feature`."""
        return f"{self.table_name}.{self.feature_name}"


@dataclass(frozen=True)
class Backfill:
    """A range that was computed again; `rows` were set or removed."""

    backfill_id: str
    tables: list[str]
    start_time: datetime
    end_time: datetime
    rows: int
    state: Literal["SUCCEEDED"] = "SUCCEEDED"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "start_time": self.start_time.isoformat(), "end_time": self.end_time.isoformat()}

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "Backfill":
        """From `to_dict`."""
        times = {name: datetime.fromisoformat(body[name]) for name in ("start_time", "end_time")}
        return cls(**{**body, **times})
