"""What a declared feature computes of the rows in its window. All operators but Count and the distinct counts skip nulls
and give null for a window without values; counts give 0.

Each is a window function: DuckDB keeps its partial results in a tree, so that a window costs the logarithm of its rows.
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from boathouse.errors import InvalidInput
from boathouse.features.point_in_time import quote


@dataclass(frozen=True)
class Over:
    """Which rows an aggregate is of: those of the named `window` that meet the condition `counted`."""

    window: str
    counted: str

    def __call__(self, call: str, *conditions: str) -> str:
        """SQL of one call of an aggregate, of rows that meet these conditions too."""
        return f"{call} FILTER (WHERE {' AND '.join([self.counted, *conditions])}) OVER {self.window}"


@dataclass(frozen=True)
class Operator:
    """One aggregate over the column `input`."""

    input: str | None = None
    kind: ClassVar[str] = ""
    function: ClassVar[str] = ""
    counts: ClassVar[bool] = False
    numbers: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.input is None and self.kind != "count":
            raise InvalidInput(f"{type(self).__name__} needs input=, the column that it takes")

    def sql(self, column: str, time: str, over: "Over") -> str:
        """The aggregate; `column` and `time` are SQL of the value and of the row's time."""
        return over(f"{self.function}({column})")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"kind": self.kind, **asdict(self)}


def _simple(kind: str, function: str, about: str) -> type[Operator]:
    name = "".join(part.capitalize() for part in kind.split("_"))
    told = {"kind": kind, "function": function, "numbers": kind not in ("min", "max"), "__doc__": about}
    made: type[Operator] = dataclass(frozen=True)(type(name, (Operator,), told))
    made.__module__ = __name__
    return made


Avg = _simple("avg", "avg", "The mean.")
Sum = _simple("sum", "sum", "The sum.")
Min = _simple("min", "min", "The smallest value.")
Max = _simple("max", "max", "The largest value.")
StddevPop = _simple("stddev_pop", "stddev_pop", "The standard deviation of the population.")
StddevSamp = _simple("stddev_samp", "stddev_samp", "The standard deviation of a sample; null for one value.")
VarPop = _simple("var_pop", "var_pop", "The variance of the population.")
VarSamp = _simple("var_samp", "var_samp", "The variance of a sample; null for one value.")


@dataclass(frozen=True)
class Count(Operator):
    """How many values are not null, or without `input` how many rows."""

    kind = "count"
    counts = True

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"count({column})" if self.input else "count(*)")


@dataclass(frozen=True)
class First(Operator):
    """The value of the oldest row; of several at one time the smallest."""

    kind = "first"

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"min({_dated(column, time)})", f"{column} IS NOT NULL") + ".v"


@dataclass(frozen=True)
class Last(Operator):
    """The value of the newest row; of several at one time the largest."""

    kind = "last"

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"max({_dated(column, time)})", f"{column} IS NOT NULL") + ".v"


@dataclass(frozen=True)
class _Several(Operator):
    n: int = 1
    end: ClassVar[str] = "min"
    distinct: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n < 1:
            raise InvalidInput(f"{type(self).__name__} needs n of 1 or more, not {self.n}")

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        if not self.distinct:
            dated = over(f"{self.end}({_dated(column, time)}, {self.n})", f"{column} IS NOT NULL")
            return f"list_transform({dated}, lambda p: p.v)"
        order = f"{time}, {column}" if self.end == "min" else f"{time} DESC, {column} DESC"
        listed = over(f"list({column} ORDER BY {order})", f"{column} IS NOT NULL")
        # the first place of each value, kept in order
        places = f"list_zip({listed}, range(1, 1 + {over(f'count({column})')}))"
        first = f"list_filter({places}, lambda p: list_position({listed}, p[1]) = p[2])"
        return f"CASE WHEN {listed} IS NOT NULL THEN list_transform({first}, lambda p: p[1])[1:{self.n}] END"


@dataclass(frozen=True)
class FirstN(_Several):
    """The `n` oldest values, oldest first."""

    kind = "first_n"


@dataclass(frozen=True)
class LastN(_Several):
    """The `n` newest values, newest first."""

    kind = "last_n"
    end = "max"


@dataclass(frozen=True)
class FirstDistinct(_Several):
    """The first `n` different values, in the order in which they first came."""

    kind = "first_distinct"
    distinct = True


@dataclass(frozen=True)
class LastDistinct(_Several):
    """The last `n` different values, the newest first."""

    kind = "last_distinct"
    end = "max"
    distinct = True


@dataclass(frozen=True)
class ApproxCountDistinct(Operator):
    """How many different values. It counts exactly, which meets any `relative_sd`."""

    relative_sd: float | None = None
    kind = "approx_count_distinct"
    counts = True

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"count(DISTINCT {column})")


@dataclass(frozen=True)
class ApproxPercentile(Operator):
    """The smallest value such that the share `percentile` (0 to 1) is not above it. Exact, which meets any `accuracy`."""

    percentile: float = 0.5
    accuracy: int | None = None
    kind = "approx_percentile"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.percentile <= 1:
            raise InvalidInput(f"a percentile lies between 0 and 1, not at {self.percentile}")

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"quantile_disc({column}, {float(self.percentile)!r})")


@dataclass(frozen=True, init=False)
class ColumnSelection(Operator):
    """The value of a column in the entity's newest row, null where that one is null: no window, no aggregate."""

    kind = "column"

    def __init__(self, column_name: str | None = None, *, input: str | None = None) -> None:
        object.__setattr__(self, "input", column_name or input)
        self.__post_init__()

    def sql(self, column: str, time: str, over: Over) -> str:
        """The aggregate."""
        return over(f"max({{'t': {time}, 'given': {column} IS NOT NULL, 'v': {column}}})") + ".v"


_OPERATORS: dict[str, type[Operator]] = {
    o.kind: o for o in (
        Avg, Count, Sum, Min, Max, First, Last, FirstN, LastN, FirstDistinct, LastDistinct, StddevPop, StddevSamp, VarPop,
        VarSamp, ApproxCountDistinct, ApproxPercentile, ColumnSelection,
    )
}  # fmt: skip


def operator_of(body: dict[str, Any]) -> Operator:
    """From `to_dict`. Raises InvalidInput for one that there is not."""
    given = {**body}
    kind = given.pop("kind", "")
    if kind not in _OPERATORS:
        raise InvalidInput(f"{kind!r} is no aggregation; use one of {', '.join(_OPERATORS)}")
    return _OPERATORS[kind](**given)


def input_sql(name: str | None) -> str:
    """SQL of an operator's column."""
    return quote(name) if name else "NULL"


def _dated(column: str, time: str) -> str:
    """A value behind its time: their order is that of the times, and of the values where these are equal."""
    return f"{{'t': {time}, 'v': {column}}}"
