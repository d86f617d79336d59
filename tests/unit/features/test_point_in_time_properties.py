"""The as-of join against its definition, row by row in Python, on data that hypothesis makes up."""

import importlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boathouse.features import AsOf, FeatureSide, as_of_join_frame, as_of_join_sql, as_of_search
from boathouse.lake import Cluster

START = datetime(2024, 1, 1, tzinfo=UTC)
EVENT, KNOWN, KEYS = "event", "known", ("airport", "gate")


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='America/New_York'")
        # Else small data never meets the plan that large data gets.
        connection.execute("SET asof_loop_join_threshold=0")
        yield connection


class Stored(NamedTuple):
    airport: str | None
    gate: int | None
    event: int | None
    known: int | None
    value: int | None


class Wanted(NamedTuple):
    airport: str | None
    gate: int | None
    at: int | None


# Mostly one key and few nulls, else rows hardly ever meet.
airports = st.sampled_from(["JFK", "JFK", "JFK", "JFK", "EWR", None])
gates = st.sampled_from([1, 1, 1, 1, 2, None])
hours = st.sampled_from([*range(8), *range(8), None])
values = st.sampled_from([*range(20), None])
spines = st.lists(st.builds(Wanted, airports, gates, hours), min_size=6, max_size=16)
stored_rows = st.builds(Stored, airports, gates, hours, hours, values)
# Without a declared known time it is no part of the key, so rows are unique by what is declared.
corrected = st.lists(stored_rows, max_size=40, unique_by=lambda row: row[:4])
uncorrected = st.lists(stored_rows, max_size=40, unique_by=lambda row: row[:3])
lookbacks = st.sampled_from([None, None, 0, 1, 2, 3, 5])


def newest(wanted: Wanted, stored: list[Stored], known: bool, lookback: int | None) -> int | None:
    """The definition."""
    if wanted.at is None or None in wanted[:2]:
        return None
    visible = [
        row
        for row in stored
        if row[:2] == wanted[:2]
        and row.event is not None
        and row.event <= wanted.at
        and (not known or (row.known is not None and row.known <= wanted.at))
    ]
    best = max(visible, key=lambda row: (row.event, row.known) if known else (row.event,), default=None)
    if best is None or (lookback is not None and wanted.at - (best.event or 0) > lookback):
        return None
    return best.value


def table(rows: list[Any], kind: type[Any], times: dict[str, pa.DataType]) -> pa.Table:
    types = {"airport": pa.string(), "gate": pa.int32(), "value": pa.int64()} | times
    columns = {}
    for i, name in enumerate(kind._fields):
        column = [row[i] for row in rows]
        if name in times:
            column = [None if hour is None else START + timedelta(hours=hour) for hour in column]
            column = pa.array(column, pa.timestamp("us", "UTC")).cast(times[name])
        columns[name] = pa.array(column, types[name]) if isinstance(column, list) else column
    return pa.table(columns)


def joined(
    con: duckdb.DuckDBPyConnection | Cluster,
    spine: list[Wanted],
    joins: list[AsOf],
    zoned: bool = True,
    **stored: list[Stored],
) -> list[tuple[Any, ...]]:
    asking = table(spine, Wanted, {"at": pa.timestamp("us", "UTC" if zoned else None)})
    times = dict.fromkeys((EVENT, KNOWN), pa.timestamp("us", "UTC"))
    tables = {name: table(rows, Stored, times) for name, rows in stored.items()}
    if isinstance(con, Cluster):
        frames = {name: con.frame(rows) for name, rows in tables.items()}
        found = as_of_join_frame(con.session.createDataFrame(asking), joins, frames)
        return [tuple(row.values()) for row in found.toArrow().to_pylist()]
    con.register("spine", asking)
    for name, rows in tables.items():
        con.register(name, rows)
    rows = con.sql(as_of_join_sql("spine", joins)).fetchall()
    # A spine whose columns are named takes another plan than one whose width is unknown.
    assert con.sql(as_of_join_sql("spine", joins, asking.column_names)).fetchall() == rows
    names = asking.column_names
    assert all(searched(con, joins, names, how) == rows for how in (SORTED, STREAMED if len(joins) == 1 else SPOOLED))
    whole = [replace(join, side=replace(join.side, relation=_in_whole_numbers(join.side.relation))) for join in joins]
    assert [row[3:] for row in searched(con, whole, names, STREAMED, _in_whole_numbers("spine"))] == [row[3:] for row in rows]
    for name, table_rows in tables.items():  # rows that lie in order are not sorted
        con.register(name, table_rows.sort_by([(n, "ascending") for n in (*KEYS, EVENT)]))
    assert searched(con, joins, names, SORTED) == rows
    return rows


class How(NamedTuple):
    kinds: tuple[str, ...]
    most: int | None


SORTED, STREAMED, SPOOLED = How(("VARCHAR", "BIGINT"), None), How((), None), How((), 1)


def _in_whole_numbers(relation: str) -> str:
    return f"(SELECT * REPLACE (CASE airport WHEN 'JFK' THEN 7 WHEN 'EWR' THEN -2 END AS airport) FROM {relation})"


def searched(
    con: duckdb.DuckDBPyConnection, joins: list[AsOf], keep: list[str], how: How, spine: str = "spine"
) -> list[tuple[Any, ...]]:
    """Whatever the sizes: what is asked here is whether the rows are right."""
    module = importlib.import_module("boathouse.features.as_of_search")
    plan = module._Plan((how.kinds,) * len(joins), 1_000, True, how.most)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_planned", lambda *_: plan)
        patch.setattr("boathouse.features.as_of_streamed._BATCH_ROWS", 5)
        patch.setattr("boathouse.features.as_of_streamed._WAITING_BYTES", 300)
        found = as_of_search(con, spine, joins, keep, 2048)
        assert found is not None
        return con.from_arrow(found.read_all()).fetchall()


def spine_of(rows: list[tuple[Any, ...]]) -> list[Wanted]:
    def hour(at: datetime | None) -> int | None:
        return None if at is None else (at.replace(tzinfo=at.tzinfo or UTC) - START) // timedelta(hours=1)

    return [Wanted(row[0], row[1], hour(row[2])) for row in rows]


def check(
    con: duckdb.DuckDBPyConnection | Cluster,
    spine: list[Wanted],
    stored: list[Stored],
    *,
    known: bool,
    lookback: int | None,
    zoned: bool,
) -> None:
    side = FeatureSide("stored", KEYS, EVENT, KNOWN if known else None)
    back = None if lookback is None else timedelta(hours=lookback)
    rows = joined(con, spine, [AsOf(side, KEYS, "at", (("value", "out"),), back)], zoned, stored=stored)
    assert spine_of(rows) == spine
    assert [row[-1] for row in rows] == [newest(w, stored, known, lookback) for w in spine]


@settings(max_examples=120, deadline=None, database=None)
@given(spines, corrected, lookbacks, st.booleans())
def test_with_known_times_it_is_its_definition(
    con: duckdb.DuckDBPyConnection,
    spine: list[Wanted],
    stored: list[Stored],
    lookback: int | None,
    zoned: bool,
) -> None:
    check(con, spine, stored, known=True, lookback=lookback, zoned=zoned)


@settings(max_examples=80, deadline=None, database=None)
@given(spines, uncorrected, lookbacks, st.booleans())
def test_without_known_times_it_is_its_definition(
    con: duckdb.DuckDBPyConnection,
    spine: list[Wanted],
    stored: list[Stored],
    lookback: int | None,
    zoned: bool,
) -> None:
    check(con, spine, stored, known=False, lookback=lookback, zoned=zoned)


@settings(max_examples=12, deadline=None, database=None)
@given(spines, corrected, lookbacks, st.booleans())
def test_on_a_cluster_with_known_times_it_is_its_definition(
    cluster: Cluster, spine: list[Wanted], stored: list[Stored], lookback: int | None, zoned: bool
) -> None:
    check(cluster, spine, stored, known=True, lookback=lookback, zoned=zoned)


@settings(max_examples=12, deadline=None, database=None)
@given(spines, uncorrected, lookbacks, st.booleans())
def test_on_a_cluster_without_known_times_it_is_its_definition(
    cluster: Cluster, spine: list[Wanted], stored: list[Stored], lookback: int | None, zoned: bool
) -> None:
    check(cluster, spine, stored, known=False, lookback=lookback, zoned=zoned)


@settings(max_examples=50, deadline=None, database=None)
@given(spines, corrected, uncorrected, st.tuples(lookbacks, lookbacks))
def test_several_joins_do_not_disturb_each_other(
    con: duckdb.DuckDBPyConnection,
    spine: list[Wanted],
    first: list[Stored],
    second: list[Stored],
    back: tuple[int | None, int | None],
) -> None:
    check_several(con, spine, first, second, back)


@settings(max_examples=12, deadline=None, database=None)
@given(spines, corrected, uncorrected, st.tuples(lookbacks, lookbacks))
def test_on_a_cluster_several_joins_do_not_disturb_each_other(
    cluster: Cluster,
    spine: list[Wanted],
    first: list[Stored],
    second: list[Stored],
    back: tuple[int | None, int | None],
) -> None:
    check_several(cluster, spine, first, second, back)


def check_several(
    con: duckdb.DuckDBPyConnection | Cluster,
    spine: list[Wanted],
    first: list[Stored],
    second: list[Stored],
    back: tuple[int | None, int | None],
) -> None:
    joins = [
        AsOf(
            FeatureSide("first", KEYS, EVENT, KNOWN),
            KEYS,
            "at",
            (("value", "a"),),
            _hours(back[0]),
            {"a": -1},
        ),
        AsOf(
            FeatureSide("second", KEYS, EVENT),
            KEYS,
            "at",
            (("value", "b"), ("gate", "c")),
            _hours(back[1]),
        ),
    ]
    rows = joined(con, spine, joins, first=first, second=second)
    assert spine_of(rows) == spine
    found = [newest(w, first, True, back[0]) for w in spine]
    assert [row[3] for row in rows] == [-1 if value is None else value for value in found]
    assert [row[4] for row in rows] == [newest(w, second, False, back[1]) for w in spine]


def _hours(lookback: int | None) -> timedelta | None:
    return None if lookback is None else timedelta(hours=lookback)
