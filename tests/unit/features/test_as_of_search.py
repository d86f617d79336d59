"""The as-of join by searching: where it applies, and that it gives the query's rows in the spine's order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
from boathouse.features.as_of_moments import _order
from boathouse.features.as_of_search import in_order
from boathouse.lake import Engine

STORED = AsOf(FeatureSide("stored", ("k",), "e"), ("k",), "t", (("v", "v"),))
KEEP = ["k", "t"]


@pytest.fixture
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    engine = Engine()
    engine.connection.execute(
        "CREATE TABLE spine AS SELECT (hash(i) % 50)::INTEGER AS k, make_timestamptz((hash(i + 1) % 1000)::BIGINT) AS t "
        "FROM range(250_000) r(i)"
    )
    engine.connection.execute(
        "CREATE TABLE stored AS SELECT (hash(i) % 60)::BIGINT AS k, make_timestamptz(i) AS e, i AS v, 'x' || i AS s "
        "FROM range(2_000) r(i)"
    )
    yield engine.connection
    engine.connection.close()


def searched(con: duckdb.DuckDBPyConnection, join: AsOf = STORED, spine: str = "spine") -> pa.Table | None:
    found = as_of_search(con, spine, [join], KEEP, 4_096)
    return found.read_all() if found else None


def test_many_rows_come_in_batches_and_in_the_order_of_the_spine(con: duckdb.DuckDBPyConnection) -> None:
    join = replace(STORED, columns=(("v", "v"), ("s", "s")))
    found = searched(con, join)
    assert found is not None
    assert found.column("v").num_chunks > 10
    assert found.equals(con.sql(as_of_join_sql("spine", [join], KEEP)).to_arrow_table())


def test_what_comes_too_early_waits_for_its_place() -> None:
    places = [[3, 4, 1], [7, 2], [], [5, 6, 8]]
    came = [pa.record_batch({"place": pa.array(some, pa.int64())}) for some in places]
    assert [place for batch in in_order(came) for place in batch["place"].to_pylist()] == list(range(1, 9))


def test_moments_lie_in_order_where_long_times_lose_their_last_bits() -> None:
    drawn = np.random.default_rng(7)
    number, at = drawn.integers(0, 50, 5_000), drawn.integers(0, 9, 5_000) + (drawn.integers(0, 2, 5_000) << 60)
    order, right = _order(number, at, 50), np.lexsort((at, number))
    assert sorted(order) == list(range(5_000))
    assert (number[order] == number[right]).all()
    assert (at[order] == at[right]).all()


def test_keys_too_far_apart_to_be_counted_by_value_are_counted_by_place(con: duckdb.DuckDBPyConnection) -> None:
    far = f"(SELECT * REPLACE (CASE k % 3 WHEN 0 THEN -{2**62} WHEN 1 THEN {2**62} ELSE k END AS k) FROM {{}})"
    # the rows of one key and moment are one
    stored = f"(FROM {far.format('stored')} QUALIFY row_number() OVER (PARTITION BY k, e) = 1)"
    join = replace(STORED, side=replace(STORED.side, relation=stored))
    found = searched(con, join, far.format("spine"))
    assert found is not None
    assert found.equals(con.sql(as_of_join_sql(far.format("spine"), [join], KEEP)).to_arrow_table())
    assert found.column("v").null_count < found.num_rows


@pytest.mark.parametrize(
    "relation",
    [
        "(SELECT * REPLACE (k::DOUBLE AS k) FROM stored)",
        "(SELECT a.* REPLACE (make_timestamptz(i * 1_000_000 + epoch_us(e)) AS e) FROM stored a, range(200) r(i))",
        f"(SELECT k, make_timestamptz(i * {2**50} + i % 2) AS e, i AS v FROM stored, range(2_000) r(i) WHERE v = i)",
        f"(SELECT * REPLACE (CASE WHEN v = 7 THEN make_timestamptz(-{2**62}) ELSE e END AS e) FROM stored)",
    ],
    ids=["floating keys", "longer than the spine", "63 bits", "a time long ago"],
)
def test_a_table_that_is_not_sorted_is_streamed(con: duckdb.DuckDBPyConnection, relation: str) -> None:
    join = replace(STORED, side=replace(STORED.side, relation=relation))
    found = searched(con, join)
    assert found is not None
    assert found.equals(con.sql(as_of_join_sql("spine", [join], KEEP)).to_arrow_table())
    assert found.column("v").null_count < found.num_rows


def test_a_spine_that_may_be_another_each_time_is_read_once(con: duckdb.DuckDBPyConnection) -> None:
    spine, join = "(SELECT k, make_timestamptz((random() * 1000)::BIGINT) AS t FROM spine)", _streamed("stored")
    found = as_of_search(con, spine, [join], KEEP, 4_096)
    assert found is not None
    con.register("drawn", rows := found.read_all())
    assert rows.equals(con.sql(as_of_join_sql("drawn", [join], KEEP)).to_arrow_table())


def test_what_memory_does_not_hold_is_looked_up_in_groups_of_columns(tmp_path: Path) -> None:
    engine = Engine(tmp_path / "spill", "60MB")
    con, wide = engine.connection, ", ".join(f"hash(i + {n}) / 2e19 AS v{n}" for n in range(200))
    con.execute(f"COPY (SELECT hash(i) % 500 AS k, make_timestamptz(i) AS e, {wide} FROM range(20_000) r(i)) "
                f"TO '{tmp_path}/wide.parquet' (ROW_GROUP_SIZE 2048)")  # fmt: skip
    con.execute(f"COPY (SELECT hash(i + 1) % 500 AS k, make_timestamptz(i) AS t FROM range(20_000) r(i)) "
                f"TO '{tmp_path}/spine.parquet'")  # fmt: skip
    side = FeatureSide(f"(FROM '{tmp_path}/wide.parquet')", ("k",), "e")
    join = AsOf(side, ("k",), "t", tuple((f"v{n}", f"v{n}") for n in range(200)))
    spine = f"(FROM '{tmp_path}/spine.parquet')"
    found = as_of_search(con, spine, [join], KEEP, 3_000)
    assert found is not None
    rows = found.read_all()
    assert not list(tmp_path.glob("as-of-*"))  # what waits on disk has no name
    with pytest.raises(duckdb.OutOfMemoryException):
        con.sql(as_of_join_sql(spine, [join], KEEP)).to_arrow_table()
    assert rows.equals(Engine().connection.sql(as_of_join_sql(spine, [join], KEEP)).to_arrow_table())


def test_defaults_stand_where_nothing_is_found(con: duckdb.DuckDBPyConnection) -> None:
    join = replace(STORED, columns=(("v", "v"), ("s", "s")), defaults={"v": 1.0, "s": "it's none"})
    found = searched(con, join)
    assert found is not None
    assert found.equals(con.sql(as_of_join_sql("spine", [join], KEEP)).to_arrow_table())
    assert "it's none" in found.column("s").unique().to_pylist()


@pytest.mark.parametrize(
    ("join", "setting"),
    [
        (replace(STORED, side=FeatureSide("stored", ("k",)), at=None), ""),
        (STORED, "SET memory_limit='300KB'"),
    ],
    ids=["static", "memory"],
)
def test_what_it_is_not_for_is_left_to_the_query(con: duckdb.DuckDBPyConnection, join: AsOf, setting: str) -> None:
    assert searched(con) is not None
    con.execute(setting)
    assert searched(con, join) is None


def test_a_table_without_a_time_is_streamed_with_the_others(con: duckdb.DuckDBPyConnection) -> None:
    once = "(SELECT v AS k, 'name ' || v AS name FROM stored WHERE v < 40)"
    joins = [STORED, AsOf(FeatureSide(once, ("k",)), ("k",), None, (("name", "name"),), defaults={"name": "none"})]
    found = as_of_search(con, "spine", joins, KEEP, 4_096)
    assert found is not None
    assert found.read_all().equals(con.sql(as_of_join_sql("spine", joins, KEEP)).to_arrow_table())
    twice = replace(joins[1], side=FeatureSide(f"(FROM {once} UNION ALL FROM {once})", ("k",)))
    assert as_of_search(con, "spine", [STORED, twice], KEEP, 4_096) is None  # the query says which


def test_a_short_spine_is_left_to_the_query(con: duckdb.DuckDBPyConnection) -> None:
    assert searched(con, spine="(FROM spine LIMIT 100)") is None


def _streamed(table: str) -> AsOf:
    """A lookup of a table whose keys are sorted by nothing."""
    return replace(STORED, side=replace(STORED.side, relation=f"(SELECT * REPLACE (k::DOUBLE AS k) FROM {table})"))
