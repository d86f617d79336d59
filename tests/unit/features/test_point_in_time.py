"""The as-of join, case by case."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import duckdb
import pytest

from boathouse.errors import DuplicateKey, InvalidInput
from boathouse.features import AsOf, FeatureSide, as_of_join_sql, check_duplicates

WEATHER = FeatureSide("weather", ("origin",), "hour")
REPORTS = FeatureSide("weather", ("origin",), "hour", "received")
PLANES = FeatureSide("planes", ("tail",))
TEMP = (("temp", "temp"),)


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
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
        yield connection


def rows(
    con: duckdb.DuckDBPyConnection, *joins: AsOf, keep: list[str] | None = None
) -> list[tuple[Any, ...]]:
    return con.sql(as_of_join_sql("spine", joins, keep)).fetchall()


def weather(*columns: tuple[str, str], side: FeatureSide = WEATHER, **options: Any) -> AsOf:
    return AsOf(side, ("origin",), "at", columns, **options)


def test_the_newest_row_not_later_than_the_spine_is_taken(con: duckdb.DuckDBPyConnection) -> None:
    assert rows(con, weather(("wind", "wind")), keep=["origin"]) == [
        ("JFK", 2),
        ("EWR", None),
        ("JFK", 1),
        ("JFK", 2),
    ]


def test_a_stored_null_stays_null_and_does_not_uncover_an_older_value(con: duckdb.DuckDBPyConnection) -> None:
    assert [row[-1] for row in rows(con, weather(*TEMP))] == [None, None, 18.0, None]


def test_columns_are_those_of_the_spine_then_the_outputs_in_order(con: duckdb.DuckDBPyConnection) -> None:
    planes = AsOf(PLANES, ("tail",), None, (("seats", "plane_seats"),))
    joined = con.sql(as_of_join_sql("spine", [weather(("wind", "w"), ("temp", "t")), planes]))
    assert joined.columns == ["origin", "at", "tail", "late", "w", "t", "plane_seats"]


def test_a_static_table_is_joined_on_keys_alone_and_null_keys_match_nothing(
    con: duckdb.DuckDBPyConnection,
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
    con: duckdb.DuckDBPyConnection, lookback: timedelta | None, winds: list[int | None]
) -> None:
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), lookback=lookback))] == winds


def test_a_row_is_not_used_before_it_was_known(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("UPDATE weather SET received = '2013-07-01 12:30Z' WHERE wind = 2")
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [1, None, 1, 1]


def test_a_correction_counts_from_when_it_was_known_and_a_late_old_row_never(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute(
        """INSERT INTO weather VALUES
        ('JFK', '2013-07-01 11:00Z', '2013-07-01 11:50Z', 20, 21),
        ('JFK', '2013-07-01 11:00Z', '2013-07-01 12:01Z', 20, 22),
        ('JFK', '2013-07-01 10:00Z', '2013-07-01 11:55Z', 20, 23)"""
    )
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [21, None, 1, 21]


def test_of_forecasts_known_ahead_of_one_hour_the_newest_known_counts(con: duckdb.DuckDBPyConnection) -> None:
    con.execute(
        """INSERT INTO weather VALUES
        ('JFK', '2013-07-01 11:30Z', '2013-06-30 00:00Z', 20, 32),
        ('JFK', '2013-07-01 11:30Z', '2013-06-30 06:00Z', 20, 33),
        ('JFK', '2013-07-01 11:30Z', '2013-06-29 00:00Z', 20, 31)"""
    )
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=REPORTS))] == [33, None, 1, 33]


def test_a_table_with_only_a_known_time_is_joined_on_what_was_known(con: duckdb.DuckDBPyConnection) -> None:
    side = FeatureSide("weather", ("origin",), None, "received")
    assert [row[-1] for row in rows(con, weather(("wind", "wind"), side=side))] == [2, None, 1, 2]


def test_defaults_stand_where_nothing_is_known_and_keep_the_type_of_the_column(
    con: duckdb.DuckDBPyConnection,
) -> None:
    joined = con.sql(as_of_join_sql("spine", [weather(*TEMP, defaults={"temp": -1.5})]))
    assert [row[-1] for row in joined.fetchall()] == [-1.5, -1.5, 18.0, -1.5]
    assert str(joined.types[-1]) == "FLOAT"


def test_a_column_that_the_spine_keeps_is_not_looked_up(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE spine ADD COLUMN temp FLOAT DEFAULT 99")
    query = as_of_join_sql("spine", [weather(*TEMP)], ["origin", "temp"])
    assert "weather" not in query
    assert con.sql(query).fetchall() == [("JFK", 99), ("EWR", 99), ("JFK", 99), ("JFK", 99)]


def test_a_column_that_the_spine_has_unannounced_is_refused(con: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.BinderException, match="Ambiguous"):
        rows(con, weather(("temp", "late")))


def test_names_that_sql_cannot_tell_apart_are_refused() -> None:
    with pytest.raises(InvalidInput, match="differ only in case"):
        as_of_join_sql("spine", [weather(("temp", "Late"))], ["late"])
    with pytest.raises(InvalidInput, match="two looked-up columns"):
        as_of_join_sql("spine", [weather(("temp", "x"), ("wind", "X"))])


def test_times_with_and_without_a_zone_meet_in_utc(con: duckdb.DuckDBPyConnection) -> None:
    naive = '(SELECT * REPLACE ("at" AT TIME ZONE \'UTC\' AS "at") FROM spine)'
    query = as_of_join_sql(naive, [weather(("wind", "wind"))])
    assert [row[-1] for row in con.sql(query).fetchall()] == [2, None, 1, 2]


def test_odd_names_are_quoted(con: duckdb.DuckDBPyConnection) -> None:
    con.execute('CREATE TABLE odd ("the ""key" VARCHAR, "when at" TIMESTAMPTZ, "select" INTEGER)')
    con.execute("INSERT INTO odd VALUES ('JFK', '2013-07-01', 7)")
    side = FeatureSide("odd", ('the "key',), "when at")
    assert [r[-1] for r in rows(con, AsOf(side, ("origin",), "at", (("select", 'my "x'),)))] == [
        7,
        None,
        7,
        7,
    ]


def test_the_order_and_number_of_many_rows_stay(con: duckdb.DuckDBPyConnection) -> None:
    start = "timestamptz '2024-01-01 00:00Z'"
    con.execute(
        f'CREATE TABLE many AS SELECT i, i % 7 AS k, {start} + to_seconds(i % 1000) AS "at" '
        "FROM range(300_000) t(i) ORDER BY hash(i)"
    )
    con.execute(
        f"CREATE TABLE f AS SELECT i % 7 AS k, {start} + to_seconds(i) AS t, i AS v "
        "FROM range(0, 1000, 3) f(i)"
    )
    joined = as_of_join_sql("many", [AsOf(FeatureSide("f", ("k",), "t"), ("k",), "at", (("v", "v"),))])
    wrong = (
        "SELECT count(*) FROM (SELECT * FROM many) POSITIONAL JOIN (SELECT i AS j FROM joined) WHERE i <> j"
    )
    con.execute(f"CREATE TABLE joined AS {joined}")
    assert con.sql(wrong).fetchall() == [(0,)]
    assert con.sql("SELECT count(*), count(DISTINCT i) FROM joined").fetchall() == [(300_000, 300_000)]


def test_two_rows_for_one_key_and_times_are_named(con: duckdb.DuckDBPyConnection) -> None:
    check_duplicates(con, REPORTS)
    con.execute("INSERT INTO weather SELECT * REPLACE (0 AS wind) FROM weather WHERE wind = 3")
    with pytest.raises(
        DuplicateKey, match=r"weather holds 2 rows for origin=JFK, hour=2013-07-01 22:00:00\+09:00"
    ):
        check_duplicates(con, REPORTS, "weather")


def test_a_correction_is_no_duplicate_where_known_time_is_declared(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO weather SELECT * REPLACE (received + to_hours(1) AS received) FROM weather")
    check_duplicates(con, REPORTS)
    with pytest.raises(DuplicateKey, match=r"keep one row for each \(origin, hour\)"):
        check_duplicates(con, WEATHER)


def test_rows_without_a_whole_key_are_no_duplicates(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("INSERT INTO planes VALUES (NULL, 1), (NULL, 2)")
    check_duplicates(con, PLANES)


def test_a_static_table_with_a_doubled_key_stops_the_join_rather_than_repeat_rows(
    con: duckdb.DuckDBPyConnection,
) -> None:
    con.execute("INSERT INTO planes VALUES ('N1', 101)")
    with pytest.raises(
        duckdb.InvalidInputException, match=r"two rows of a static table share one key \(tail\)"
    ):
        rows(con, AsOf(PLANES, ("tail",), None, (("seats", "seats"),)))


def test_a_lookup_that_cannot_be_right_is_refused() -> None:
    with pytest.raises(InvalidInput, match="does not fit the keys"):
        AsOf(WEATHER, ("origin", "tail"), "at", TEMP)
    with pytest.raises(InvalidInput, match="name the spine's time column"):
        AsOf(WEATHER, ("origin",), None, TEMP)
    with pytest.raises(InvalidInput, match="cannot be negative"):
        weather(*TEMP, lookback=timedelta(hours=-6))
