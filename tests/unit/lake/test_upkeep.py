"""Old files, small files, old versions: what goes, what stays, and why."""

import os
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput, NotFound, SchemaMismatch
from boathouse.lake import DeltaFolder, Engine, Stream, batches
from boathouse.lake.compaction import PROPERTY

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


@pytest.fixture
def folder(tmp_path: Path) -> DeltaFolder:
    made = DeltaFolder((tmp_path / "table").as_uri(), "dev.raw.events")
    made.create(SCHEMA, required=["id"])
    return made


def ids(folder: DeltaFolder, version: int | None = None) -> list[int]:
    engine = Engine()
    return [r["id"] for r in engine.relation(f"SELECT id FROM {engine.scan(folder.table(version))} ORDER BY id").to_dicts()]


def events(*numbers: int) -> dict[str, Any]:
    return {"id": list(numbers), "name": ["a"] * len(numbers)}


def changed(folder: DeltaFolder, since: int, until: int | None = None) -> list[tuple[int, str, int]]:
    told = batches(folder.changes(since, until)).read_all().to_pylist()
    return sorted((c["_commit_version"], c["_change_type"], c["id"]) for c in told)  # type: ignore[misc]


def test_vacuum_keeps_what_pinned_versions_need_and_says_for_whom(folder: DeltaFolder) -> None:
    for number in range(30):  # past a checkpoint, which forgets what was removed before it
        folder.overwrite(events(number))
    done = folder.vacuum(retention_hours=0, pinned={2: "model dev.m.x 1", 17: "model dev.m.x 2", 99: "model dev.m.y 1"})
    assert (done.kept, done.gone) == ({2: "model dev.m.x 1", 17: "model dev.m.x 2"}, {99: "model dev.m.y 1"})
    assert (ids(folder, 2), ids(folder, 17), ids(folder)) == ([1], [16], [29])
    assert type(done).from_dict(done.to_dict()) == done


def test_vacuum_tells_beforehand_what_it_would_delete(folder: DeltaFolder) -> None:
    folder.append(events(1))
    folder.overwrite(events(2))
    foretold = folder.vacuum(retention_hours=0, dry_run=True)
    assert folder.version() == 2
    assert ids(folder, 1) == [1]
    assert folder.vacuum(retention_hours=0).files == foretold.files != ()
    with pytest.raises(InvalidInput, match="refused the RESTORE"):
        folder.restore(1)


def test_vacuum_deletes_debris_of_dead_writers_but_no_file_that_is_being_written(folder: DeltaFolder) -> None:
    folder.append(events(1))
    assert folder.local
    dead, alive = folder.local / "part-dead.parquet", folder.local / "part-alive.parquet"
    for file in (dead, alive):
        file.write_bytes(b"half")
    os.utime(dead, (time.time() - 7200, time.time() - 7200))
    folder.vacuum(retention_hours=0)
    assert dead.exists()
    assert folder.vacuum(retention_hours=1).files == ("part-dead.parquet",)
    assert (dead.exists(), alive.exists(), ids(folder)) == (False, True, [1])


def test_changes_are_bounded_and_stream_as_often_as_asked(folder: DeltaFolder) -> None:
    folder.append(events(1, 2))
    folder.merge(events(2, 3), ["id"])
    folder.append(events(4))
    folder.optimize()
    folder.delete("id = 1")
    assert changed(folder, 1, 2) == [(2, "insert", 3), (2, "update_postimage", 2), (2, "update_preimage", 2)]
    assert changed(folder, 3) == [(5, "delete", 1)]
    assert changed(folder, 0, 1) == [(1, "insert", 1), (1, "insert", 2)]
    assert changed(folder, 5) == changed(folder, 9) == changed(folder, 3, 2) == []
    engine = Engine()
    scan = engine.register(folder.changes(0))
    assert engine.relation(f"SELECT count(*) n FROM {scan} a, {scan} b").to_dicts() == [{"n": 49}]


def test_changes_of_a_table_that_grew_a_column_have_it(folder: DeltaFolder) -> None:
    folder.append(events(1))
    folder.append({"id": [2], "name": ["b"], "late": [7]}, evolve=True)
    told = {c["id"]: c["late"] for c in batches(folder.changes(0)).read_all().to_pylist()}
    assert told == {1: None, 2: 7}


def test_a_table_without_a_change_feed_tells_rewritten_files_as_deletes_and_inserts(tmp_path: Path) -> None:
    silent = DeltaFolder((tmp_path / "silent").as_uri(), "dev.raw.silent")
    silent.create(SCHEMA, properties={"delta.enableChangeDataFeed": "false"})
    silent.append(events(1, 2))
    silent.delete("id = 1")
    assert changed(silent, 1) == [(2, "delete", 1), (2, "delete", 2), (2, "insert", 2)]


def test_changes_that_are_no_longer_kept_are_refused_by_their_versions(folder: DeltaFolder) -> None:
    for number in range(3):
        folder.append(events(number))
    assert folder.local
    (folder.local / "_delta_log" / f"{1:020}.json").unlink()
    with pytest.raises(InvalidInput, match=r"dev\.raw\.events has no changes of versions 1 to 3"):
        folder.changes(0)


def test_small_files_are_joined_as_they_come_where_that_is_asked_for(folder: DeltaFolder) -> None:
    folder.set_properties({PROPERTY: "true"})
    for number in range(120):
        folder.append(events(number))
    assert len(folder.table().file_uris()) < 75
    assert ids(folder) == list(range(120))
    assert [c["operation"] for c in folder.history()].count("OPTIMIZE") == 2
    assert len(changed(folder, 0)) == 120


def test_a_property_that_delta_does_not_know_is_refused(folder: DeltaFolder) -> None:
    with pytest.raises(InvalidInput, match="refused the SET TBLPROPERTIES"):
        folder.set_properties({"delta.nonsense": "true"})
    with pytest.raises(InvalidInput, match="pinned versions need the log"):
        folder.set_properties({"delta.enableExpiredLogCleanup": "true"})
    assert PROPERTY not in folder.properties()


def test_a_column_keeps_its_type_even_when_columns_may_be_added(folder: DeltaFolder) -> None:
    wide = DeltaFolder(folder.location, folder.name)
    for wrong in ({"id": [1.5], "name": ["a"]}, {"id": ["x"], "name": ["a"]}, {"id": [2**70], "name": ["a"]}):
        with pytest.raises((SchemaMismatch, OverflowError)):
            wide.append(wrong, evolve=True)
    with pytest.raises(SchemaMismatch, match="has a column of the name 'ID' already"):
        wide.append({"ID": [1]}, evolve=True)
    wide.append({"id": pa.array([7], pa.int8()), "more": [1.5]}, evolve=True)
    assert str(folder.schema().field("id").type) == "int64"


def test_new_columns_by_overwriting_need_asking_and_keys_stay_required(folder: DeltaFolder) -> None:
    folder.append(events(1))
    folder.overwrite({"id": [1], "name": ["b"], "late": [2]}, where="id = 1", evolve=True)
    assert folder.schema().names == ["id", "name", "late"]
    folder.overwrite({"id": [2], "other": [True]}, evolve=True)
    assert (folder.schema().names, ids(folder)) == (["id", "other"], [2])
    with pytest.raises(InvalidInput):
        folder.append({"id": pa.array([None], pa.int64()), "other": [True]})


def test_a_query_can_be_written_without_holding_its_rows(folder: DeltaFolder) -> None:
    engine = Engine()
    folder.append(engine.relation("SELECT range AS id, 'x' AS name FROM range(300_000)"))
    folder.merge(engine.relation("SELECT range * 2 AS id, 'y' AS name FROM range(200_000)"), ["id"])
    counted = engine.relation(f"SELECT name, count(*) AS n FROM {engine.scan(folder.table())} GROUP BY 1 ORDER BY 1")
    assert [r["n"] for r in counted.to_dicts()] == [150_000, 200_000]


def test_old_versions_stay_readable_past_checkpoints_and_a_checkpoint_can_be_asked_for(folder: DeltaFolder) -> None:
    for number in range(25):
        folder.append(events(number))
    assert folder.checkpoint() == 25
    assert folder.local
    assert (folder.local / "_delta_log" / f"{25:020}.checkpoint.parquet").exists()
    assert len(ids(folder, 3)) == 3
    with pytest.raises(NotFound):
        folder.table(26)


def test_a_stream_that_breaks_leaves_no_version(folder: DeltaFolder) -> None:
    def broken() -> pa.RecordBatchReader:
        def parts() -> Any:
            yield pa.record_batch([pa.array([1]), pa.array(["a"])], SCHEMA)
            raise RuntimeError("the source is gone")

        return pa.RecordBatchReader.from_batches(SCHEMA, parts())

    with pytest.raises(Exception, match="the source is gone"):
        folder.append(Stream(SCHEMA, broken))
    assert (folder.version(), ids(folder)) == (0, [])


def test_comments_on_columns_stand_in_the_log_and_outlive_new_columns(tmp_path: Path) -> None:
    told = DeltaFolder((tmp_path / "told").as_uri(), "dev.raw.told")
    told.create(SCHEMA, description="what happened", comments={"id": "its number"})
    told.append({"id": [1], "name": ["a"], "late": [2]}, evolve=True)
    assert told.schema().field("id").metadata == {b"comment": b"its number"}
    assert told.table().metadata().description == "what happened"
    assert ids(told) == [1]
