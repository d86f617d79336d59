"""The as-of join, case by case."""

import importlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from boathouse.errors import DuplicateKey, InvalidInput
from boathouse.features import (
    AsOf,
    FeatureSide,
    as_of_join_frame,
    as_of_join_sql,
    as_of_search,
    check_duplicate_rows,
    check_duplicates,
)
from boathouse.lake import Cluster

WEATHER = FeatureSide("weather", ("origin",), "hour")
REPORTS = FeatureSide("weather", ("origin",), "hour", "received")
PLANES = FeatureSide("planes", ("tail",))
TEMP = (("temp", "temp"),)


class Tables:
    """Tables of DuckDB, and the join of them on one of the engines."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, cluster: Cluster | None, searching: bool = False) -> None:
        self.execute, self.sql = connection.execute, connection.sql
        self.connection, self._cluster, self._searching = connection, cluster, searching

    def joined(self, *joins: AsOf, keep: list[str] | None = None, spine: str = "spine") -> pa.Table:
        if self._searching and (found := as_of_search(self.connection, spine, joins, keep or self._names(spine), 2048)):
            return found.read_all()
        if self._cluster is None:
            return self.sql(as_of_join_sql(spine, joins, keep)).to_arrow_table()
        tables = {join.side.relation: self._frame(join.side.relation) for join in joins}
        return as_of_join_frame(self._frame(spine), joins, tables, keep).toArrow()

    def check_duplicates(self, side: FeatureSide, table: str = "") -> None:
        if self._cluster is None:
            check_duplicates(self.connection, side, table)
        else:
            check_duplicate_rows(self._frame(side.relation), side, table)

    def _names(self, spine: str) -> list[str]:
        return self.sql(f"SELECT * FROM {spine}").columns

    def _frame(self, relation: str) -> Any:
        assert self._cluster is not None
        return self._cluster.frame(self.sql(f"FROM {relation}").to_arrow_table())


@pytest.fixture(params=["duckdb", "search", "spark"])
def con(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tables]:
    cluster = request.getfixturevalue("cluster") if request.param == "spark" else None
    monkeypatch.setattr(importlib.import_module("boathouse.features.as_of_search"), "_FEWEST", 0)
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='Asia/Tokyo'")
        connection.execute(
            'CREATE TABLE spine (origin VARCHAR, "at" TIMESTAMPTZ, tail VARCHAR, late BOOLEAN)'
        )
        connection.execute(
            """INSERT INTO spine VALUES
            ('JFK', '2013-07-01 12:00Z', 'N2', true), ('EWR', '2013-07-01 12:00Z', 'N1', false),
            ('JFK', '2013-07-01 09:00Z', NULL, true), ('JFK', '2013-07-01 12:00Z', 'N9', true)"""
        )
        connection.execute(
            "CREATE TABLE weather "
            "(origin VARCHAR, hour TIMESTAMPTZ, received TIMESTAMPTZ, temp FLOAT, wind INTEGER)"
        )
        connection.execute(
            """INSERT INTO weather VALUES
            ('JFK', '2013-07-01 08:00Z', '2013-07-01 08:10Z', 18, 1),
            ('JFK', '2013-07-01 11:00Z', '2013-07-01 11:10Z', NULL, 2),
            ('JFK', '2013-07-01 13:00Z', '2013-07-01 13:10Z', 22, 3)"""
        )
        connection.execute("CREATE TABLE planes (tail VARCHAR, seats INTEGER)")
        connection.execute("INSERT INTO planes VALUES ('N1', 100), ('N2', 200), (NULL, 300)")
        yield Tables(connection, cluster, request.param == "search")


def rows(con: Tables, *joins: AsOf, keep: list[str] | None = None, spine: str = "spine") -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in con.joined(*joins, keep=keep, spine=spine).to_pylist()]


def weather(*columns: tuple[str, str], side: FeatureSide = WEATHER, **options: Any) -> AsOf:
    return AsOf(side, ("origin",), "at", columns, **options)


def test_the_newest_row_not_later_than_the_spine_is_taken(con: Tables) -> None:
    assert rows(con, weather(("wind", "wind")), keep=["origin"]) == [
        ("JFK", 2),
        ("EWR", None),
        ("JFK", 1),
        ("JFK", 2),
    ]


def test_a_stored_null_stays_null_and_does_not_uncover_an_older_value(con: Tables) -> None:
    assert [row[-1] for row in rows(con, weather(*TEMP))] == [None, None, 18.0, None]


def test_columns_are_those_of_the_spine_then_the_outputs_in_order(con: Tables) -> None:
    planes = AsOf(PLANES, ("tail",), None, (("seats", "plane_seats"),))
    joined = con.joined(weather(("wind", "w"), ("temp", "t")), planes)
    assert joined.column_names == ["origin", "at", "tail", "late", "w", "t", "plane_seats"]


def test_a_static_table_is_joined_on_keys_alone_and_null_keys_match_nothing(
    con: Tables,
) -> None:
    planes = AsOf(PLANES, ("tail",), None, (("seats", "seats"),))
    assert rows(con, planes, keep=["tail"]) == [("N2", 200), ("N1", 100), (None, None), ("N9", None)]


@pytest.mark.parametrize(
    ("lookback", "winds"),
    [
        (timedelta(0), [None, None, None, None]),
        (timedelta(minutes=59), [None, None, None, None]),
        (timedelta(hours=1), [2, None, 1, 2]),
        (None, [2, None, 1, 2]),
    ],
)
def test_a_match_older_than_the_lookback_counts_as_none(
    con: Tables, lookback: timedelta | None, winds: list[int | None]
) -> None:
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), lookback=lookback))] == winds


def test_a_row_is_not_used_before_it_was_known(con: Tables) -> None:
    con.execute("UPDATE weather SET received = '2013-07-01 12:30Z' WHERE wind = 2")
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [1, None, 1, 1]


def test_a_correction_counts_from_when_it_was_known_and_a_late_old_row_never(
    con: Tables,
) -> None:
    con.execute(
        """INSERT INTO weather VALUES
        ('JFK', '2013-07-01 11:00Z', '2013-07-01 11:50Z', 20, 21),
        ('JFK', '2013-07-01 11:00Z', '2013-07-01 12:01Z', 20, 22),
        ('JFK', '2013-07-01 10:00Z', '2013-07-01 11:55Z', 20, 23)"""
    )
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [21, None, 1, 21]


def test_of_forecasts_known_ahead_of_one_hour_the_newest_known_counts(con: Tables) -> None:
    con.execute(
        """INSERT INTO weather VALUES
        ('JFK', '2013-07-01 11:30Z', '2013-06-30 00:00Z', 20, 32),
        ('JFK', '2013-07-01 11:30Z', '2013-06-30 06:00Z', 20, 33),
        ('JFK', '2013-07-01 11:30Z', '2013-06-29 00:00Z', 20, 31)"""
    )
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [33, None, 1, 33]


def test_a_table_with_only_a_known_time_is_joined_on_what_was_known(con: Tables) -> None:
    side = FeatureSide("weather", ("origin",), None, "received")
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=side))] == [2, None, 1, 2]


def test_defaults_stand_where_nothing_is_known_and_keep_the_type_of_the_column(
    con: Tables,
) -> None:
    joined = con.joined(weather(*TEMP, defaults={"temp": -1.5}))
    assert joined.column("temp").to_pylist() == [-1.5, -1.5, 18.0, -1.5]
    assert joined.schema.field("temp").type == pa.float32()


def test_a_column_that_the_spine_keeps_is_not_looked_up(con: Tables) -> None:
    con.execute("ALTER TABLE spine ADD COLUMN temp FLOAT DEFAULT 99")
    assert "weather" not in as_of_join_sql("spine", [weather(*TEMP)], ["origin", "temp"])
    assert rows(con, weather(*TEMP), keep=["origin", "temp"]) == [("JFK", 99), ("EWR", 99), ("JFK", 99), ("JFK", 99)]


def test_a_column_that_the_spine_has_unannounced_is_refused(con: Tables) -> None:
    with pytest.raises((duckdb.BinderException, InvalidInput), match=r"Ambiguous|has a column 'late' already"):
        rows(con, weather(("temp", "late")))


def test_names_that_sql_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(InvalidInput, match="differ only in case"):
        as_of_join_sql("spine", [weather(("temp", "Late"))], ["late"])
    with pytest.raises(InvalidInput, match="two looked-up columns"):
        as_of_join_sql("spine", [weather(("temp", "x"), ("wind", "X"))])


def test_times_with_and_without_a_zone_meet_in_utc(con: Tables) -> None:
    naive = '(SELECT * REPLACE ("at" AT TIME ZONE \'UTC\' AS "at") FROM spine)'
    assert [row[-1] for row in rows(con, weather(("wind", "wind")), spine=naive)] == [2, None, 1, 2]


@pytest.mark.parametrize(
    ("stored", "asked"), [("INTEGER", "BIGINT"), ("BIGINT", "SMALLINT"), ("DECIMAL(9,2)", "INTEGER"), ("DOUBLE", "INTEGER")]
)
def test_keys_of_other_widths_meet(con: Tables, stored: str, asked: str) -> None:
    con.execute(f"CREATE TABLE numbered AS SELECT 7::{stored} AS n, timestamptz '2013-07-01' AS t, 'seven' AS v")
    con.execute(f"CREATE TABLE asking AS SELECT unnest([7, 8, NULL])::{asked} AS n, timestamptz '2013-07-02' AS \"at\"")
    join = AsOf(FeatureSide("numbered", ("n",), "t"), ("n",), "at", (("v", "v"),))
    assert [row[-1] for row in rows(con, join, spine="asking")] == ["seven", None, None]


def test_a_day_is_its_first_moment(con: Tables) -> None:
    con.execute("CREATE TABLE days AS SELECT 'JFK' AS origin, date '2013-07-01' AS hour, 7 AS wind")
    con.execute("CREATE TABLE asking AS SELECT 'JFK' AS origin, unnest([date '2013-06-30', date '2013-07-01']) AS \"at\"")
    join = weather(("wind", "wind"), side=FeatureSide("days", ("origin",), "hour"))
    assert [row[-1] for row in rows(con, join, spine="asking")] == [None, 7]


def test_odd_names_are_quoted(con: Tables) -> None:
    con.execute('CREATE TABLE odd ("the ""key" VARCHAR, "when at" TIMESTAMPTZ, "select" INTEGER)')
    con.execute("INSERT INTO odd VALUES ('JFK', '2013-07-01', 7)")
    side = FeatureSide("odd", ('the "key',), "when at")
    assert [r[-1] for r in rows(con, AsOf(side, ("origin",), "at", (("select", 'my "x'),)))] == [
        7,
        None,
        7,
        7,
    ]


def test_the_order_and_number_of_many_rows_stay(con: Tables) -> None:
    start = "timestamptz '2024-01-01 00:00Z'"
    con.execute(
        f'CREATE TABLE many AS SELECT i, i % 7 AS k, {start} + to_seconds(i % 1000) AS "at" '
        "FROM range(300_000) t(i) ORDER BY hash(i)"
    )
    con.execute(
        f"CREATE TABLE f AS SELECT i % 7 AS k, {start} + to_seconds(i) AS t, i AS v "
        "FROM range(0, 1000, 3) f(i)"
    )
    many = con.joined(AsOf(FeatureSide("f", ("k",), "t"), ("k",), "at", (("v", "v"),)), spine="many")
    assert many.column("i").equals(con.sql("SELECT i FROM many").to_arrow_table().column("i"))
    assert many.num_rows == 300_000


def test_two_rows_for_one_key_and_times_are_named(con: Tables) -> None:
    con.check_duplicates(REPORTS)
    con.execute("INSERT INTO weather SELECT * REPLACE (0 AS wind) FROM weather WHERE wind = 3")
    with pytest.raises(
        DuplicateKey, match=r"weather holds 2 rows for origin=JFK, hour=2013-07-01 (22:00:00\+09:00|13:00:00)"
    ):
        con.check_duplicates(REPORTS, "weather")


@pytest.mark.parametrize("order", ["hour, origin", "origin, hour", "hash(origin, hour)"])
def test_two_rows_for_one_key_and_time_are_found_in_rows_of_any_order(con: Tables, order: str) -> None:
    con.execute(
        "CREATE OR REPLACE TABLE weather AS SELECT (i % 50)::VARCHAR AS origin, "
        f"make_timestamptz(3600_000_000 * (i // 50)) AS hour, i AS temp FROM range(5_000) r(i) ORDER BY {order}"
    )
    con.check_duplicates(WEATHER)
    con.execute(f"CREATE OR REPLACE TABLE weather AS FROM weather UNION ALL FROM weather WHERE temp = 4_321 ORDER BY {order}")
    with pytest.raises(DuplicateKey, match="holds 2 rows for origin=21, hour=1970-01-04"):
        con.check_duplicates(WEATHER)


def test_a_correction_is_no_duplicate_where_known_time_is_declared(con: Tables) -> None:
    con.execute("INSERT INTO weather SELECT * REPLACE (received + to_hours(1) AS received) FROM weather")
    con.check_duplicates(REPORTS)
    with pytest.raises(DuplicateKey, match=r"keep one row for each \(origin, hour\)"):
        con.check_duplicates(WEATHER)


def test_rows_without_a_whole_key_are_no_duplicates(con: Tables) -> None:
    con.execute("INSERT INTO planes VALUES (NULL, 1), (NULL, 2)")
    con.check_duplicates(PLANES)


def test_a_static_table_with_a_doubled_key_stops_the_join_rather_than_repeat_rows(
    con: Tables,
) -> None:
    con.execute("INSERT INTO planes VALUES ('N1', 101)")
    says = r"two rows of a static table share one key \(tail\)|planes holds 2 rows for tail=N1"
    with pytest.raises((duckdb.InvalidInputException, DuplicateKey), match=says):
        rows(con, AsOf(PLANES, ("tail",), None, (("seats", "seats"),)))


def test_a_lookup_that_cannot_be_right_is_refused() -> None:
    with pytest.raises(InvalidInput, match="does not fit the keys"):
        AsOf(WEATHER, ("origin", "tail"), "at", TEMP)
    with pytest.raises(InvalidInput, match="name the spine's time column"):
        AsOf(WEATHER, ("origin",), None, TEMP)
    with pytest.raises(InvalidInput, match="cannot be negative"):
        weather(*TEMP, lookback=timedelta(hours=-6))
