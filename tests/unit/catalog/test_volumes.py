"""Volumes: who may make, read and write them, and what is recorded."""

from pathlib import Path

import pytest

from boathouse.catalog import Volumes
from boathouse.database import Database
from boathouse.errors import AlreadyExists, Conflict, NotFound, NotPermitted
from boathouse.identity import Identity

from .conftest import OWNER, READER, STRANGER, World

NAME = "dev.raw.images"


@pytest.fixture
def volumes(world: World, database: Database) -> Volumes:
    made = Volumes(database, world.catalog)
    made.create(OWNER, NAME, "photographs")
    made.put(OWNER, NAME, "cats/1.png", [b"mia", b"ow"])
    return made


def reads(volumes: Volumes, who: Identity, path: str = "cats/1.png") -> bytes:
    return b"".join(volumes.open(who, NAME, path).chunks)


def test_a_volume_is_a_securable_in_the_environments_storage(volumes: Volumes, tmp_path: Path) -> None:
    info = volumes.get(OWNER, NAME)
    assert (info.name, info.owner, info.comment, info.volume_type) == (NAME, "olga", "photographs", "MANAGED")
    assert info.location.startswith(f"{(tmp_path / 'lake' / 'dev').as_uri()}/.volumes/raw/images-")
    assert [v.name for v in volumes.list(OWNER, schema="dev.raw")] == [NAME]
    with pytest.raises(AlreadyExists):
        volumes.create(OWNER, NAME)
    assert volumes.create(OWNER, NAME, exists_ok=True) == info


def test_reading_and_writing_are_two_privileges(world: World, volumes: Volumes) -> None:
    with pytest.raises(NotPermitted, match=r"rita lacks READ VOLUME on dev.raw.images"):
        reads(volumes, READER)
    world.access.grant("root", ["readers"], ["READ VOLUME"], "schema", "dev.raw")
    assert reads(volumes, READER) == b"miaow"
    assert [f.path for f in volumes.files(READER, NAME).files] == ["cats/1.png"]
    for act in (lambda: volumes.put(READER, NAME, "x", [b"x"]), lambda: volumes.remove(READER, NAME, "cats/1.png")):
        with pytest.raises(NotPermitted, match="lacks WRITE VOLUME"):
            act()
    world.access.grant("root", ["readers"], ["WRITE VOLUME"], "volume", NAME)
    assert volumes.put(READER, NAME, "x", [b"x"]).size == 1
    assert ("rita", "denied READ VOLUME", NAME) in world.denials()


def test_a_stranger_learns_nothing(world: World, volumes: Volumes) -> None:
    assert volumes.list(STRANGER) == []
    for act in (volumes.get, volumes.files, volumes.access, volumes.drop):
        with pytest.raises(NotPermitted):
            act(STRANGER, NAME)
    with pytest.raises(NotPermitted):
        volumes.create(STRANGER, NAME, exists_ok=True)


def test_changes_are_in_the_audit_log(world: World, volumes: Volumes) -> None:
    volumes.put(OWNER, NAME, "cats/2.png", [b"purr"])
    assert volumes.remove(OWNER, NAME, "cats", recursive=True) == 2
    entries = world.audit.entries(subject=NAME)
    assert [(e.action, e.details.get("path"), e.details.get("size") or e.details.get("files")) for e in entries] == [
        ("remove files", "cats", 2), ("put file", "cats/2.png", 4), ("put file", "cats/1.png", 5), ("create volume", None, None),
    ]  # fmt: skip
    with pytest.raises(NotFound, match="has no files below cats"):
        volumes.remove(OWNER, NAME, "cats", recursive=True)


def test_a_task_reaches_the_files_of_its_own_environment_only(world: World, volumes: Volumes) -> None:
    wanted = ["USE CATALOG", "USE SCHEMA", "READ VOLUME", "WRITE VOLUME"]
    world.access.grant("root", ["dev-jobs", "prod-jobs"], wanted, "catalog", "dev")
    own, foreign = (Identity(f"{e}-jobs", environment=e, run_id="r1") for e in ("dev", "prod"))
    assert volumes.access(own, NAME).through == "files"
    assert (volumes.access(foreign, NAME).through, volumes.access(OWNER, NAME).through) == ("server", "server")
    assert reads(volumes, foreign) == b"miaow"
    with pytest.raises(Conflict, match="a run writes its own environment"):
        volumes.put(foreign, NAME, "x", [b"x"])


def test_what_is_dropped_takes_its_files_along_and_a_new_one_is_empty(world: World, volumes: Volumes) -> None:
    folder = volumes.folder(OWNER, NAME, "READ VOLUME").local_path()
    volumes.drop(OWNER, NAME)
    assert folder
    assert not folder.exists()
    with pytest.raises(NotFound, match=r"no volume is named dev.raw.images"):
        volumes.get(OWNER, NAME)
    volumes.create(OWNER, NAME)
    assert volumes.files(OWNER, NAME).files == ()


def test_a_schema_is_not_dropped_with_files_in_it_unless_asked(world: World, volumes: Volumes) -> None:
    folder = volumes.folder(OWNER, NAME, "READ VOLUME").local_path()
    with pytest.raises(Conflict, match=r"dev.raw holds 1 objects, dev.raw.images among them"):
        world.catalog.drop_schema(OWNER, "dev.raw")
    world.catalog.drop_schema(OWNER, "dev.raw", cascade=True)
    assert folder
    assert not folder.exists()


def test_code_under_test_has_volumes_of_its_own_and_no_others(world: World, volumes: Volumes) -> None:
    tester = Identity("request-1", environment="dev", run_id="r1", scratch="request1")
    mine = "dev.request1__raw.images"
    volumes.create(tester, mine)
    volumes.put(tester, mine, "x", [b"x"])
    assert [v.name for v in volumes.list(tester)] == [mine]
    for act in (volumes.get, volumes.files, volumes.access, lambda who, name: volumes.put(who, name, "x", [b"x"])):
        with pytest.raises(NotPermitted):
            act(tester, NAME)
