"""A condition that is passed on chooses the same rows in the engine that reads and in the engine that commits."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from deltalake import DeltaTable, QueryBuilder, write_deltalake
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from boathouse.catalog.sql.datafusion import Columns, NotAlike, condition, value
from boathouse.errors import InvalidInput

ROWS = pa.table({
    "id": pa.array(range(8), pa.int64()),
    "n": pa.array([0, 1, -1, 7, None, 100, -100, 2], pa.int32()),
    "big": pa.array([0, 1, -1, 10**12, None, 3, 4, 5], pa.int64()),
    "f": pa.array([0.0, 1.5, -1.5, None, 2.0, 1e9, 0.1, 3.0]),
    "who": pa.array(["a", "A", "", "o'b", None, "a%b", "ab_c", "ä"]),
    "Odd name": pa.array(["x", None, "y", "x", "y", "x", None, "z"]),
    "ok": pa.array([True, False, None, True, False, None, True, False]),
    "d": pa.array([date(2024, 1, i + 1) if i else None for i in range(8)]),
    "t": pa.array([datetime(2024, 1, 1, i, tzinfo=UTC) if i != 3 else None for i in range(8)], pa.timestamp("us", "UTC")),
    "m": pa.array([Decimal("1.50"), None, Decimal("-2.25"), *[Decimal(i) for i in range(5)]], pa.decimal128(10, 2)),
})  # fmt: skip

VALUES = {
    "n": ["0", "1", "-1", "100"], "big": ["0", "3", "1000000000000"], "f": ["1.5", "0.1", "2", "-1.5"],
    "who": ["'a'", "''", "'o''b'", "'ab_c'", "'ä'"], '"Odd name"': ["'x'", "'z'"], "ok": ["true", "false"],
    "d": ["'2024-01-03'", "DATE '2024-01-05'"], "t": ["'2024-01-01 02:00:00'", "TIMESTAMPTZ '2024-01-01 05:00:00+00'"],
    "m": ["1.5", "2", "-2.25", "'3.00'"],
}  # fmt: skip


def simple() -> st.SearchStrategy[str]:
    def of(column: str) -> st.SearchStrategy[str]:
        one = st.sampled_from([*VALUES[column], "NULL"])
        sign = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"])
        return st.one_of(
            st.builds(lambda s, v: f"{column} {s} {v}", sign, one),
            st.builds(lambda s, v: f"{v} {s} {column.upper()}", sign, one),
            st.builds(lambda a, b: f"{column} BETWEEN {a} AND {b}", one, one),
            st.builds(lambda vs, no: f"{column} {no}IN ({', '.join(vs)})", st.lists(one, min_size=1, max_size=3),
                      st.sampled_from(["", "NOT "])),
            st.just(f"{column} IS NULL"), st.just(f"{column} IS NOT NULL"),
        )  # fmt: skip

    special = ["ok", "NOT ok", "ok IS TRUE", "big + 1 > 3", "f * 2.0 <= 3.0", "lower(who) = 'a'", "upper(who) || '!' = 'A!'",
               "who LIKE 'a%'", "who NOT LIKE '%b%'", "coalesce(who, 'a') = 'a'", "big - 1 = big", "-big > 0",
               "CASE WHEN n > 0 THEN ok ELSE false END"]  # fmt: skip
    return st.one_of(*(of(column) for column in VALUES), st.sampled_from(special))


def conditions() -> st.SearchStrategy[str]:
    return st.recursive(
        simple(),
        lambda inner: st.one_of(
            st.builds(lambda a, w, b: f"({a} {w} {b})", inner, st.sampled_from(["AND", "OR"]), inner),
            st.builds(lambda a: f"NOT ({a})", inner),
        ),
        max_leaves=4,
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeltaTable]:
    folder: Path = tmp_path_factory.mktemp("two") / "t"
    write_deltalake(folder, ROWS)
    return DeltaTable(folder)


@pytest.fixture(scope="module")
def reader() -> Any:
    connection = duckdb.connect()
    connection.execute("SET TimeZone='UTC'")
    connection.register("t", ROWS)
    return connection


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=conditions())
@example(written="(n = 1 AND 1 = n)")
@example(written="(n NOT IN (0) OR n NOT IN (1))")
def test_the_same_rows_are_chosen(table: DeltaTable, reader: Any, written: str) -> None:
    tree = sqlglot.parse_one(written, dialect="duckdb")
    try:
        passed_on = condition(tree, Columns({"t": ("", ROWS.schema)}))
    except (NotAlike, InvalidInput):
        return  # refused, or worked out by the reading engine itself
    read = reader.sql(f"SELECT id FROM t WHERE {written} ORDER BY id").fetchall()
    committed = QueryBuilder().register("t", table).execute(f"SELECT id FROM t WHERE {passed_on} ORDER BY id")
    assert [i for (i,) in read] == pa.table(committed.read_all())["id"].to_pylist(), passed_on


@pytest.mark.parametrize(
    "written",
    [
        "n / 2 = 1", "n % 2 = 0", "n + 100 > 3", "who LIKE 'a\\%'", "CAST(f AS INT) = 2", "CAST(who AS INT) = 1",
        "round(f) = 2", "n = 1.5", "n = f", "who = 1", "regexp_matches(who, 'a')", "id IN (SELECT 1)", "d > t",
        "length(who) = 1", "trim(who) = 'a'", "n BETWEEN SYMMETRIC 2 AND 1", "who LIKE 'a' ESCAPE '!'",
        "lower(DISTINCT who) = 'a'",
        "who = NULL", "n IN (1, NULL)", "n = ANY (1, 2)", "a.b.c.n = 1", "t.n.x = 1",
        "who ILIKE 'A'", "m * 2 = 3", "n = 99999999999",
    ],
)  # fmt: skip
def test_what_the_engines_may_take_differently_is_not_passed_on(written: str) -> None:
    with pytest.raises((NotAlike, InvalidInput)):
        condition(sqlglot.parse_one(written, dialect="duckdb"), Columns({"t": ("", ROWS.schema)}))


def test_values_take_the_columns_type() -> None:
    columns = Columns({"t": ("", ROWS.schema)})
    assert value(sqlglot.parse_one("7", dialect="duckdb"), pa.int32(), columns) == "arrow_cast(7, 'Int32')"
    assert value(sqlglot.parse_one("'it''s'", dialect="duckdb"), pa.string(), columns) == "'it''s'"
    for wrong, kind in (("'x'", pa.int64()), ("'2024'", pa.date32()), ("1.5", pa.int64()), ("1.234", pa.decimal128(10, 2))):
        with pytest.raises((NotAlike, InvalidInput)):
            value(sqlglot.parse_one(wrong, dialect="duckdb"), kind, columns)


def test_a_value_of_a_smaller_type_is_the_same_in_the_wider_one(tmp_path: Path) -> None:
    write_deltalake(tmp_path, ROWS)
    table, columns = DeltaTable(tmp_path), Columns({"t": ("", ROWS.schema)})
    double, bigint = (value(sqlglot.parse_one(n), kind, columns) for n, kind in (("m", pa.float64()), ("n", pa.int64())))
    table.update({"f": double, "big": bigint})
    found = pa.table(table.to_pyarrow_table()).sort_by("id").to_pydict()
    assert found["f"] == [None if m is None else float(m) for m in ROWS["m"].to_pylist()]
    assert found["big"] == ROWS["n"].to_pylist()
    with pytest.raises(NotAlike, match="the column"):
        value(sqlglot.parse_one("big"), pa.float64(), columns)
