"""The narrowest type that holds every value of a column, judged over all of the input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import duckdb
import pyarrow as pa

from boathouse.lake.files.casts import NUMBER, trimmed
from boathouse.lake.files.dates import DAY_FIRST, ISO, MONTH_FIRST, DateShapes
from boathouse.lake.files.rows import Kind

_SAMPLE = 10_000
_NEARLY = 0.9
_AMBIGUOUS = "may be dates with the day or the month first, and stays text; say --date-format"
_TYPES = {"bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
_CHECKS = {
    "bigint": "CAST(TRY_CAST(:v AS BIGINT) AS VARCHAR) = :v",
    "double": f"TRY_CAST(:v AS DOUBLE) IS NOT NULL AND regexp_full_match(:v, '{NUMBER}') "
              r"AND NOT regexp_full_match(:v, '-?\d{19,}')",
    "boolean": "lower(:v) IN ('true', 'false')",
}  # fmt: skip
_FACTS = {
    "values": ":v IS NOT NULL",
    "timed": "contains(:v, ':')",
    "plain": r"NOT regexp_matches(:v, '^\d{1,2}[/-]\d+[/-]')",  # the day and the month cannot be taken for each other
}
_FOUND_OUT = {"iso": ISO, "day_first": DAY_FIRST, "month_first": MONTH_FIRST}


@dataclass(frozen=True)
class Inferred:
    """A column's type, how its dates are written, and what the reader should know about it."""

    type: pa.DataType
    dates: DateShapes = ISO
    note: str = ""


def infer(connection: duckdb.DuckDBPyConnection, view: str, columns: Mapping[str, Kind],
          dates: DateShapes | None = None) -> dict[str, Inferred]:  # fmt: skip
    """Column -> type, for columns of text in a view. A sample only rules types out; all rows decide.

    `dates` says how dates are written; without it that is found out.
    """
    ways = {"iso": ISO, "given": dates} if dates else _FOUND_OUT
    wanted = {c: [*_CHECKS, *ways] if kind == "text" else list(ways) for c, kind in columns.items()}
    sample = f"(SELECT * FROM {view} LIMIT {_SAMPLE})"
    tried = _count(connection, sample, wanted, ways)
    left = {column: _standing(counts, wanted[column]) for column, counts in tried.items()}
    counted = _count(connection, view, left, ways)
    found = {column: _chosen(counts, left[column], ways) for column, counts in counted.items()}
    return {c: replace(i, note=i.note or _nearly(i, (tried[c], counted[c]), ways)) for c, i in found.items()}


def shapes(connection: duckdb.DuckDBPyConnection, view: str, column: str) -> DateShapes | None:
    """How the dates of a column are written whose type is known: what most values fit; None where two ways fit alike."""
    counts = _count(connection, view, {column: list(_FOUND_OUT)}, _FOUND_OUT)[column]
    best = max(counts[name] for name in _FOUND_OUT)
    if counts["iso"] == best:
        return ISO
    fitting = [name for name in ("day_first", "month_first") if counts[name] == best]
    return _FOUND_OUT[fitting[0]] if len(fitting) == 1 or counts["plain"] == counts["values"] else None


def _count(connection: duckdb.DuckDBPyConnection, source: str, checks: Mapping[str, Sequence[str]],
           ways: Mapping[str, DateShapes]) -> dict[str, dict[str, int]]:  # fmt: skip
    conditions = _CHECKS | _FACTS | {name: f"{way.instant(':v')} IS NOT NULL" for name, way in ways.items()}
    asked = [(column, name) for column, names in checks.items() for name in (*names, *_FACTS)]
    if not asked:
        return {}
    sums = (f"count(*) FILTER (WHERE {conditions[name].replace(':v', trimmed(column))})" for column, name in asked)
    row: Any = connection.sql(f"SELECT {', '.join(sums)} FROM {source}").fetchall()[0]
    found: dict[str, dict[str, int]] = {}
    for (column, name), count in zip(asked, row, strict=True):
        found.setdefault(column, {})[name] = count
    return found


def _standing(counts: Mapping[str, int], names: Sequence[str]) -> list[str]:
    return [name for name in names if counts[name] == counts["values"]]


def _nearly(found: Inferred, counted: Sequence[Mapping[str, int]], ways: Iterable[str]) -> str:
    """What a column of text would be but for a few of its values."""
    if not pa.types.is_string(found.type):
        return ""
    for name, said in {**{n: n for n in _TYPES}, **dict.fromkeys(ways, "timestamp")}.items():
        for counts in counted:
            fitting = counts.get(name, 0)
            if counts["values"] > fitting >= _NEARLY * counts["values"]:
                return f"is text, though {counts[name]:,} of {counts['values']:,} values looked at are {said}; see --type"
    return ""


def _chosen(counts: Mapping[str, int], names: Sequence[str], ways: Mapping[str, DateShapes]) -> Inferred:
    standing = _standing(counts, names)
    if not counts["values"]:
        return Inferred(pa.string(), note="holds no value, and is taken for text")
    for name in standing:
        if name in _TYPES:
            return Inferred(_TYPES[name])
    dated = [name for name in standing if name in ways]
    if not dated:
        return Inferred(pa.string())
    if "iso" not in dated and len(dated) > 1 and counts["plain"] < counts["values"]:
        return Inferred(pa.string(), note=_AMBIGUOUS)
    return Inferred(pa.timestamp("us", tz="UTC") if counts["timed"] else pa.date32(), ways[dated[0]])
