"""Columns of a query's output, and the columns that they are made of."""

from typing import Any

import pytest

from boathouse.catalog import Lineage
from boathouse.catalog.lineage import mappings_of
from boathouse.catalog.lineage.column_walk import column_edges
from boathouse.database import Database
from boathouse.lake import UNKNOWN, Origin

COLUMNS = {"dev.raw.t": ["a", "b", "c", "d", "k", "l"], "dev.raw.u": ["k", "z", "Temp"]}
INPUTS = {"t": Origin("dev.raw.t", "1"), "raw.t": Origin("dev.raw.t", "1"), "u": Origin("dev.raw.u", "2")}


def made(query: str) -> tuple[dict[str, dict[str, str]], dict[str, list[str]]]:
    """({output: {source column: how}}, {source column: how it decides}), with t.a for dev.raw.t's column a."""
    mapped = mappings_of(Origin(query=query, inputs=INPUTS), COLUMNS.get, None)
    columns: dict[str, dict[str, str]] = {}
    for table, mapping in mapped.items():
        for output, parts in mapping["columns"].items():
            columns.setdefault(output, {}).update({f"{table[8:]}.{c}": how for c, how in parts.items()})
    return columns, {f"{t[8:]}.{c}": how for t, m in mapped.items() for c, how in m["rows"].items()}


@pytest.mark.parametrize(
    ("query", "columns", "rows"),
    [
        ("SELECT a, b + 1 AS n FROM t", {"a": {"t.a": "IDENTITY"}, "n": {"t.b": "TRANSFORMATION"}}, {}),
        ('SELECT "Temp" AS x FROM u', {"x": {"u.Temp": "IDENTITY"}}, {}),
        ("SELECT sum(a) AS s FROM raw.t WHERE b > 1 GROUP BY c HAVING max(d) > 2", {"s": {"t.a": "AGGREGATION"}},
         {"t.b": ["FILTER"], "t.c": ["GROUP_BY"], "t.d": ["FILTER"]}),
        ("SELECT k, count(*) AS n FROM t GROUP BY ALL", {"k": {"t.k": "IDENTITY"}}, {"t.k": ["GROUP_BY"]}),
        ("SELECT z FROM t JOIN u ON t.k = u.k ORDER BY t.a", {"z": {"u.z": "IDENTITY"}},
         {"t.k": ["JOIN"], "u.k": ["JOIN"], "t.a": ["SORT"]}),
        ("SELECT t.b, z FROM t ASOF JOIN u ON t.k = u.k AND t.a >= u.z", {"b": {"t.b": "IDENTITY"}, "z": {"u.z": "IDENTITY"}},
         {"t.k": ["JOIN"], "u.k": ["JOIN"], "t.a": ["JOIN"], "u.z": ["JOIN"]}),
        ("SELECT * EXCLUDE (c, d, k, l) REPLACE (a * 2 AS a) FROM t",
         {"a": {"t.a": "TRANSFORMATION"}, "b": {"t.b": "IDENTITY"}}, {}),
        ("WITH x AS (SELECT a + b AS n FROM t), y AS (SELECT * FROM x) SELECT n FROM y",
         {"n": {"t.a": "TRANSFORMATION", "t.b": "TRANSFORMATION"}}, {}),
        ("SELECT CASE WHEN a > 1 THEN b END AS v FROM t", {"v": {"t.a": "CONDITIONAL", "t.b": "TRANSFORMATION"}}, {}),
        ("SELECT sum(a) FILTER (WHERE b > 1) OVER (PARTITION BY c) AS s FROM t",
         {"s": {"t.a": "AGGREGATION", "t.b": "FILTER", "t.c": "WINDOW"}}, {}),
        ("SELECT a FROM t UNION ALL SELECT z FROM u", {"a": {"t.a": "IDENTITY", "u.z": "IDENTITY"}}, {}),
        ("SELECT (SELECT max(z) FROM u WHERE u.k = t.k) AS m FROM t", {"m": {"u.z": "AGGREGATION"}},
         {"t.k": ["FILTER"], "u.k": ["FILTER"]}),
        ("SELECT a FROM t WHERE k IN (SELECT k FROM u)", {"a": {"t.a": "IDENTITY"}}, {"t.k": ["FILTER"], "u.k": ["FILTER"]}),
        ("SELECT v FROM t, unnest(t.l) AS x(v)", {"v": {"t.l": "TRANSFORMATION"}}, {}),
        ("CREATE TABLE x AS SELECT a FROM t", {"a": {"t.a": "IDENTITY"}}, {}),
        ("INSERT INTO x (p) SELECT a FROM t WHERE c > 1", {"p": {"t.a": "IDENTITY"}}, {"t.c": ["FILTER"]}),
        ("UPDATE t SET a = u.z FROM u WHERE u.k = t.k", {"a": {"u.z": "IDENTITY"}}, {"t.k": ["FILTER"], "u.k": ["FILTER"]}),
        ("MERGE INTO t USING u ON t.k = u.k WHEN MATCHED THEN UPDATE SET a = u.z + 1 "
         "WHEN NOT MATCHED THEN INSERT (k) VALUES (u.k)",
         {"a": {"u.z": "TRANSFORMATION"}, "k": {"u.k": "IDENTITY"}}, {"t.k": ["JOIN"], "u.k": ["JOIN"]}),
    ],
)  # fmt: skip
def test_a_statement_is_followed_column_by_column(query: str, columns: Any, rows: Any) -> None:
    assert made(query) == (columns, rows)


@pytest.mark.parametrize(
    "query", ["PIVOT t ON a USING sum(b)", "SELECT columns('a.*') FROM t", "SELECT nonsense( FROM t", "(" * 5000]
)
def test_of_what_cannot_be_followed_everything_counts(query: str) -> None:
    mapped = mappings_of(Origin(query=query, inputs={"t": INPUTS["t"]}), COLUMNS.get, ["n"])
    assert mapped == {"dev.raw.t": {"columns": {"n": {"*": "TRANSFORMATION"}}, "rows": {}}}


def test_queries_over_queries_are_followed_through(database: Database) -> None:
    inner = Origin(query="SELECT a, b + 1 AS n FROM raw.t WHERE c > 0", inputs=INPUTS)
    outer = inner.through("SELECT n * 2 AS m, a FROM rows WHERE n > 1")
    assert mappings_of(outer, COLUMNS.get, ["m", "a"])["dev.raw.t"] == {
        "columns": {"m": {"b": "TRANSFORMATION"}, "a": {"a": "IDENTITY"}},
        "rows": {"b": ["FILTER"], "c": ["FILTER"]},
    }


def test_what_was_computed_outside_of_sql_is_taken_by_its_name_else_everything_counts() -> None:
    inner = Origin(query="SELECT a, b FROM t", inputs=INPUTS)
    mixed = Origin(inputs={"rows": inner, "more": UNKNOWN})
    assert mappings_of(mixed, COLUMNS.get, ["a", "other"])["dev.raw.t"]["columns"] == {
        "a": {"a": "TRANSFORMATION"}, "other": {"*": "TRANSFORMATION"},
    }  # fmt: skip


def test_a_table_of_unknown_columns_is_taken_to_have_those_that_are_named() -> None:
    query = Origin(query="SELECT m.prediction AS p FROM model AS m", inputs={"model": Origin("model:dev.s.m", "3")})
    assert mappings_of(query, lambda _: None, None)["model:dev.s.m"]["columns"] == {"p": {"prediction": "IDENTITY"}}


@pytest.fixture
def lineage(database: Database) -> Lineage:
    """raw.temp -> features.warm, by lineage with columns; raw -> copies without; features -> model -> log.prediction."""
    made = Lineage(database)
    warm = {"columns": {"warm": {"temp": "TRANSFORMATION"}}, "rows": {"hour": ["FILTER"]}}
    made.record([("raw", "1", "derived", warm)], ("features", "1"), "ada", None)
    made.record([("raw", "1")], ("copy", "1"), "ada", None)
    same = {"columns": {"warm": {"warm": "IDENTITY"}}, "rows": {}}
    made.record([("features", "1", "derived", same)], ("model:m", "1"), "ada", None)
    prediction = {"columns": {"prediction": {"prediction": "IDENTITY"}}, "rows": {}}
    made.record([("model:m", "1", "derived", prediction)], ("log", "1"), "ada", None)
    return made


def steps(lineage: Lineage, node: str, column: str, direction: Any) -> list[str]:
    found = lineage.columns(lineage.walk(node, direction), column)
    return [f"{e.source}.{e.source_column} -> {e.target}.{e.target_column}" for e in found]


def test_a_prediction_leads_back_through_the_model_to_the_columns_of_its_features(lineage: Lineage) -> None:
    assert steps(lineage, "log", "Prediction", "up") == [
        "raw.hour -> features.*", "raw.temp -> features.warm", "model:m.prediction -> log.prediction",
        "features.warm -> model:m.prediction",
    ]  # fmt: skip


def test_a_column_leads_forward_to_predictions_and_to_all_of_what_is_not_followed(lineage: Lineage) -> None:
    assert steps(lineage, "raw", "temp", "down") == [
        "raw.temp -> copy.*", "raw.temp -> features.warm", "model:m.prediction -> log.prediction",
        "features.warm -> model:m.warm",
    ]  # fmt: skip
    assert steps(lineage, "raw", "hour", "down") == ["raw.hour -> copy.*", "raw.hour -> features.*"]
    assert steps(lineage, "copy", "x", "up") == ["raw.* -> copy.x"]


def test_all_columns_at_once(lineage: Lineage) -> None:
    walk = lineage.walk("log")
    assert len(lineage.columns(walk)) == 4
    assert column_edges(walk, {}, "x")[-1].source_column == "*"
