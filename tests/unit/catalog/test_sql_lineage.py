"""Lineage of what SQL makes: tables, rows and views, by version and column."""

from typing import Any

import pytest

from boathouse.identity import Identity

OWNER = Identity("olga")


@pytest.fixture
def world(world: Any) -> Any:
    world.access.grant("root", ["olga"], ["USE SCHEMA", "SELECT", "MODIFY"], "catalog", "dev")
    world.table("dev.raw.flights", {"id": [1, 2], "origin": ["JFK", "LGA"], "delay": [5, 40]})
    world.table("dev.raw.airports", {"faa": ["JFK", "LGA"], "city": ["New York"] * 2})
    return world


def columns(world: Any, name: str) -> set[str]:
    found = world.lineage.columns(world.lineage.walk(name, "up"))
    return {f"{e.source}.{e.source_column} -> {e.target}.{e.target_column} {e.how[0]}" for e in found}


def steps(world: Any, name: str) -> list[tuple[str, str | None, str, str | None, str]]:
    edges = world.lineage.walk(name, "up").edges
    return [(e.source, e.source_version, e.target, e.target_version, e.operation) for e in edges]


def test_a_table_made_of_a_query_knows_the_columns_it_came_from(world: Any) -> None:
    world.do("CREATE TABLE mart.late AS SELECT id, city, delay > 15 AS late FROM raw.flights JOIN raw.airports ON origin = faa")
    assert columns(world, "dev.mart.late") == {
        "dev.raw.flights.id -> dev.mart.late.id IDENTITY", "dev.raw.airports.city -> dev.mart.late.city IDENTITY",
        "dev.raw.flights.delay -> dev.mart.late.late TRANSFORMATION", "dev.raw.flights.origin -> dev.mart.late.* JOIN",
        "dev.raw.airports.faa -> dev.mart.late.* JOIN",
    }  # fmt: skip
    assert {s[:4] for s in steps(world, "dev.mart.late")} == {
        ("dev.raw.airports", "1", "dev.mart.late", "1"), ("dev.raw.flights", "1", "dev.mart.late", "1"),
    }  # fmt: skip


def test_rows_that_are_inserted_and_merged_know_their_columns(world: Any) -> None:
    world.do("CREATE TABLE mart.seen (id BIGINT, place VARCHAR, worst BIGINT)")
    world.do("INSERT INTO mart.seen (worst, id) SELECT delay, id FROM raw.flights")
    assert "dev.raw.flights.delay -> dev.mart.seen.worst IDENTITY" in columns(world, "dev.mart.seen")
    world.do(
        "MERGE INTO mart.seen s USING raw.flights f ON s.id = f.id WHEN MATCHED THEN UPDATE SET worst = f.delay + 1 "
        "WHEN NOT MATCHED THEN INSERT (id, place) VALUES (f.id, f.origin)"
    )
    merged = columns(world, "dev.mart.seen")
    assert {"dev.raw.flights.origin -> dev.mart.seen.place IDENTITY", "dev.raw.flights.id -> dev.mart.seen.* JOIN"} <= merged


def test_a_view_stands_between_its_tables_and_what_is_made_of_it(world: Any) -> None:
    world.do("CREATE VIEW mart.delays AS SELECT id, delay / 60 AS hours FROM raw.flights")
    world.do("CREATE TABLE mart.slow AS SELECT * FROM mart.delays WHERE hours > 0.5")
    assert steps(world, "dev.mart.slow")[0] == ("dev.raw.flights", None, "dev.mart.delays", "1", "CREATE VIEW")
    assert {s[:3] for s in steps(world, "dev.mart.slow")} == {
        ("dev.raw.flights", None, "dev.mart.delays"), ("dev.mart.delays", None, "dev.mart.slow"),
    }  # fmt: skip
    through = columns(world, "dev.mart.slow")
    assert "dev.raw.flights.delay -> dev.mart.delays.hours TRANSFORMATION" in through
    assert "dev.mart.delays.hours -> dev.mart.slow.* FILTER" in through


def test_a_view_that_is_replaced_is_no_longer_made_of_what_it_was(world: Any) -> None:
    world.do("CREATE VIEW mart.places AS SELECT origin FROM raw.flights")
    world.do("CREATE OR REPLACE VIEW mart.places AS SELECT faa FROM raw.airports")
    assert [s[0] for s in steps(world, "dev.mart.places")] == ["dev.raw.airports"]
    assert [e.target for e in world.lineage.edges("dev.raw.flights", "down") if e.current] == []


def test_rows_are_not_made_of_tables_that_only_a_condition_names(world: Any) -> None:
    world.do("CREATE TABLE mart.copy AS SELECT * FROM raw.flights")
    world.do("DELETE FROM mart.copy WHERE origin = (SELECT max(faa) FROM raw.airports)")
    assert {s[0] for s in steps(world, "dev.mart.copy")} == {"dev.raw.flights"}
    world.do("DELETE FROM mart.copy")
    assert steps(world, "dev.mart.copy") == []
