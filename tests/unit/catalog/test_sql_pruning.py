"""A query opens no file that cannot hold a row it wants, and never one too few."""

from typing import Any

import pytest

from boathouse.catalog.sql.plan import Planner
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder

OWNER = Identity("olga")


@pytest.fixture(scope="module")
def world(still: Any) -> Any:
    made = still.table("dev.raw.pruned", {"id": [0, 1], "x": ["a", None]})
    for start in (10, 20, 30):
        DeltaFolder(made.location, made.name).append({"id": [start, start + 1], "x": ["b", "c"]})
    still.table("dev.raw.other", {"id": [1, 10, 20, 30]})
    return still


def opened(world: Any, query: str) -> int:
    """How many files of the table a query opens."""
    with world.desk._pool.worker() as worker:
        plan = Planner(world.catalog).plan(worker, OWNER, query, "dev")
    return str(plan.scans[0].files).count(".parquet'")


@pytest.mark.parametrize(
    ("where", "files", "rows"),
    [
        ("id = 10", 1, 1),
        ("p.id >= 20", 2, 4),
        ("P.ID BETWEEN 11 AND 20 AND length(x) = 1", 2, 2),
        ("id = 10 OR id = 31", 2, 2),
        ("id IN (0, 1)", 1, 2),
        ("id = 99", 0, 0),
        ("x IS NULL", 1, 1),
        ("id + 0 = 10", 4, 1),
        ("id = (SELECT max(id) FROM raw.other)", 4, 1),
        ("id = 10 OR random() > 2", 4, 1),
        ("id > 5 AND x LIKE '%' -- AND id = 1", 3, 6),
    ],
)
def test_files_are_left_out_by_the_condition(world: Any, where: str, files: int, rows: int) -> None:
    query = f"SELECT count(*) AS n FROM raw.pruned p WHERE {where}\n"
    assert (opened(world, query), world.ask(query)) == (files, [{"n": rows}])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT count(*) AS n FROM raw.pruned WHERE id = 10 OR EXISTS (SELECT 1 FROM raw.pruned q WHERE q.id = 31)", 8),
        ("SELECT count(*) AS n FROM raw.pruned a LEFT JOIN raw.other b ON a.id = b.id AND b.id = 10", 8),
        ("SELECT count(*) AS n FROM (SELECT id AS x FROM raw.pruned) t WHERE x = 10", 1),
        ("SELECT count(*) AS n FROM raw.pruned WHERE id = 10 UNION ALL SELECT 7 WHERE false", 1),
        ("WITH w AS (SELECT * FROM raw.pruned WHERE id > 15) SELECT count(*) AS n FROM w", 4),
        ("SELECT count(*) AS n FROM raw.pruned VERSION AS OF 2 WHERE id >= 10", 2),
    ],
)
def test_no_row_is_lost_where_a_table_stands_twice_or_deeper(world: Any, query: str, rows: int) -> None:
    assert world.ask(query) == [{"n": rows}]


def test_parameters_and_masks_prune_nothing(world: Any) -> None:
    with world.desk.run(OWNER, "SELECT count(*) AS n FROM raw.pruned WHERE id = $1", "dev", parameters=[20]) as result:
        assert result.to_dicts() == [{"n": 1}]
    masked = world.table("dev.raw.masked", {"id": [1]})
    DeltaFolder(masked.location, masked.name).append({"id": [2]})
    world.catalog.describe(OWNER, masked.name, {"masks": {"id": "7"}})
    assert opened(world, "SELECT * FROM raw.masked WHERE id = 7") == 2
    assert world.ask("SELECT count(*) AS n FROM raw.masked WHERE id = 7") == [{"n": 2}]
