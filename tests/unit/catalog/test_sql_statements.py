"""SQL that changes tables goes the catalog's own way, or is refused with what to do instead."""

from datetime import UTC, datetime
from typing import Any

import pytest
from deltalake import DeltaTable

from boathouse.errors import AlreadyExists, BoathouseError, InvalidInput, NotFound, NotPermitted, from_dict
from boathouse.identity import Identity

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
DAY = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def world(world: Any) -> Any:
    world.access.grant("root", ["olga"], ["USE SCHEMA", "SELECT", "MODIFY"], "catalog", "dev")
    world.table("dev.raw.plain", {"id": [1, 2, 3], "who": ["a", "b", None], "moment": [DAY, DAY, DAY]})
    world.table("dev.raw.keyed", {"id": [1, 2, 3], "n": [10, 20, 30]}, primary_keys=("id",))
    return world


def rows(world: Any, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in world.ask(query, OWNER)]


def test_a_table_is_made_with_columns_keys_and_checks(world: Any) -> None:
    done = world.do(
        "CREATE TABLE raw.made (id BIGINT PRIMARY KEY, name VARCHAR NOT NULL COMMENT 'full name', at TIMESTAMP, tags VARCHAR[], "
        "CHECK (id > 0)) PARTITIONED BY (name) COMMENT 'made by hand'"
    )
    info = world.catalog.table("dev.raw.made")
    assert done == {"statement": "CREATE TABLE", "name": "dev.raw.made", "version": 0, "rows": 0}
    assert [(c.name, c.type) for c in info.columns] == [
        ("id", "bigint"), ("name", "string"), ("at", "timestamp"), ("tags", "array<string>"),
    ]  # fmt: skip
    assert (info.primary_keys, info.partition_by, info.description) == (("id",), ("name",), "made by hand")
    assert info.columns[1].comment == "full name"
    assert world.do("INSERT INTO raw.made VALUES (1, 'ann', '2024-05-01', ['x'])")["rows"] == 1
    for bad in ("(-1, 'x', NULL, NULL)", "(2, NULL, NULL, NULL)"):
        with pytest.raises(BoathouseError):
            world.do(f"INSERT INTO raw.made VALUES {bad}")


def test_a_table_is_made_with_an_event_time_as_other_platforms_write_it(world: Any) -> None:
    world.do(
        'CREATE TABLE raw.timed (id BIGINT NOT NULL, "at" TIMESTAMP NOT NULL, timeseries DOUBLE, '
        'CONSTRAINT timed_pk PRIMARY KEY (id, "at" TIMESERIES)) USING DELTA '
        "TBLPROPERTIES (delta.enableChangeDataFeed = true, 'delta.checkpointInterval' = '5')"
    )
    info = world.catalog.table("dev.raw.timed")
    assert (info.primary_keys, info.event_time) == (("id", "at"), "at")
    assert DeltaTable(info.location).metadata().configuration["delta.checkpointInterval"] == "5"
    world.do("CREATE TABLE raw.plainly (timeseries BIGINT, PRIMARY KEY (timeseries))")
    assert world.catalog.table("dev.raw.plainly").event_time is None
    with pytest.raises(InvalidInput, match="one event time, not a and b"):
        world.do("CREATE TABLE raw.twice (a TIMESTAMP, b TIMESTAMP, PRIMARY KEY (a TIMESERIES, b TIMESERIES))")


def test_a_table_is_made_of_a_query_and_knows_what_it_came_from(world: Any) -> None:
    done = world.do("CREATE TABLE raw.copy AS SELECT id, upper(who) AS who FROM raw.plain WHERE id < 3")
    assert (done["version"], done["rows"]) == (1, 2)
    assert rows(world, "SELECT * FROM raw.copy ORDER BY id") == [(1, "A"), (2, "B")]
    [edge] = world.lineage.edges("dev.raw.copy", "up")
    assert (edge.source, edge.source_version, edge.target_version) == ("dev.raw.plain", "1", "1")
    with pytest.raises(AlreadyExists):
        world.do("CREATE TABLE raw.copy AS SELECT 1 AS x")
    assert world.do("CREATE TABLE IF NOT EXISTS raw.copy AS SELECT 1 AS x")["version"] is None


def test_a_table_whose_query_fails_on_its_way_is_not_left_behind(world: Any) -> None:
    with pytest.raises(BoathouseError):
        world.do("CREATE TABLE raw.half AS SELECT CASE WHEN range > 100000 THEN error('late') END AS x FROM range(200000)")
    with pytest.raises(NotFound):
        world.catalog.table("dev.raw.half")


def test_rows_are_inserted_by_place_and_by_name(world: Any) -> None:
    assert world.do("INSERT INTO raw.plain VALUES (4, 'd', '2024-02-01 10:00:00')")["rows"] == 1
    assert world.do("INSERT INTO raw.plain (who, id) VALUES ('e', 5)")["version"] == 3
    assert world.do("INSERT INTO raw.plain BY NAME SELECT 'f' AS who, 6 AS id")["rows"] == 1
    assert world.do("INSERT INTO raw.plain WITH x AS (SELECT 7 AS id) SELECT id, NULL, NULL FROM x")["rows"] == 1
    found = rows(world, "SELECT id, who, moment FROM raw.plain WHERE id > 3 ORDER BY id")
    assert found == [(4, "d", datetime(2024, 2, 1, 10, tzinfo=UTC)), (5, "e", None), (6, "f", None), (7, None, None)]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("INSERT INTO raw.plain VALUES (1, 'x')", "takes 3 values"),
        ("INSERT INTO raw.plain (id, nope) VALUES (1, 2)", "no column 'nope'"),
        ("INSERT INTO raw.plain (id) VALUES ('seven')", "seven"),
        ("INSERT INTO raw.plain VALUES (1, 'x', now()) ON CONFLICT DO NOTHING", "MERGE INTO does that"),
        ("INSERT INTO raw.plain VALUES (1, 'x', now()) RETURNING id", "RETURNING"),
        ("INSERT OR REPLACE INTO raw.keyed VALUES (1, 2)", "MERGE INTO does that"),
        ("INSERT INTO raw.plain SELECT * FROM read_csv('/etc/passwd')", "read_?csv"),
        ("UPDATE raw.plain SET nope = 1", "no column 'nope'"),
        ("UPDATE raw.plain SET who = 'x' FROM raw.keyed", "MERGE INTO does that"),
        ("UPDATE raw.plain SET id = 'x'", "'x' is no int64"),
        ("DELETE FROM raw.plain WHERE nope = 1", "nope is no column"),
        ("DELETE FROM raw.plain WHERE regexp_matches(who, 'a')", "has no primary keys"),
        ("CREATE OR REPLACE TABLE raw.plain AS SELECT 1 AS x", "lose the table's history"),
        ("CREATE TABLE raw.t (id INT DEFAULT 7)", "not kept by tables here"),
        ("CREATE TABLE raw.t (id NOSUCHTYPE)", "(?i)nosuchtype"),
        ("CREATE TEMP TABLE t AS SELECT 1", "TEMPORARY"),
        ("ALTER TABLE raw.plain ADD COLUMN x INT", "evolve=True"),
        ("GRANT SELECT ON raw.plain TO rita", "boathouse grants add"),
        ("EXPLAIN SELECT 1", "EXPLAIN"),
        ("DROP VIEW raw.plain", "DROP TABLE"),
        ("OPTIMIZE raw.plain FULLY", "ZORDER BY"),
        ("VACUUM raw.plain RETAIN some HOURS", "RETAIN n HOURS"),
        ("DELETE FROM raw.plain; DROP TABLE raw.plain", "one statement at a time"),
        ("WITH x AS (SELECT 1) INSERT INTO raw.plain SELECT 1, 'x', now()", "one query is expected"),
        ("MERGE INTO raw.keyed USING (SELECT 1 AS id) ON true WHEN MATCHED THEN DELETE", "needs a name"),
        ("MERGE INTO raw.keyed k USING raw.plain p ON sqrt(k.id) = p.id WHEN MATCHED THEN DELETE", "in the source of the MERGE"),
    ],
)  # fmt: skip
def test_what_is_not_done_says_what_to_do(world: Any, statement: str, reason: str) -> None:
    with pytest.raises(BoathouseError, match=reason) as refused:
        world.do(statement)
    assert type(from_dict(refused.value.to_dict(), 400)) is type(refused.value)
    assert len(rows(world, "FROM raw.plain")) == 3


def test_rows_are_deleted_by_conditions_that_mean_the_same_in_both_engines(world: Any) -> None:
    assert world.do("DELETE FROM raw.plain WHERE who = 'a' AND moment >= TIMESTAMP '2024-01-01'")["rows"] == 1
    assert world.do("DELETE FROM raw.plain AS p WHERE p.who IS NULL OR p.id BETWEEN 100 AND 200")["rows"] == 1
    assert rows(world, "SELECT ID FROM raw.plain") == [(2,)]
    assert world.do("DELETE FROM raw.plain WHERE id NOT IN (SELECT id FROM raw.keyed)")["rows"] in (0, None)
    assert world.do("DELETE FROM raw.plain WHERE id = (SELECT min(id) + 1 FROM raw.keyed)")["rows"] == 1
    assert rows(world, "FROM raw.plain") == []


def test_what_only_the_reading_engine_can_tell_is_found_again_by_the_keys(world: Any) -> None:
    assert world.do("DELETE FROM raw.keyed WHERE n / 7 > 4")["rows"] == 1
    assert world.do("UPDATE raw.keyed SET n = n // 3 WHERE sqrt(id) < 1.2")["rows"] == 1
    beside = "EXISTS (SELECT 1 FROM raw.plain p WHERE p.id = k.id AND p.who = 'b')"
    assert world.do(f"UPDATE raw.keyed k SET n = 99 WHERE {beside}")["rows"] == 1
    assert rows(world, "FROM raw.keyed ORDER BY id") == [(1, 3), (2, 99)]
    assert world.do("DELETE FROM raw.keyed WHERE sqrt(n) > 1000")["rows"] == 0
    assert world.catalog.folder("dev.raw.keyed").version() == 4


def test_columns_are_set_to_values_and_to_each_other(world: Any) -> None:
    assert world.do("UPDATE raw.keyed SET n = n + 1, id = id WHERE id = 2")["rows"] == 1
    assert world.do("UPDATE raw.plain SET who = CASE WHEN id = 1 THEN lower('X') ELSE coalesce(who, 'none') END")["rows"] == 3
    assert world.do("UPDATE raw.plain SET moment = '2025-01-01', who = NULL WHERE id = 3")["rows"] == 1
    assert rows(world, "SELECT n FROM raw.keyed WHERE id = 2") == [(21,)]
    assert rows(world, "SELECT who, year(moment) FROM raw.plain ORDER BY id") == [("x", 2024), ("b", 2024), (None, 2025)]


def test_parameters_stand_for_values_and_for_nothing_else(world: Any) -> None:
    tricky = "b' OR '1'='1"
    world.do("INSERT INTO raw.plain VALUES ($id, $who, now())", parameters={"id": 9, "who": tricky})
    assert world.do("DELETE FROM raw.plain WHERE who = ?", parameters=[tricky])["rows"] == 1
    assert world.do("UPDATE raw.keyed SET n = $1 WHERE id = $2", parameters=[5, 1])["rows"] == 1
    assert len(rows(world, "FROM raw.plain")) == 3
    with pytest.raises(InvalidInput, match="parameter who is not given"):
        world.do("DELETE FROM raw.plain WHERE who = $who", parameters={"id": 1})


def test_a_merge_updates_deletes_and_inserts(world: Any) -> None:
    done = world.do(
        "MERGE INTO raw.keyed AS t USING (SELECT * FROM (VALUES (2, 5), (3, 0), (7, 70)) v(id, n)) AS s ON t.id = s.id "
        "WHEN MATCHED AND s.n = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET n = t.n + s.n WHEN NOT MATCHED THEN INSERT *"
    )
    assert (done["statement"], done["rows"]) == ("MERGE", 3)
    assert rows(world, "FROM raw.keyed ORDER BY id") == [(1, 10), (2, 25), (7, 70)]
    world.do("MERGE INTO raw.keyed k USING raw.plain p ON k.id = p.id WHEN NOT MATCHED BY SOURCE THEN DELETE "
             "WHEN NOT MATCHED THEN INSERT (id, n) VALUES (p.id, 0)")  # fmt: skip
    assert rows(world, "FROM raw.keyed ORDER BY id") == [(1, 10), (2, 25), (3, 0)]
    assert {e.source for e in world.lineage.edges("dev.raw.keyed", "up")} == {"dev.raw.plain"}


def test_tables_and_schemas_are_dropped_emptied_and_kept_in_shape(world: Any) -> None:
    assert world.do("OPTIMIZE raw.plain ZORDER BY (id)")["statement"] == "OPTIMIZE"
    assert world.do("VACUUM raw.plain RETAIN 200 HOURS DRY RUN")["rows"] == 0
    world.do("TRUNCATE TABLE raw.plain")
    assert rows(world, "FROM raw.plain") == []
    world.do("DROP TABLE raw.plain")
    assert world.do("DROP TABLE IF EXISTS raw.plain")["version"] is None
    world.do("CREATE SCHEMA fresh")
    world.do("CREATE SCHEMA IF NOT EXISTS dev.fresh")
    world.do("CREATE TABLE fresh.t AS SELECT 1 AS x")
    world.do("DROP SCHEMA fresh CASCADE")
    assert world.do("DROP SCHEMA IF EXISTS fresh")["name"] == "dev.fresh"


def test_the_changed_table_may_stand_before_its_columns_by_its_whole_name(world: Any) -> None:
    world.do("CREATE TABLE raw.whole AS SELECT * FROM (VALUES (1, 1.5::DOUBLE), (2, 2.5::DOUBLE)) t(id, v)")
    world.do("MERGE INTO raw.whole USING (SELECT 2 AS id, 9.0::DOUBLE AS v) s ON raw.whole.id = s.id "
             "WHEN MATCHED AND raw.whole.v < s.v THEN UPDATE SET v = raw.whole.v + s.v")  # fmt: skip
    world.do("UPDATE dev.raw.whole SET v = dev.raw.whole.v * 2 WHERE raw.whole.id = 1")
    assert rows(world, "FROM raw.whole ORDER BY id") == [(1, 3.0), (2, 11.5)]
    world.do("DELETE FROM raw.whole WHERE raw.whole.id IN (SELECT raw.whole.id FROM raw.whole WHERE raw.whole.v > 3)")
    assert rows(world, "FROM raw.whole") == [(1, 3.0)]


def test_show_and_describe_tell_of_what_one_may_see(world: Any) -> None:
    world.table("prod.raw.hidden", {"id": [1]})
    assert world.do("SHOW TABLES")["table_name"] == "keyed"
    assert world.do("SHOW SCHEMAS")["schema_name"] == "raw"
    assert world.do("DESCRIBE raw.keyed")["column_name"] == "id"
    for place in ("raw.keyed", "dev.raw.keyed"):
        shown = world.do(f"SHOW COLUMNS IN {place}")
        assert (shown["column_name"], shown["data_type"], shown["is_nullable"]) == ("id", "bigint", "NO")
    names = [r[0] for r in rows(world, "SELECT table_name FROM information_schema.tables ORDER BY 1")]
    assert names == ["keyed", "plain"]
    columns = "FROM dev.information_schema.columns c WHERE c.table_name = 'keyed' ORDER BY ordinal_position"
    assert rows(world, f"SELECT column_name, data_type {columns}") == [("id", "bigint"), ("n", "bigint")]
    with pytest.raises(NotPermitted):
        world.ask("FROM prod.information_schema.tables")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO raw.plain VALUES (1, 'x', now())",
        "DELETE FROM raw.plain",
        "UPDATE raw.plain SET who = 'x'",
        "MERGE INTO raw.keyed t USING raw.keyed s ON t.id = s.id WHEN MATCHED THEN DELETE",
        "TRUNCATE raw.plain",
        "OPTIMIZE raw.plain",
        "VACUUM raw.plain",
        "DROP TABLE raw.plain",
        "DROP SCHEMA raw CASCADE",
        "CREATE TABLE raw.mine AS SELECT 1 AS x",
        "CREATE SCHEMA mine",
        "CREATE VIEW raw.v AS SELECT * FROM raw.plain",
        "CREATE TABLE raw.keyed AS SELECT * FROM prod.raw.events",
    ],
)
def test_who_may_not_change_is_refused_and_it_is_recorded(world: Any, statement: str) -> None:
    before = len(world.audit.entries(1000))
    with pytest.raises((NotPermitted, AlreadyExists)):
        world.do(statement, READER)
    assert len(rows(world, "FROM raw.plain")) == 3
    refused = [e for e in world.audit.entries(1000)[: len(world.audit.entries(1000)) - before] if e.outcome == "denied"]
    assert refused or "keyed AS" in statement


def test_every_change_is_in_the_audit_log(world: Any) -> None:
    world.do("CREATE TABLE raw.logged AS SELECT 1 AS x")
    world.do("DELETE FROM raw.logged WHERE x = 1")
    world.do("DROP TABLE raw.logged")
    actions = [e.action for e in world.audit.entries(50, "dev.raw.logged")]
    assert actions == ["drop table", "delete", "write", "create table"]
    assert world.audit.verify() is None


def test_rows_one_sees_through_a_mask_are_not_changed_by_what_stands_in_them(world: Any) -> None:
    world.catalog.describe(OWNER, "dev.raw.keyed", {"masks": {"n": "0"}})
    editor = Identity("eve", frozenset({"readers"}))
    world.access.grant("root", ["eve"], ["MODIFY"], "table", "dev.raw.keyed")
    for statement in ("DELETE FROM raw.keyed WHERE n = 10", "UPDATE raw.keyed SET id = 5 WHERE n = 10",
                      "MERGE INTO raw.keyed t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE"):  # fmt: skip
        with pytest.raises(NotPermitted, match="only who may MANAGE it"):
            world.do(statement, editor)
    assert world.do("INSERT INTO raw.keyed VALUES (9, 90)", editor)["rows"] == 1
    assert world.do("DELETE FROM raw.keyed WHERE n = 10")["rows"] == 1
    with pytest.raises(InvalidInput, match="masks or a filter"):
        world.do("DELETE FROM raw.keyed WHERE sqrt(n) > 1")


def test_reading_doors_do_not_change_anything(world: Any) -> None:
    for statement in ("DELETE FROM raw.plain", "DROP TABLE raw.plain", "CREATE TABLE raw.x AS SELECT 1 AS x"):
        with pytest.raises(InvalidInput):
            world.ask(statement, OWNER)
    assert len(rows(world, "FROM raw.plain")) == 3


def test_a_function_is_made_replaced_and_dropped(world: Any) -> None:
    text = "-- twice as much\nCREATE {} FUNCTION {} raw.twice(x DOUBLE) RETURNS DOUBLE LANGUAGE PYTHON AS $$ return x * {} $$"
    world.access.grant("root", ["olga"], ["CREATE FUNCTION"], "catalog", "dev")
    made = world.do(text.format("", "", 2))
    assert made == {"statement": "CREATE FUNCTION", "name": "dev.raw.twice", "version": 1, "rows": None}
    with pytest.raises(AlreadyExists):
        world.do(text.format("", "", 3))
    assert world.do(text.format("", "IF NOT EXISTS", 3))["version"] is None
    assert world.do(text.format("OR REPLACE", "", 4))["version"] == 2
    with pytest.raises(NotPermitted):
        world.do(text.format("OR REPLACE", "", 5), READER)
    world.do("DROP FUNCTION raw.twice")
    with pytest.raises(NotFound):
        world.do("DROP FUNCTION raw.twice")
    world.do("DROP FUNCTION IF EXISTS raw.twice")
