"""Primary keys for tables that were made without."""

from datetime import UTC, datetime
from typing import Any

import pytest

from boathouse.catalog import PrimaryKeys
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, DuplicateKey, InvalidInput, NotPermitted
from boathouse.identity import Identity

OLGA = Identity("olga")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def keys(world: Any, database: Database) -> PrimaryKeys:
    return PrimaryKeys(database, world.catalog)


def test_a_table_gets_keys_that_hold_for_every_row_and_for_those_to_come(world: Any, keys: PrimaryKeys) -> None:
    world.table("dev.raw.events", {"id": [1, 1], "at": [NOON, NOON.replace(hour=13)], "n": [5, 6]})
    made = keys.declare(OLGA, "dev.raw.events", ["id", "at"], event_time="at")
    assert (made.primary_keys, made.event_time, made.is_feature_table) == (("id", "at"), "at", True)
    with pytest.raises(InvalidInput):
        world.catalog.folder(made).append({"id": [None], "at": [NOON], "n": [1]})
    with pytest.raises(AlreadyExists):
        keys.declare(OLGA, "dev.raw.events", ["id"])


def test_rows_that_repeat_or_lack_a_key_are_found_before_anything_changes(world: Any, keys: PrimaryKeys) -> None:
    world.table("dev.raw.events", {"id": [1, 1, 2], "n": [5, None, 6]})
    with pytest.raises(DuplicateKey, match="1 rows"):
        keys.declare(OLGA, "dev.raw.events", ["id"])
    with pytest.raises(InvalidInput, match="have no id or n"):
        keys.declare(OLGA, "dev.raw.events", ["id", "n"])
    with pytest.raises(InvalidInput, match="no column"):
        keys.declare(OLGA, "dev.raw.events", ["wrong"])
    assert world.catalog.table("dev.raw.events").primary_keys == ()


def test_keys_are_taken_away_unless_a_record_needs_them(world: Any, keys: PrimaryKeys) -> None:
    world.table("dev.raw.events", {"id": [1]}, primary_keys=("id",))
    world.catalog.pins.pin("dev.raw.events", 1, "model dev.a.b version 1")
    with pytest.raises(Conflict, match=r"model dev\.a\.b"):
        keys.drop(OLGA, "dev.raw.events")
    world.table("dev.raw.free", {"id": [1]}, primary_keys=("id",))
    assert keys.drop(OLGA, "dev.raw.free").primary_keys == ()


def test_keys_are_the_managers_to_change(world: Any, keys: PrimaryKeys) -> None:
    world.table("dev.raw.events", {"id": [1]})
    with pytest.raises(NotPermitted):
        keys.declare(Identity("sam"), "dev.raw.events", ["id"])
    assert world.denials()[-1] == ("sam", "denied MANAGE", "dev.raw.events")
