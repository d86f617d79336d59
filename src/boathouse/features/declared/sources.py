"""Where declared features take their rows from."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from boathouse.errors import InvalidInput


@dataclass(frozen=True)
class SourceLateness:
    """Rows count only when they are `settling_delay` old, since the source may still get others of their time."""

    settling_delay: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.settling_delay < timedelta(0):
            raise InvalidInput(f"a settling delay cannot be negative: {self.settling_delay}")


@dataclass(frozen=True, init=False)
class DeltaTableSource:
    """A table of the lakehouse: its rows that meet `filter_condition`, as the expressions of `transformation_sql`.

    Both are row by row: `amount > 0`, and `*, amount * rate AS euros`. Without `catalog_name` the table is the
    environment's own. `dataframe_schema` is accepted and not needed.
    """

    table_name: str
    schema_name: str
    catalog_name: str | None
    filter_condition: str | None
    transformation_sql: str | None
    lateness: SourceLateness | None

    def __init__(self, catalog_name: str | None = None, schema_name: str | None = None, table_name: str | None = None,
                 filter_condition: str | None = None, transformation_sql: str | None = None,
                 lateness: SourceLateness | None = None, dataframe_schema: Any = None) -> None:  # fmt: skip
        if not schema_name or not table_name:
            raise InvalidInput("a DeltaTableSource needs schema_name and table_name")
        given = {
            "table_name": table_name, "schema_name": schema_name, "catalog_name": catalog_name,
            "filter_condition": filter_condition, "transformation_sql": transformation_sql, "lateness": lateness,
        }  # fmt: skip
        for name, value in given.items():
            object.__setattr__(self, name, value)

    @property
    def full_name(self) -> str:
        """The table, by two levels or three."""
        return ".".join(part for part in (self.catalog_name, self.schema_name, self.table_name) if part)

    @property
    def settling(self) -> timedelta:
        """How long the source takes to be complete."""
        return self.lateness.settling_delay if self.lateness else timedelta(0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "catalog_name": self.catalog_name, "schema_name": self.schema_name, "table_name": self.table_name,
            "filter_condition": self.filter_condition, "transformation_sql": self.transformation_sql,
            "settling_delay": self.settling.total_seconds(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "DeltaTableSource":
        """From `to_dict`."""
        given = {**body}
        settling = given.pop("settling_delay", 0)
        return cls(**given, lateness=SourceLateness(timedelta(seconds=settling)) if settling else None)


@dataclass(frozen=True, eq=False)
class DataFrameSource:
    """Rows of a frame: for trying a feature out. Such a feature cannot be registered or materialized."""

    dataframe: Any
    settling = timedelta(0)


@dataclass(frozen=True, eq=False)
class RequestSource:
    """Columns that come with each request, or with the spine; `schema` names them with their types."""

    schema: Any = None
    settling = timedelta(0)


Source = DeltaTableSource | DataFrameSource | RequestSource


class _NotHere:
    what = ""

    def __init__(self, *_given: Any, **_named: Any) -> None:
        raise InvalidInput(
            f"{type(self).__name__} {self.what} is not supported; land the rows in a table "
            "(`fe.write_table(df=lake.table(…).stream())` takes new ones exactly once) and use a DeltaTableSource"
        )


class KafkaSource(_NotHere):
    """Kafka: refused, naming what to do instead."""

    what = "(Kafka)"


class StreamSource(_NotHere):
    """Kafka and Kinesis streams: refused, naming what to do instead."""

    what = "(Kafka, Kinesis)"


class FeatureViewSource(_NotHere):
    """Features over features: refused, naming what to do instead."""

    what = "(features over features)"


class VolumeSource(_NotHere):
    """Files of a volume: refused, naming what to do instead."""

    what = "(files)"
