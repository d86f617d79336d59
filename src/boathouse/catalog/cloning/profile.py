"""What a synthetic clone keeps of a column: how its values are spread, not the values."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from boathouse.lake import Engine, quoted

Kind = Literal["key", "number", "flag", "category", "text", "time", "nested"]

_STEPS = tuple(n / 100 for n in range(1, 100))
"""The quantiles that are kept; what lies beyond the first and the last, the extremes, is not."""

_MOST_CATEGORIES = 200
_FEWEST_OF_A_CATEGORY = 5


@dataclass(frozen=True)
class ColumnProfile:
    """The spread of one column.

    `nulls` is the share of nulls. `quantiles` are those of the numbers, of the texts' lengths, or, of times, just the
    spread's width in microseconds. `shares` are those of the categories, the largest first, of the flags that of true.
    """

    name: str
    type: pa.DataType
    kind: Kind
    nulls: float = 0.0
    quantiles: tuple[float, ...] = ()
    shares: tuple[float, ...] = ()
    required: bool = False


def profiles(engine: Engine, relation: str, schema: pa.Schema, keys: Collection[str]) -> tuple[ColumnProfile, ...]:
    """The profile of each column of a relation; `keys` are mapped one to one and have none."""
    return tuple(_profile(engine, relation, field, field.name in keys) for field in schema)


def _profile(engine: Engine, relation: str, field: pa.Field, key: bool) -> ColumnProfile:
    kind, column = field.type, quoted(field.name)
    made = ColumnProfile(field.name, kind, _kind(kind, key), required=not field.nullable)
    if made.kind == "key" or pa.types.is_nested(kind):
        return made
    rows, nulls = _asked(engine, f"SELECT count(*), count(*) FILTER (WHERE {column} IS NULL) FROM {relation}")
    share = nulls / rows if rows else 0.0
    if made.kind == "category":
        return _of_text(engine, relation, made, rows - nulls, share)
    told = {"number": f"{column}::DOUBLE", "flag": f"{column}::INT::DOUBLE", "time": f"epoch_us({column}::TIMESTAMP)::DOUBLE",
            "text": f"octet_length({column})::DOUBLE"}[made.kind]  # fmt: skip
    if made.kind == "flag":
        (true,) = _asked(engine, f"SELECT avg({told}) FROM {relation}")
        return ColumnProfile(field.name, kind, "flag", share, shares=(true or 0.0,), required=made.required)
    found = _quantiles(engine, relation, told)
    if made.kind == "time" and found:
        found = (found[-1] - found[0],)
    return ColumnProfile(field.name, kind, made.kind, share, found, required=made.required)


def _of_text(engine: Engine, relation: str, made: ColumnProfile, values: int, nulls: float) -> ColumnProfile:
    column = quoted(made.name)
    counted = [n for (n,) in _rows(
        engine, f"""SELECT count(*) FROM {relation} WHERE {column} IS NOT NULL GROUP BY {column}
                    ORDER BY 1 DESC LIMIT {_MOST_CATEGORIES + 1}"""
    )]  # fmt: skip
    if len(counted) > _MOST_CATEGORIES or (counted and counted[0] < _FEWEST_OF_A_CATEGORY):
        found = _quantiles(engine, relation, f"length({column})::DOUBLE")
        return ColumnProfile(made.name, made.type, "text", nulls, found, required=made.required)
    kept = [n for n in counted if n >= _FEWEST_OF_A_CATEGORY]
    rare = values - sum(kept)
    shares = tuple(n / values for n in [*kept, *([rare] if rare else [])])
    return ColumnProfile(made.name, made.type, "category", nulls, shares=shares, required=made.required)


def _quantiles(engine: Engine, relation: str, value: str) -> tuple[float, ...]:
    found = _asked(
        engine, f"SELECT quantile_cont(v, {list(_STEPS)}) FROM (SELECT {value} AS v FROM {relation}) WHERE isfinite(v)"
    )[0]  # fmt: skip
    return tuple(found or ())


def _kind(kind: pa.DataType, key: bool) -> Kind:
    if pa.types.is_nested(kind):
        return "nested"
    if key:
        return "key"
    if pa.types.is_boolean(kind):
        return "flag"
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return "time"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "category"
    return "text" if pa.types.is_binary(kind) else "number"


def _asked(engine: Engine, query: str) -> tuple[Any, ...]:
    return _rows(engine, query)[0]


def _rows(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    return engine.connection.execute(query).fetchall()
