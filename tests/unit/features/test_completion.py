"""A spec at work: training sets, and rows completed for scoring."""

from collections.abc import Iterator

import duckdb
import pytest

from boathouse.errors import InvalidInput, NotFound
from boathouse.features import (
    FeatureFunction,
    FeatureLookup,
    TableFacts,
    complete_sql,
    resolve,
    training_set_sql,
)

FACTS = {
    "features.weather": TableFacts(
        {
            "origin": "string",
            "hour": "timestamp",
            "received": "timestamp",
            "temp": "double",
            "wind": "double",
        },
        ("origin", "hour"),
        "hour",
        "received",
    ),
    "features.planes": TableFacts({"tail": "string", "seats": "int"}, ("tail",)),
}
RELATIONS = {"features.weather": "weather", "features.planes": "(SELECT * FROM planes)"}
LOOKUPS = [
    FeatureLookup("features.weather", "origin", timestamp_lookup_key="at"),
    FeatureLookup("features.planes", "tail", default_values={"seats": 50}),
]
SPINE = ["origin", "late", "at", "tail"]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone='UTC'")
        connection.execute(
            "CREATE TABLE weather AS SELECT 'JFK' AS origin, timestamptz '2013-07-01 09:00Z' AS hour, "
            "timestamptz '2013-07-01 09:10Z' AS received, 18.0 AS temp, 3.0 AS wind"
        )
        connection.execute("CREATE TABLE planes AS SELECT 'N1' AS tail, 100 AS seats")
        connection.execute(
            "CREATE TABLE spine AS SELECT 'JFK' AS origin, true AS late, "
            "timestamptz '2013-07-01 09:05Z' + to_minutes(10 * i) AS \"at\", 'N' || i AS tail FROM range(2) t(i)"
        )
        yield connection


def test_a_training_set_holds_the_spine_and_features_without_excluded_columns(
    con: duckdb.DuckDBPyConnection,
) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "wind"])
    rows = con.sql(training_set_sql(spec, "spine", RELATIONS))
    assert tuple(rows.columns) == spec.training_columns == ("origin", "late", "temp", "seats")
    assert rows.fetchall() == [("JFK", True, None, 50), ("JFK", True, 18.0, 100)]


def test_inputs_of_functions_are_there_even_when_excluded(con: duckdb.DuckDBPyConnection) -> None:
    function = FeatureFunction(udf_name="f", input_bindings={"a": "wind", "b": "at"}, output_name="f")
    spec = resolve(SPINE, [*LOOKUPS, function], FACTS, "late", ["at", "tail", "wind"])
    columns = con.sql(training_set_sql(spec, "spine", RELATIONS)).columns
    assert columns == ["origin", "late", "at", "temp", "wind", "seats"]
    assert spec.training_columns == ("origin", "late", "temp", "seats", "f")


def test_values_that_the_spine_brings_override_the_stored_ones(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("ALTER TABLE spine ADD COLUMN temp DOUBLE DEFAULT -40")
    spec = resolve([*SPINE, "temp"], LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    rows = con.sql(training_set_sql(spec, "spine", RELATIONS))
    assert (rows.columns, rows.fetchall()[1]) == (["late", "temp", "wind", "seats"], (True, -40.0, 3.0, 100))


def test_rows_to_score_keep_all_their_columns_and_gain_the_features(con: duckdb.DuckDBPyConnection) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    rows = "(SELECT 7 AS id, * EXCLUDE (late) FROM spine)"
    done = con.sql(complete_sql(spec, rows, RELATIONS, ["id", "origin", "at", "tail"]))
    assert done.columns == ["id", "origin", "at", "tail", "temp", "wind", "seats"]
    assert done.fetchall() == con.sql(complete_sql(spec, rows, RELATIONS)).fetchall()


def test_rows_that_bring_a_feature_keep_it_and_need_no_key_for_it(con: duckdb.DuckDBPyConnection) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    rows = '(SELECT origin, "at", 400 AS seats FROM spine)'
    done = con.sql(complete_sql(spec, rows, RELATIONS, ["origin", "at", "seats"]))
    assert (done.columns, done.fetchall()[1][2:]) == (
        ["origin", "at", "seats", "temp", "wind"],
        (400, 18.0, 3.0),
    )


def test_rows_that_lack_an_input_are_refused_by_name() -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late")
    with pytest.raises(InvalidInput, match="the rows lack 'at'; they have origin, tail"):
        complete_sql(spec, "rows", RELATIONS, ["origin", "tail"])


def test_a_table_that_was_not_opened_is_named() -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late")
    with pytest.raises(NotFound, match=r"features\.planes was not opened"):
        training_set_sql(spec, "spine", {"features.weather": "weather"})
