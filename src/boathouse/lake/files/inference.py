"""The narrowest type that holds every value of a column, judged over all of the input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from boathouse.lake.files.casts import NUMBER, trimmed
from boathouse.lake.files.dates import DAY_FIRST, FULL_YEAR, ISO, MONTH_FIRST, DateShapes
from boathouse.lake.files.rows import Kind, sql_list

_SAMPLE = 10_000
_NEARLY = 0.9
_AMBIGUOUS = "may be dates with the day or the month first, and stays text; say --date-format"
_TYPES = {"bigint": pa.int64(), "double": pa.float64(), "boolean": pa.bool_()}
_CHECKS = {
    "bigint": "CAST(TRY_CAST(v AS BIGINT) AS VARCHAR) = v",
    "double": f"TRY_CAST(v AS DOUBLE) IS NOT NULL AND regexp_full_match(v, '{NUMBER}') "
              r"AND NOT regexp_full_match(v, '-?\d{19,}')",
    "boolean": "lower(v) IN ('true', 'false')",
}  # fmt: skip
_FACTS = {
    "values": "v IS NOT NULL",
    "timed": "contains(v, ':')",
    "yearly": f"regexp_matches(v, '{FULL_YEAR}')",
    "plain": r"NOT regexp_matches(v, '^\d{1,2}[/-]\d+[/-]')",  # the day and the month cannot be taken for each other
}
_FOUND_OUT = {"iso": ISO, "day_first": DAY_FIRST, "month_first": MONTH_FIRST}

Counts = dict[str, int]
"""Condition -> how many values meet it."""


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
    found = _tried(connection, view, {c: [*_CHECKS] if kind == "text" else [] for c, kind in columns.items()}, ways)
    for names in (["iso"], [name for name in ways if name != "iso"]):  # what takes long only where the rest does not hold
        left = [c for c, counts in found.items() if not _standing(counts) and counts["yearly"] >= _NEARLY * counts["values"]]
        for column, counts in _tried(connection, view, dict.fromkeys(left, names), ways).items():
            found[column] |= counts
    chosen = {column: _chosen(counts, ways) for column, counts in found.items()}
    return {c: replace(i, note=i.note or _nearly(i, found[c], ways)) for c, i in chosen.items()}


def shapes(connection: duckdb.DuckDBPyConnection, view: str, column: str) -> DateShapes | None:
    """How the dates of a column are written whose type is known: what most values fit; None where two ways fit alike."""
    counts = _count(connection, view, {column: list(_FOUND_OUT)}, _FOUND_OUT)[column]
    best = max(counts[name] for name in _FOUND_OUT)
    if counts["iso"] == best:
        return ISO
    fitting = [name for name in ("day_first", "month_first") if counts[name] == best]
    return _FOUND_OUT[fitting[0]] if len(fitting) == 1 or counts["plain"] == counts["values"] else None


def _tried(connection: duckdb.DuckDBPyConnection, view: str, checks: Mapping[str, Sequence[str]],
           ways: Mapping[str, DateShapes]) -> dict[str, Counts]:  # fmt: skip
    """Counts over all rows; of conditions that a sample rules out, its share of them, which is never all."""
    sample = _count(connection, f"(SELECT * FROM {view} LIMIT {_SAMPLE})", checks, ways)
    left = {c: [name for name in checks[c] if counts[name] == counts["values"]] for c, counts in sample.items()}
    whole = _count(connection, view, left, ways)
    for column, counts in whole.items():
        for name in set(checks[column]) - set(left[column]):
            counts[name] = int(counts["values"] * sample[column][name] / sample[column]["values"] * 0.999)
    return whole


def _count(connection: duckdb.DuckDBPyConnection, source: str, checks: Mapping[str, Sequence[str]],
           ways: Mapping[str, DateShapes]) -> dict[str, Counts]:  # fmt: skip
    """Column -> condition -> how many values meet it. Columns that are asked the same are asked in one query.

    Columns become rows of (column, value) first: to plan a sum for each of hundreds would take longer than to compute it.
    """
    conditions = _CHECKS | _FACTS | {name: f"{way.instant('v')} IS NOT NULL" for name, way in ways.items()}
    alike: dict[tuple[str, ...], list[str]] = {}
    for column, names in checks.items():
        alike.setdefault((*names, *_FACTS), []).append(column)
    found: dict[str, Counts] = {column: {} for column in checks}
    for names, columns in alike.items():
        sums = ", ".join(f"count(*) FILTER (WHERE {conditions[name]})" for name in names)
        pairs = f"SELECT unnest({sql_list(columns)}) AS c, unnest([{', '.join(columns)}]) AS raw FROM {source}"
        query = f"SELECT c, {sums} FROM (SELECT c, {trimmed('raw')} AS v FROM ({pairs})) GROUP BY c"
        counted = {row[0]: row[1:] for row in connection.sql(query).fetchall()}
        for column in columns:  # there may be no row
            found[column] = dict(zip(names, counted.get(column) or [0] * len(names), strict=True))
    return found


def _standing(counts: Counts) -> list[str]:
    """The conditions that every value meets."""
    return [name for name in (*_TYPES, *_FOUND_OUT, "given") if counts.get(name) == counts["values"]]


def _nearly(found: Inferred, counts: Counts, ways: Iterable[str]) -> str:
    """What a column of text would be but for a few of its values."""
    if not pa.types.is_string(found.type):
        return ""
    for name, said in {**{n: n for n in _TYPES}, **dict.fromkeys(ways, "timestamp")}.items():
        if counts["values"] > counts.get(name, 0) >= _NEARLY * counts["values"]:
            share = counts[name] / counts["values"]
            return f"is text, though {min(share, 0.999):.1%} of its values are {said}; see --type"
    return ""


def _chosen(counts: Counts, ways: Mapping[str, DateShapes]) -> Inferred:
    standing = _standing(counts)
    if not counts["values"]:
        return Inferred(pa.string(), note="holds no value, and is taken for text")
    if standing and standing[0] in _TYPES:
        return Inferred(_TYPES[standing[0]])
    dated = [name for name in standing if name in ways]
    if not dated:
        return Inferred(pa.string())
    if "iso" not in dated and len(dated) > 1 and counts["plain"] < counts["values"]:
        return Inferred(pa.string(), note=_AMBIGUOUS)
    return Inferred(pa.timestamp("us", tz="UTC") if counts["timed"] else pa.date32(), ways[dated[0]])
