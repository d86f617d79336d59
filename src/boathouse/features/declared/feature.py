"""A declared feature: a source, a function, whose it is, and since when a row counts."""

import re
from dataclasses import dataclass
from typing import Any

from boathouse.errors import InvalidInput
from boathouse.features.declared.operators import ColumnSelection, Operator, operator_of
from boathouse.features.declared.sources import DataFrameSource, DeltaTableSource, RequestSource, Source
from boathouse.features.declared.windows import NEWEST, Rule, TimeWindow, window_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(frozen=True)
class AggregationFunction:
    """An operator over the rows of a time window; without one, over all up to now."""

    operator: Operator
    time_window: TimeWindow | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.operator, Operator):
            raise InvalidInput(f"{self.operator!r} is no operator: give Sum(input=…), Avg(input=…), Count() …")
        if self.time_window is not None and not isinstance(self.time_window, TimeWindow):
            raise InvalidInput(f"{self.time_window!r} is no time window: give RollingWindow(window_duration=…) or another")


@dataclass(frozen=True, init=False)
class Feature:
    """A feature as code. `entity` names the key columns, of the source and of whatever rows it is looked up for.

    `full_name` is there when it is registered. Raises InvalidInput.
    """

    source: Source
    function: AggregationFunction | ColumnSelection
    entity: tuple[str, ...]
    timeseries_column: str | None
    name: str
    description: str
    full_name: str | None

    def __init__(self, *, source: Source, function: AggregationFunction | ColumnSelection | Operator,
                 entity: str | list[str] | tuple[str, ...] | None = None, timeseries_column: str | None = None,
                 name: str | None = None, description: str | None = None, full_name: str | None = None) -> None:  # fmt: skip
        if not isinstance(source, DeltaTableSource | DataFrameSource | RequestSource):
            raise InvalidInput(f"{type(source).__name__} is no source; use DeltaTableSource, DataFrameSource or RequestSource")
        if not isinstance(function, AggregationFunction | Operator):
            raise InvalidInput(f"{type(function).__name__} is no function; use AggregationFunction or ColumnSelection")
        if isinstance(function, Operator) and not isinstance(function, ColumnSelection):
            function = AggregationFunction(function)
        keys = (entity,) if isinstance(entity, str) else tuple(entity or ())
        values = {"source": source, "function": function, "entity": keys, "timeseries_column": timeseries_column,
                  "name": name or _named(function), "description": description or "", "full_name": full_name}  # fmt: skip
        for field, value in values.items():
            object.__setattr__(self, field, value)
        self._check()

    @property
    def operator(self) -> Operator:
        """What is computed."""
        return self.function.operator if isinstance(self.function, AggregationFunction) else self.function

    @property
    def rule(self) -> Rule:
        """Which rows count when."""
        window = self.function.time_window if isinstance(self.function, AggregationFunction) else None
        if window is not None:
            return window.rule(self.source.settling)
        settling = self.source.settling.total_seconds()
        return Rule(None, 1, 0, NEWEST.lag + int(settling * 1_000_000))

    @property
    def told(self) -> str:
        """In words: `sum of amount, sliding 30d 1d`."""
        of = f" of {self.operator.input}" if self.operator.input else ""
        window = self.function.time_window if isinstance(self.function, AggregationFunction) else None
        return f"{self.operator.kind}{of}" + (f", {window.text().replace('_', ' ')}" if window else "")

    def to_dict(self) -> dict[str, Any]:
        """As JSON. Raises InvalidInput for a source that only lives in this process."""
        if not isinstance(self.source, DeltaTableSource):
            raise InvalidInput(f"{self.name}: a {type(self.source).__name__} cannot be kept; use a DeltaTableSource")
        window = self.function.time_window if isinstance(self.function, AggregationFunction) else None
        return {
            "name": self.name, "full_name": self.full_name, "source": self.source.to_dict(), "operator": self.operator.to_dict(),
            "time_window": window.to_dict() if window else None, "entity": list(self.entity),
            "timeseries_column": self.timeseries_column, "description": self.description,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: dict[str, Any]) -> "Feature":
        """From `to_dict`. Raises InvalidInput."""
        try:
            operator = operator_of(body["operator"])
            window = window_of(body["time_window"]) if body.get("time_window") else None
            function = operator if isinstance(operator, ColumnSelection) else AggregationFunction(operator, window)
            return cls(
                source=DeltaTableSource.from_dict(body["source"]), function=function, entity=body["entity"],
                timeseries_column=body.get("timeseries_column"), name=body["name"], description=body.get("description"),
                full_name=body.get("full_name"),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"this is no declared feature: {error!r}") from error

    def _check(self) -> None:
        if not _NAME.match(self.name):
            raise InvalidInput(f"{self.name!r} is no feature name: letters, digits and _ only")
        if isinstance(self.source, RequestSource):
            if not isinstance(self.function, ColumnSelection):
                raise InvalidInput(f"{self.name}: of a RequestSource a feature takes a column as it is: ColumnSelection(…)")
            return
        if not self.entity:
            raise InvalidInput(f"{self.name}: name the entity, the key columns of the source")
        if self.timeseries_column is None and not isinstance(self.function, ColumnSelection):
            raise InvalidInput(f"{self.name}: an aggregation needs timeseries_column, the source's time")


def _named(function: AggregationFunction | ColumnSelection) -> str:
    if isinstance(function, ColumnSelection):
        return _plain(str(function.input))
    window = function.time_window.text() if function.time_window else "all"
    parts = (function.operator.input, function.operator.kind, window)
    return _plain("_".join(part for part in parts if part))


def _plain(text: str) -> str:
    """A name of a column as a feature's: what is no letter, digit or _ is left out."""
    found = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    return found if _NAME.match(found) else f"f_{found}"
