"""The as-of join by searching: where it applies, and that it gives the query's rows in the spine's order."""

from collections.abc import Iterator
from dataclasses import replace

import duckdb
import pyarrow as pa
import pytest

from boathouse.features import AsOf, FeatureSide, as_of_join_sql, as_of_search
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
    ("join", "setting"),
    [
        (replace(STORED, side=FeatureSide("stored", ("k",)), at=None), ""),
        (replace(STORED, defaults={"v": 1}), ""),
        (replace(STORED, side=replace(STORED.side, relation="(SELECT * REPLACE (k::DOUBLE AS k) FROM stored)")), ""),
        (replace(STORED, side=replace(STORED.side, relation="(SELECT a.* FROM stored a, range(100_000))")), ""),
        (replace(STORED, side=replace(STORED.side, keys=("v",), relation=f"(SELECT * REPLACE (i * {2**52} AS v, "
                 f"make_timestamptz(i * {2**50} + i % 2) AS e) FROM stored, range(2_000) r(i) WHERE v = i)")), ""),
        (STORED, "SET memory_limit='300KB'"),
    ],
    ids=["static", "defaults", "floating keys", "much longer than the spine", "63 bits", "memory"],
)  # fmt: skip
def test_what_it_is_not_for_is_left_to_the_query(con: duckdb.DuckDBPyConnection, join: AsOf, setting: str) -> None:
    assert searched(con) is not None
    con.execute(setting)
    assert searched(con, join) is None
