"""Several aggregates of one table on one grid of time, as declared features."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from boathouse.errors import InvalidInput
from boathouse.features.declared.feature import AggregationFunction, Feature
from boathouse.features.declared.operators import Operator, operator_of
from boathouse.features.declared.sources import DeltaTableSource
from boathouse.features.declared.windows import SlidingWindow, TimeWindow
from boathouse.features.point_in_time import quote

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SYNONYMS = {"mean": "avg", "stddev": "stddev_samp", "variance": "var_samp"}


@dataclass(frozen=True, kw_only=True)
class Aggregation:
    """A function of a column over the `time_window` before each step of the grid.

    `function` is a name ("sum", "avg", "count", "max" …) or an operator; a window's delay or negative offset shifts it
    back. Only rows that meet `filter_condition` count.
    """

    function: str | Operator
    time_window: timedelta | TimeWindow
    column: str | None = None
    output_column: str | None = None
    filter_condition: str | None = None

    def operator(self, column: str | None) -> Operator:
        """The function, of this column. Raises InvalidInput for a name that there is not."""
        if isinstance(self.function, Operator):
            return self.function if column is None else replace(self.function, input=column)
        kind = self.function.lower()
        return operator_of({"kind": _SYNONYMS.get(kind, kind), "input": column})

    def window(self, start: datetime, granularity: timedelta) -> SlidingWindow:
        """The window that ends at, or a fixed time before, each step of the grid through `start`."""
        given = self.time_window
        if not isinstance(given, TimeWindow):
            given = SlidingWindow(window_duration=given)
        back = (given.delay or timedelta(0)) - (given.offset or timedelta(0))
        grid = -((_EPOCH + back - start) % granularity)
        return SlidingWindow(window_duration=given.window_duration, slide_duration=granularity, delay=back, offset=grid)


@dataclass(frozen=True, kw_only=True)
class FeatureAggregations:
    """Aggregates of `source_table` by `lookup_key` that change every `granularity`, on the grid through `start_time`.

    Rows at or after `end_time` do not count. Raises InvalidInput.
    """

    source_table: str
    lookup_key: str | Sequence[str]
    timestamp_key: str
    granularity: timedelta
    start_time: datetime
    end_time: datetime | None = None
    aggregations: Sequence[Aggregation] | Aggregation

    def __post_init__(self) -> None:
        given = {"granularity": timedelta, "start_time": datetime} | ({"end_time": datetime} if self.end_time is not None else {})
        for name, kind in given.items():
            if not isinstance(getattr(self, name), kind):
                what = "a timedelta, such as timedelta(days=1)" if kind is timedelta else "a datetime"
                raise InvalidInput(f"{name} of FeatureAggregations is {getattr(self, name)!r}: give {what}")
        if self.granularity <= timedelta(0):
            raise InvalidInput(f"a granularity must be positive, not {self.granularity}")
        if self.end_time is not None and _aware(self.end_time) < _aware(self.start_time):
            raise InvalidInput(f"end_time {self.end_time} lies before start_time {self.start_time}")
        if not self._all or not all(isinstance(a, Aggregation) for a in self._all):
            raise InvalidInput(f"FeatureAggregations of {self.source_table} needs aggregations=[Aggregation(…)]")

    @property
    def _all(self) -> tuple[Aggregation, ...]:
        return (self.aggregations,) if isinstance(self.aggregations, Aggregation) else tuple(self.aggregations)

    def features(self) -> list[Feature]:
        """A declared feature for each aggregation, all of one source. Raises InvalidInput."""
        source = self._source()
        return [self._feature(number, source) for number in range(len(self._all))]

    def _source(self) -> DeltaTableSource:
        *catalog, schema, table = ["", *self.source_table.split(".")]
        if len(catalog) not in (1, 2) or not schema or not table:
            raise InvalidInput(f"source_table {self.source_table!r} is no name of a table: give `schema.table`")
        chosen = [
            f"CASE WHEN ({a.filter_condition}\n) THEN {quote(a.column) if a.column else 1} END AS {quote(_chosen(number))}"
            for number, a in enumerate(self._all) if a.filter_condition
        ]  # fmt: skip
        end = f"{quote(self.timestamp_key)} < '{_aware(self.end_time).isoformat()}'::TIMESTAMPTZ" if self.end_time else None
        return DeltaTableSource(
            catalog_name=catalog[-1] or None, schema_name=schema, table_name=table, filter_condition=end,
            transformation_sql=", ".join(["*", *chosen]) if chosen else None,
        )  # fmt: skip

    def _feature(self, number: int, source: DeltaTableSource) -> Feature:
        one = self._all[number]
        column = _chosen(number) if one.filter_condition else one.column
        keys = [self.lookup_key] if isinstance(self.lookup_key, str) else list(self.lookup_key)
        if one.output_column is None and one.filter_condition:
            raise InvalidInput(f"{self.source_table}: an aggregation with a filter_condition needs its output_column")
        return Feature(
            source=source, entity=keys, timeseries_column=self.timestamp_key, name=one.output_column,
            function=AggregationFunction(one.operator(column), one.window(_aware(self.start_time), self.granularity)),
        )  # fmt: skip


def expanded(features: Sequence[Feature | FeatureAggregations] | Feature | FeatureAggregations) -> list[Feature]:
    """One or several features, those of aggregations among them one by one. Raises InvalidInput for what is neither."""
    asked = list(features) if isinstance(features, Iterable) else [features]
    for one in asked:
        if not isinstance(one, Feature | FeatureAggregations):
            raise InvalidInput(f"features holds {one!r}: it takes declared features and FeatureAggregations; lookups and "
                               "functions are given as feature_lookups")  # fmt: skip
    return [f for given in asked for f in (given.features() if isinstance(given, FeatureAggregations) else [given])]


def _chosen(number: int) -> str:
    return f"__chosen_{number}"


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
