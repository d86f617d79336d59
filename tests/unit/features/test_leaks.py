"""What naive joins would have changed, counted over small tables in DuckDB."""

from collections.abc import Iterator

import duckdb
import pytest

from boathouse.features import COMMITTED, FeatureLookup, LeakQuestion, LeakReport, TableFacts, resolve

FACTS = {
    "features.weather": TableFacts(
        {"origin": "string", "hour": "timestamp", "received": "timestamp", "temp": "double", "wind": "double"},
        ("origin", "hour"), "hour", "received",
    ),
    "features.routes": TableFacts({"origin": "string", "day": "timestamp", "share": "double"}, ("origin", "day"), "day"),
    "features.airports": TableFacts({"origin": "string", "gates": "int"}, ("origin",)),
}  # fmt: skip
LOOKUPS = [
    FeatureLookup("features.weather", "origin", timestamp_lookup_key="at"),
    FeatureLookup("features.routes", "origin", timestamp_lookup_key="at"),
    FeatureLookup("features.airports", "origin"),
]
SPEC = resolve(["origin", "at", "late"], LOOKUPS, FACTS, "late")
RELATIONS = {"features.weather": "weather", "features.routes": "routes", "features.airports": "airports"}


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute("""
            CREATE TABLE spine AS SELECT * FROM (VALUES
                ('JFK', TIMESTAMP '2024-01-01 12:00', 0), ('JFK', TIMESTAMP '2024-01-01 13:30', 1),
                ('LGA', TIMESTAMP '2024-01-01 12:00', 0), (NULL, TIMESTAMP '2024-01-01 12:00', 0)) t(origin, "at", late);
            CREATE TABLE weather AS SELECT * FROM (VALUES  -- 11:00 at JFK is corrected at 13:00
                ('JFK', TIMESTAMP '2024-01-01 11:00', TIMESTAMP '2024-01-01 11:10', 1.0, 'nan'::DOUBLE),
                ('JFK', TIMESTAMP '2024-01-01 11:00', TIMESTAMP '2024-01-01 13:00', 2.0, 'nan'::DOUBLE),
                ('LGA', TIMESTAMP '2024-01-01 11:00', TIMESTAMP '2024-01-01 11:10', 5.0, 7.0))
                t(origin, hour, received, temp, wind);
            CREATE TABLE routes AS SELECT * FROM (VALUES
                ('JFK', TIMESTAMP '2024-01-01 00:00', 0.1), ('JFK', TIMESTAMP '2024-01-02 00:00', 0.9),
                ('LGA', TIMESTAMP '2024-01-01 00:00', 0.3)) t(origin, day, share);
            CREATE TABLE airports AS SELECT * FROM (VALUES ('JFK', 10), ('LGA', 20)) t(origin, gates);
        """)
        yield connection


def report(con: duckdb.DuckDBPyConnection, **commits: str) -> LeakReport:
    asked = LeakQuestion(SPEC, RELATIONS, {f"features.{name}": sql for name, sql in commits.items()}, "at")
    return asked.report(con.sql(asked.sql("spine")).fetchall()[0], {})


def test_a_naive_join_reads_a_correction_before_it_was_known(con: duckdb.DuckDBPyConnection) -> None:
    found = report(con)
    naive = {f.feature: f.naive_rows for f in found.features}
    assert (found.rows, found.naive_rows) == (4, 1)  # JFK at 12:00; at 13:30 the correction is known
    assert naive == {"temp": 1, "wind": 0, "share": 0, "gates": 0}
    assert found.percent == 25.0


def test_a_join_without_time_reads_the_days_to_come(con: duckdb.DuckDBPyConnection) -> None:
    timeless = {t.table: t.timeless_rows for t in report(con).tables}
    assert timeless == {"features.weather": 1, "features.routes": 2, "features.airports": 0}
    assert report(con).timeless_rows == 2


def test_commits_after_the_row_are_counted_for_the_rows_that_were_looked_up(con: duckdb.DuckDBPyConnection) -> None:
    commits = f"""(SELECT origin, day, TIMESTAMPTZ '2024-01-01 12:30+00' AS "{COMMITTED}" FROM routes)"""
    found = report(con, routes=commits)
    assert found.committed_after_rows == 2  # JFK and LGA at 12:00, not JFK at 13:30, and nothing matches a null
    assert [t.committed_after_rows for t in found.tables] == [None, 2, None]
    assert (found.percent, found.committed_after_percent) == (25.0, 50.0)


def test_the_advice_names_table_and_remedy(con: duckdb.DuckDBPyConnection) -> None:
    commits = f"""(SELECT origin, day, TIMESTAMPTZ '2024-01-01 12:30+00' AS "{COMMITTED}" FROM routes)"""
    said = " ".join(report(con, routes=commits).advice())
    assert "features.weather: keep received as its known time" in said
    assert "features.routes: 2 rows read values committed after their own time" in said


def test_a_spine_without_rows_leaks_nothing(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("DELETE FROM spine")
    assert report(con).percent == 0.0
