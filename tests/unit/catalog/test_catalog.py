"""Schemas and tables: made, found, changed and dropped by those who may."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pyarrow as pa
import pytest
import sqlalchemy as sa

from boathouse.catalog import Catalog, TableSpec
from boathouse.catalog.store import securables
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, InvalidName, NotFound, NotPermitted
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder, Storages, storage_at

OWNER = Identity("olga")
READER = Identity("rita", frozenset({"readers"}))
STRANGER = Identity("sam")
NAME = "dev.raw.events"
SPEC = TableSpec(NAME, pa.schema([("id", pa.int64()), ("t", pa.timestamp("us"))]))


def test_a_table_is_made_with_its_schema_and_described(world: Any) -> None:
    spec = replace(SPEC, primary_keys=("id", "t"), event_time="t", description="what happened",
                   tags={"team": "raw"}, column_comments={"id": "its number"}, partition_by=("id",))  # fmt: skip
    made = world.catalog.create_table(OWNER, spec)
    assert (made.owner, made.keys, made.event_time, made.is_feature_table) == ("olga", ("id",), "t", True)
    assert [(c.name, c.type, c.comment) for c in made.columns] == [
        ("id", "bigint", "its number"), ("t", "timestamp", ""),
    ]  # fmt: skip
    assert type(made).from_dict(made.to_dict()) == made == world.catalog.table(NAME)
    assert [s.name for s in world.catalog.securables("schema", parent="dev")] == ["dev.raw"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"primary_keys": ("idd",)}, "primary key 'idd' is no column"),
        ({"partition_by": ("x",)}, "partition column 'x' is no column"),
        ({"event_time": "id"}, "must be a timestamp, not int64"),
        ({"event_time": "t"}, "must be one of the primary keys"),
        ({"known_time": "late"}, "known time 'late' is no column"),
    ],
)
def test_keys_and_times_must_be_columns_that_can_serve(
    world: Any, change: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidInput, match=reason):
        world.catalog.create_table(OWNER, replace(SPEC, **change))
    assert world.catalog.securables("table") == []


@pytest.mark.parametrize(
    "name", ["raw.events", "events", "dev.raw.e vents", 'dev.raw."events"', "dev.raw.'", "dev..events", "dev.raw.1a",
             "dev.raw.events.x", "", "dev.raw.a/b", "../dev.raw.a", "dev.raw.a\n"]
)  # fmt: skip
def test_a_name_that_is_none_is_refused(world: Any, name: str) -> None:
    with pytest.raises(InvalidName):
        world.catalog.create_table(OWNER, replace(SPEC, name=name))


def test_a_quoted_name_is_the_plain_one(world: Any) -> None:
    assert world.catalog.create_table(OWNER, replace(SPEC, name="`dev`.raw.`events`")).name == NAME
    with pytest.raises(AlreadyExists):
        world.catalog.create_table(OWNER, SPEC)


def test_an_unknown_environment_is_not_found(world: Any) -> None:
    with pytest.raises(NotFound, match="no catalog is named moon"):
        world.catalog.create_table(OWNER, replace(SPEC, name="moon.raw.events"))


def test_a_name_that_is_taken_is_refused_unless_that_is_fine(world: Any) -> None:
    made = world.catalog.create_table(OWNER, SPEC)
    with pytest.raises(AlreadyExists, match=NAME):
        world.catalog.create_table(OWNER, SPEC)
    assert world.catalog.create_table(OWNER, SPEC, exists_ok=True) == made
    assert world.catalog.create_table(READER, SPEC, exists_ok=True) == made
    with pytest.raises(NotPermitted):
        world.catalog.create_table(STRANGER, SPEC, exists_ok=True)


def test_a_table_that_delta_refuses_can_be_made_right_afterwards(world: Any) -> None:
    with pytest.raises(InvalidInput, match="cannot be made"):
        world.catalog.create_table(OWNER, replace(SPEC, constraints={"broken": "id >"}))
    with pytest.raises(NotFound):
        world.catalog.table(NAME)
    wider = replace(SPEC, schema=pa.schema([("other", pa.string())]))
    assert DeltaFolder(world.catalog.create_table(OWNER, wider).location, NAME).schema().names == ["other"]


def test_rows_of_a_former_table_are_neither_shown_nor_wiped(world: Any, tmp_path: Path) -> None:
    lost = DeltaFolder((tmp_path / "lake" / "dev" / "raw" / "events").as_uri(), NAME)
    lost.create(SPEC.schema)
    lost.append({"id": [1]})
    with pytest.raises(Conflict, match=r"rows of a former dev.raw.events"):
        world.catalog.create_table(OWNER, SPEC)
    assert lost.version() == 1


def test_one_of_many_who_make_the_same_table_wins(world: Any) -> None:
    outcomes: list[str] = []

    def make() -> None:
        try:
            outcomes.append(world.catalog.create_table(OWNER, SPEC).name)
        except AlreadyExists:
            outcomes.append("taken")

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [NAME, *["taken"] * 5]


def test_only_who_may_create_does(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    for who in (READER, STRANGER):
        with pytest.raises(NotPermitted):
            world.catalog.create_table(who, replace(SPEC, name="dev.raw.mine"))
        with pytest.raises(NotPermitted):
            world.catalog.create_table(who, replace(SPEC, name="dev.mine.events"))
    assert [t.name for t in world.catalog.tables(OWNER)] == [NAME]


def test_lists_show_what_one_may_see(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    world.catalog.create_table(OWNER, replace(SPEC, name="prod.raw.events"))
    assert [t.name for t in world.catalog.tables(OWNER)] == [NAME, "prod.raw.events"]
    assert [t.name for t in world.catalog.tables(READER)] == [NAME]
    assert world.catalog.tables(STRANGER) == world.catalog.tables(READER, "dev.other") == []


def test_opening_needs_the_privilege_and_tells_what_else_is_held(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    assert world.catalog.open_table(OWNER, NAME).privileges == ("SELECT", "MODIFY")
    access = world.catalog.open_table(READER, NAME)
    assert (access.privileges, access.through, access.info.version) == (("SELECT",), "files", 0)
    with pytest.raises(NotPermitted, match="MODIFY"):
        world.catalog.open_table(READER, NAME, ["MODIFY"])
    with pytest.raises(NotFound, match=r"dev.raw.gone"):
        world.catalog.open_table(READER, "dev.raw.gone")


def test_a_run_reads_other_environments_through_the_server_and_writes_its_own(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    run = Identity("olga", environment="prod", run_id="r1")
    access = world.catalog.open_table(run, NAME)
    assert (access.through, access.privileges) == ("server", ("SELECT",))
    with pytest.raises(Conflict, match="a run writes its own environment"):
        world.catalog.open_table(run, NAME, ["MODIFY"])


def test_a_masked_table_is_read_through_the_server_and_still_written(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    world.catalog.describe(OWNER, NAME, {"masks": {"id": "0"}})
    access = world.catalog.open_table(OWNER, NAME, ["MODIFY"])
    assert (access.through, access.privileges) == ("server", ("SELECT", "MODIFY"))


def test_a_dropped_table_leaves_nothing(world: Any) -> None:
    made = world.catalog.create_table(OWNER, SPEC)
    world.access.grant("olga", ["sam"], ["SELECT"], "table", NAME)
    with pytest.raises(NotPermitted):
        world.catalog.drop_table(READER, NAME)
    world.catalog.drop_table(OWNER, NAME)
    assert not Path(urlparse(made.location).path).exists()
    assert world.access.grants("table", NAME) == []
    with pytest.raises(NotFound):
        world.catalog.drop_table(OWNER, NAME)


def test_a_table_that_a_model_needs_is_not_dropped(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    for _ in range(2):
        world.catalog.pins.pin(NAME, 0, "model dev.flights.delay 1")
    with pytest.raises(Conflict, match=r"version 0 is needed by model dev.flights.delay 1, which .* nothing was changed"):
        world.catalog.drop_table(OWNER, NAME)
    assert world.catalog.pins.of(NAME) == {0: "model dev.flights.delay 1"}
    world.catalog.drop_table(OWNER, NAME, force=True)
    assert world.catalog.pins.of(NAME) == {}


def test_a_schema_goes_only_when_empty_or_with_all_it_holds(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    with pytest.raises(Conflict, match=r"dev\.raw holds 1 objects, dev\.raw\.events among them"):
        world.catalog.drop_schema(OWNER, "dev.raw")
    with pytest.raises(NotPermitted):
        world.catalog.drop_schema(READER, "dev.raw", cascade=True)
    world.catalog.drop_schema(OWNER, "dev.raw", cascade=True)
    assert world.catalog.securables("schema") == world.catalog.securables("table") == []


def test_a_schema_with_a_table_that_a_model_needs_stays_whole(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    world.catalog.pins.pin(NAME, 0, "model dev.flights.delay 1")
    with pytest.raises(Conflict, match="needed by model"):
        world.catalog.drop_schema(OWNER, "dev.raw", cascade=True)
    assert world.catalog.table(NAME)


def test_descriptions_change_by_who_manages(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    changed = world.catalog.describe(OWNER, NAME, {"description": "new", "tags": {"a": "b"}})
    assert (changed.description, changed.tags, changed.masks) == ("new", {"a": "b"}, {})
    with pytest.raises(NotPermitted):
        world.catalog.describe(READER, NAME, {"description": "mine"})
    with pytest.raises(InvalidInput, match="a table has no 'owner'"):
        world.catalog.describe(OWNER, NAME, {"owner": "rita"})


def test_a_write_leaves_lineage_an_entry_and_an_event(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    world.catalog.note_write(
        OWNER, NAME, 1, "WRITE", [("dev.raw.source", "4")], [("id", "bigint"), ("x", "string")]
    )
    assert [(e.source, e.source_version, e.target_version) for e in world.lineage.edges(NAME)] == [
        ("dev.raw.source", "4", "1")
    ]
    event = world.outbox.recent(1)[0]
    assert (event.kind, event.subject, event.data["version"]) == ("table.updated", NAME, 1)
    assert world.audit.entries(subject=NAME)[1].action == "write"
    assert [c.name for c in world.catalog.table(NAME).columns] == ["id", "x"]
    with pytest.raises(NotPermitted):
        world.catalog.note_write(READER, NAME, 2, "WRITE", [])


def test_tables_follow_their_storage_when_it_moves(world: Any, database: Database, tmp_path: Path) -> None:
    world.table("dev.raw.events", {"id": [1, 2]})
    (tmp_path / "lake").rename(tmp_path / "moved")
    moved = Catalog(
        database, world.access, world.audit, world.lineage, world.outbox,
        Storages(storage_at(str(tmp_path / "moved"))),
    )  # fmt: skip
    assert moved.table("dev.raw.events").location == (tmp_path / "moved/dev/raw/events").as_uri()
    assert moved.folder("dev.raw.events").version() == 1


def test_a_location_kept_in_full_by_an_older_home_still_opens(world: Any, database: Database) -> None:
    place = world.table("dev.raw.events", {"id": [1, 2]}).location
    with database.writing() as connection:
        row = connection.execute(sa.select(securables).where(securables.c.name == "dev.raw.events")).mappings().one()
        old = {**row["properties"], "location": place}
        connection.execute(securables.update().where(securables.c.name == "dev.raw.events").values(properties=old))
    assert world.ask("select count(*) n from dev.raw.events", OWNER) == [{"n": 2}]


def test_holders_have_what_they_need_and_no_more(world: Any) -> None:
    world.catalog.create_table(OWNER, SPEC)
    world.catalog.pins.pin(NAME, 0, "somebody else")
    world.catalog.pins.hold("model a version ", {"model a version 1": {NAME: 0}, "model a version 2": {NAME: 3}})
    assert world.catalog.pins.of(NAME) == {0: "model a version 1, somebody else", 3: "model a version 2"}
    world.catalog.pins.hold("model a version ", {"model a version 2": {NAME: 4}})
    assert world.catalog.pins.of(NAME) == {0: "somebody else", 4: "model a version 2"}
    world.catalog.pins.hold("model a version ", {})
    assert world.catalog.pins.of(NAME) == {0: "somebody else"}
