"""A spec at work: training sets, and rows completed for scoring."""

import importlib
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput, NotFound
from boathouse.features import (
    FeatureFunction,
    FeatureLookup,
    FeatureSpec,
    TableFacts,
    complete_frame,
    complete_search,
    complete_sql,
    resolve,
    training_set_frame,
    training_set_sql,
)
from boathouse.lake import Cluster

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


class Rows:
    """A spine and feature tables, completed by one of the engines."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, cluster: Cluster | None) -> None:
        self.execute, self._sql, self._cluster = connection.execute, connection.sql, cluster

    def trained(self, spec: FeatureSpec) -> tuple[list[str], list[tuple[Any, ...]]]:
        if self._cluster is None:
            return told(self._sql(training_set_sql(spec, "spine", RELATIONS)).to_arrow_table())
        return told(training_set_frame(spec, self._frame("spine"), self._tables()).toArrow())

    def completed(self, spec: FeatureSpec, rows: str, columns: list[str]) -> tuple[list[str], list[tuple[Any, ...]]]:
        if self._cluster is None:
            return told(self._sql(complete_sql(spec, rows, RELATIONS, columns)).to_arrow_table())
        return told(complete_frame(spec, self._frame(rows), self._tables()).toArrow())

    def _tables(self) -> dict[str, Any]:
        return {name: self._frame(relation) for name, relation in RELATIONS.items()}

    def _frame(self, relation: str) -> Any:
        assert self._cluster
        return self._cluster.frame(self._sql(f"FROM {relation}").to_arrow_table())


def told(rows: pa.Table) -> tuple[list[str], list[tuple[Any, ...]]]:
    return rows.column_names, [tuple(row.values()) for row in rows.to_pylist()]


def filled(connection: duckdb.DuckDBPyConnection) -> None:
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


@pytest.fixture(params=["duckdb", "spark"])
def con(request: pytest.FixtureRequest) -> Iterator[Rows]:
    cluster = request.getfixturevalue("cluster") if request.param == "spark" else None
    with duckdb.connect() as connection:
        filled(connection)
        yield Rows(connection, cluster)


def test_a_training_set_holds_the_spine_and_features_without_excluded_columns(con: Rows) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "wind"])
    columns, rows = con.trained(spec)
    assert tuple(columns) == spec.training_columns == ("origin", "late", "temp", "seats")
    assert rows == [("JFK", True, None, 50), ("JFK", True, 18.0, 100)]


def test_inputs_of_functions_are_there_even_when_excluded(con: Rows) -> None:
    function = FeatureFunction(udf_name="f", input_bindings={"a": "wind", "b": "at"}, output_name="f")
    spec = resolve(SPINE, [*LOOKUPS, function], FACTS, "late", ["at", "tail", "wind"])
    assert con.trained(spec)[0] == ["origin", "late", "at", "temp", "wind", "seats"]
    assert spec.training_columns == ("origin", "late", "temp", "seats", "f")


def test_values_that_the_spine_brings_override_the_stored_ones(con: Rows) -> None:
    con.execute("ALTER TABLE spine ADD COLUMN temp DOUBLE DEFAULT -40")
    spec = resolve([*SPINE, "temp"], LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    columns, rows = con.trained(spec)
    assert (columns, rows[1]) == (["late", "temp", "wind", "seats"], (True, -40.0, 3.0, 100))


def test_rows_to_score_keep_all_their_columns_and_gain_the_features(con: Rows) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    columns, rows = con.completed(
        spec, "(SELECT 7 AS id, * EXCLUDE (late) FROM spine)", ["id", "origin", "at", "tail"]
    )
    assert columns == ["id", "origin", "at", "tail", "temp", "wind", "seats"]
    assert [row[3:] for row in rows] == [("N0", None, None, 50), ("N1", 18.0, 3.0, 100)]


def test_without_the_rows_columns_all_of_them_stand_and_nothing_is_overridden() -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    with duckdb.connect() as connection:
        times = "hour TIMESTAMPTZ, received TIMESTAMPTZ"
        connection.execute(f"CREATE TABLE weather (origin VARCHAR, {times}, temp DOUBLE, wind DOUBLE)")
        connection.execute("CREATE TABLE planes (tail VARCHAR, seats INTEGER)")
        connection.execute("CREATE TABLE spine AS SELECT 7 AS id, 'JFK' AS origin, now() AS \"at\", 'N1' AS tail")
        done = connection.sql(complete_sql(spec, "spine", RELATIONS))
        assert done.columns == ["id", "origin", "at", "tail", "temp", "wind", "seats"]


def test_rows_that_bring_a_feature_keep_it_and_need_no_key_for_it(con: Rows) -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    columns, rows = con.completed(
        spec, '(SELECT origin, "at", 400 AS seats FROM spine)', ["origin", "at", "seats"]
    )
    assert (columns, rows[1][2:]) == (["origin", "at", "seats", "temp", "wind"], (400, 18.0, 3.0))


def test_the_search_gives_what_the_query_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("boathouse.features.as_of_search"), "_FEWEST", 0)
    spec = resolve(SPINE, LOOKUPS, FACTS, "late", ["at", "tail", "origin"])
    with duckdb.connect() as connection:
        filled(connection)
        columns = ["tail", "origin", "at"]
        rows = '(SELECT tail, origin, "at" FROM spine)'
        found = complete_search(connection, spec, rows, RELATIONS, columns, 2_048)
        assert found is not None
        given = told(found.read_all())
        assert given == told(connection.sql(complete_sql(spec, rows, RELATIONS, columns)).to_arrow_table())
        assert [row[3:] for row in given[1]] == [(None, None, 50), (18.0, 3.0, 100)]


def test_rows_that_lack_an_input_are_refused_by_name() -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late")
    with pytest.raises(InvalidInput, match="the rows lack 'at'; they have origin, tail"):
        complete_sql(spec, "rows", RELATIONS, ["origin", "tail"])


def test_a_table_that_was_not_opened_is_named() -> None:
    spec = resolve(SPINE, LOOKUPS, FACTS, "late")
    with pytest.raises(NotFound, match=r"features\.planes was not opened"):
        training_set_sql(spec, "spine", {"features.weather": "weather"})
