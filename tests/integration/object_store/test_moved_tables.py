"""A home's tables move from disk to a store, with all that refers to them."""

import os
from pathlib import Path

import pytest
from object_stores import ObjectStore

import boathouse
from boathouse import settings
from boathouse.errors import Conflict
from boathouse.platform import keeping

pytestmark = pytest.mark.usefixtures("restored_environment")


def test_tables_move_to_a_store_and_are_written_there(tmp_path: Path, seaweed: ObjectStore) -> None:
    os.environ |= seaweed.environ
    home = str(tmp_path / "home")
    with boathouse.connect(home=home) as lake:
        lake.create_table("raw.events", {"n": [1, 2]})
    place = f"s3://{seaweed.bucket()}/lake"
    wanted = settings.load(home=home)
    heard: list[tuple[int, int]] = []
    with keeping.owned(wanted):
        moved = keeping.move_tables(wanted, place, lambda done, whole: heard.append((done, whole)))
        with pytest.raises(Conflict, match="not empty"):
            keeping.move_tables(wanted, place)
    assert (moved.files >= 2, heard[-1]) == (True, (moved.bytes, moved.bytes))
    settings.keep(wanted.home, storage=place)
    with boathouse.connect(home=home) as lake:
        table = lake.table("raw.events")
        table.append({"n": [3]})
        assert (table.info.location.startswith(place), table.read().count()) == (True, 3)
