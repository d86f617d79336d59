"""What a new table shall be."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from boathouse.errors import InvalidInput


@dataclass(frozen=True)
class TableSpec:
    """What a new table shall be. `schema` is an Arrow schema; keys may not be null.

    With a `location` outside the lakehouse's storage it is an external table; if a Delta table lies there already,
    that is the table, and `schema` may be None. With a `view`, its SQL, it is that and has no files.
    """

    name: str
    schema: Any = None
    primary_keys: tuple[str, ...] = ()
    event_time: str | None = None
    known_time: str | None = None
    partition_by: tuple[str, ...] = ()
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    column_comments: Mapping[str, str] = field(default_factory=dict)
    constraints: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    location: str | None = None
    view: str | None = None
    expectations: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    freshness: float | None = None

    def check(self) -> None:
        """Raises InvalidInput when keys or times name no column or have a type that cannot serve."""
        for what, columns in (
            ("primary key", self.primary_keys), ("partition column", self.partition_by),
            ("event time", (self.event_time,) if self.event_time else ()),
            ("known time", (self.known_time,) if self.known_time else ()),
        ):  # fmt: skip
            for column in columns:
                if column not in self.schema.names:
                    raise InvalidInput(
                        f"{self.name}: the {what} {column!r} is no column (it has {', '.join(self.schema.names)})"
                    )
        if twice := [key for key in self.primary_keys if self.primary_keys.count(key) > 1]:
            raise InvalidInput(f"{self.name}: the primary key {twice[0]!r} is named twice")
        for time in (self.event_time, self.known_time):
            if time and not str(self.schema.field(time).type).startswith("timestamp"):
                raise InvalidInput(f"{self.name}.{time} must be a timestamp, not {self.schema.field(time).type}")
        if self.event_time and self.event_time not in self.primary_keys:
            raise InvalidInput(f"{self.name}: the event time {self.event_time!r} must be one of the primary keys")
