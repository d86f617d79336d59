"""SQL over what one may read, and over nothing else."""

from pathlib import Path
from typing import Any

import pytest

from boathouse.catalog import tables_of
from boathouse.errors import BoathouseError, InvalidInput, InvalidName, LimitExceeded, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder

READER = Identity("rita", frozenset({"readers"}))
STRANGER = Identity("sam")


@pytest.fixture
def world(world: Any) -> Any:
    world.table("dev.raw.events", {"id": [1, 2, 3], "who": ["rita", "sam", "o'brien"]})
    world.table("prod.raw.events", {"id": [9]})
    return world


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT * FROM raw.a JOIN dev.raw.b USING (id)", ["raw.a", "dev.raw.b"]),
        (
            "WITH a AS (SELECT * FROM raw.x), b AS (SELECT * FROM a) SELECT * FROM b JOIN a USING (id)",
            ["raw.x"],
        ),
        ("WITH RECURSIVE a AS (SELECT 1 n UNION ALL SELECT n + 1 FROM a WHERE n < 3) SELECT * FROM a", []),
        ("SELECT (SELECT max(id) FROM raw.x) WHERE EXISTS (SELECT 1 FROM raw.y)", ["raw.x", "raw.y"]),
        ("FROM raw.x", ["raw.x"]),
        ("SELECT unnest([1]) FROM range(3), generate_series(1, 2)", []),
        ("SELECT 'FROM raw.secret' -- FROM raw.secret", []),
    ],
)
def test_the_tables_of_a_query_are_found(query: str, tables: list[str]) -> None:
    assert tables_of(query) == tables


def test_rows_come_from_granted_tables_by_two_names_or_three(world: Any) -> None:
    assert world.ask("SELECT count(*) AS n FROM raw.events JOIN dev.raw.events b USING (id)") == [{"n": 3}]
    assert world.ask("SUMMARIZE raw.events")[0]["column_name"] == "id"
    assert world.ask("WITH a AS (SELECT id FROM raw.events) SELECT max(id) AS m FROM a") == [{"m": 3}]


def test_two_level_names_mean_the_environment_asked_in(world: Any) -> None:
    world.access.grant("root", ["readers"], ["USE CATALOG", "USE SCHEMA", "SELECT"], "catalog", "prod")
    assert world.ask("SELECT id FROM raw.events", environment="prod") == [{"id": 9}]
    assert world.ask("SELECT count(*) AS n FROM raw.events, prod.raw.events") == [{"n": 3}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM prod.raw.events",
        "SELECT 1 WHERE 9 IN (SELECT id FROM prod.raw.events)",
        "WITH raw AS (SELECT 1) SELECT * FROM prod.raw.events",
        "SELECT * FROM raw.events LIMIT (SELECT max(id) FROM prod.raw.events)",
    ],
)
def test_a_table_that_is_not_granted_is_refused_wherever_it_stands(world: Any, query: str) -> None:
    with pytest.raises(NotPermitted, match="rita lacks USE CATALOG on prod"):
        world.ask(query)
    assert world.denials() == [("rita", "denied SELECT", "prod.raw.events")]


def test_an_unknown_table_is_not_found(world: Any) -> None:
    with pytest.raises(NotFound, match=r"no table is named dev\.raw\.evnts"):
        world.ask("SELECT * FROM raw.evnts")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM raw.events, LATERAL read_text('/etc/passwd')",
        "SELECT * FROM raw.events LEFT JOIN LATERAL read_parquet('/tmp/*') ON true",
        "SELECT (SELECT content FROM read_text('/etc/passwd'))",
        "SELECT * FROM '/etc/passwd'",
        'SELECT * FROM "/etc/passwd"',
        "SELECT * FROM glob('/*')",
        "SELECT * FROM raw.events, glob('/*')",
        "SELECT * FROM duckdb_settings()",
        "SELECT * FROM duckdb_views",
        "SELECT * FROM sqlite_master",
        "SELECT * FROM query('SELECT 1')",
        "SELECT getenv('HOME')",
        "COPY (SELECT 1) TO '/tmp/out.csv'",
        "COPY raw.events TO '/tmp/out.csv'",
        "ATTACH '/tmp/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "PRAGMA database_list",
        "EXPORT DATABASE '/tmp/out'",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO raw.events VALUES (1, 'x')",
        "DELETE FROM raw.events",
        "DROP VIEW raw.events",
        "SELECT 1; SELECT 2",
        "SELECT 1; COPY (SELECT 1) TO '/tmp/out.csv'",
        "CALL pragma_version()",
        "SELEKT 1",
        "",
        ";",
    ],
)
def test_what_leaves_the_granted_tables_is_refused(world: Any, query: str) -> None:
    with pytest.raises((InvalidInput, NotFound, NotPermitted)):
        world.ask(query)
    assert not Path("/tmp/out.csv").exists()


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM sqlite_master, (WITH sqlite_master AS (SELECT 1) SELECT * FROM sqlite_master) t",
        "WITH a AS (SELECT * FROM sqlite_master), sqlite_master AS (SELECT 1) SELECT * FROM a",
        "WITH sqlite_master AS (SELECT * FROM sqlite_master) SELECT * FROM sqlite_master",
    ],
)
def test_a_local_name_hides_no_table_outside_its_scope(world: Any, query: str) -> None:
    with pytest.raises(InvalidName, match="'sqlite_master' needs two levels"):
        world.ask(query)


@pytest.mark.parametrize(
    "name", ['"', "'", '""""', '"raw"."ev""ents"', '"raw\'".events', '"raw.events"', '"a""; DROP"."b"']
)
def test_names_made_of_quotes_are_refused(world: Any, name: str) -> None:
    with pytest.raises(BoathouseError) as refused:
        world.ask(f"SELECT * FROM {name}")
    assert refused.value.http_status in (400, 403, 404)


def test_the_tables_own_files_are_not_read_around_a_mask(world: Any) -> None:
    world.catalog.describe(Identity("olga"), "dev.raw.events", {"masks": {"who": "'***'"}})
    folder = world.catalog.table("dev.raw.events").location.removeprefix("file://")
    for source in (f"read_parquet('{folder}/*.parquet')", f"'{folder}/*.parquet'"):
        for join in (",", ", LATERAL"):
            with pytest.raises(InvalidInput):
                world.ask(f"SELECT * FROM raw.events a{join} {source} b")


def test_masks_and_row_filters_hold_for_everyone_they_name(world: Any) -> None:
    changes = {"masks": {"who": "CASE WHEN is_member('auditors') THEN who ELSE '***' END"},
               "row_filter": "id < 3 OR is_member('auditors')"}  # fmt: skip
    world.catalog.describe(Identity("olga"), "dev.raw.events", changes)
    assert world.ask("SELECT * FROM raw.events") == [{"id": 1, "who": "***"}, {"id": 2, "who": "***"}]
    auditor = Identity("rita", frozenset({"readers", "auditors"}))
    assert world.ask("SELECT who FROM raw.events WHERE id = 3", auditor) == [{"who": "o'brien"}]


def test_a_principal_of_any_name_can_ask(world: Any) -> None:
    odd = Identity("o'brien\"); DROP", frozenset({"readers"}))
    world.catalog.describe(
        Identity("olga"), "dev.raw.events", {"row_filter": "is_member('o''brien\"); DROP')"}
    )
    assert world.ask("SELECT count(*) AS n FROM raw.events", odd) == [{"n": 3}]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT nothing FROM raw.events",
        "SELECT 1 / 'x' FROM raw.events",
        "SELECT id FROM raw.events GROUP BY who",
    ],
)
def test_sql_that_fails_says_why_in_one_line(world: Any, query: str) -> None:
    with pytest.raises(InvalidInput, match=r"^the query failed: .+$") as refused:
        world.ask(query)
    assert "\n" not in str(refused.value)


def test_a_mask_of_before_that_is_no_sql_is_an_error_of_the_query(world: Any) -> None:
    world.catalog._rows.change_table(Identity("olga"), "dev.raw.events", {"masks": {"who": "nonsense("}}, "alter table")
    with pytest.raises(InvalidInput, match="the SQL cannot be read"):
        world.ask("SELECT * FROM raw.events")


def test_a_query_that_takes_too_long_is_ended(world: Any) -> None:
    world.desk._seconds = 0.3
    with pytest.raises(LimitExceeded, match=r"ran longer than 0\.3 seconds"):
        world.ask("SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range % 7 = b.range % 11")


def test_versions_are_those_of_the_snapshot_that_was_read(world: Any) -> None:
    folder = DeltaFolder(world.catalog.table("dev.raw.events").location, "dev.raw.events")
    with world.desk.run(READER, "SELECT count(*) AS n FROM raw.events, dev.raw.events b", "dev") as result:
        folder.append({"id": [4], "who": ["late"]})
        assert result.versions == {"dev.raw.events": 1}
        assert result.to_dicts() == [{"n": 9}]


def test_rows_come_as_a_stream_with_its_columns_and_types(world: Any) -> None:
    with world.desk.run(READER, "SELECT range AS n, 'x' AS w FROM range(200000)", "dev") as result:
        assert (result.schema.names, result.types) == (["n", "w"], {"n": "bigint", "w": "string"})
        assert sum(batch.num_rows for batch in result.reader()) == 200_000
    with world.desk.run(READER, "SELECT * FROM range(1000000000000)", "dev", limit=3) as result:
        assert result.to_dicts() == [{"range": 0}, {"range": 1}, {"range": 2}]
