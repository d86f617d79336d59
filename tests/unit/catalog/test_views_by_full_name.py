"""A view reads the same by two levels and by three, through other views, and in another environment's query."""

from typing import Any

import pytest

from boathouse.catalog import TableSpec
from boathouse.identity import Identity

OLGA = Identity("olga")


@pytest.mark.parametrize("name", ["raw.newest", "dev.raw.newest", '"dev"."raw"."newest"', "dev.raw.newest n"])
def test_a_view_of_a_view_is_read_by_whatever_name(world: Any, name: str) -> None:
    info = world.table("dev.raw.events", {"id": [1, 2], "n": [5, 6]})
    schema = world.catalog.folder(info).schema()
    world.catalog.create_table(OLGA, TableSpec("dev.raw.late", schema, view="SELECT * FROM dev.raw.events WHERE id > 1"))
    world.catalog.create_table(OLGA, TableSpec("dev.raw.newest", schema, view="SELECT * FROM dev.raw.late"))
    assert world.ask(f"SELECT id FROM {name}", OLGA) == [{"id": 2}]
    if name.startswith("dev."):
        assert world.ask(f"SELECT id FROM {name}", OLGA, environment="prod") == [{"id": 2}]
