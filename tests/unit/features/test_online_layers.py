"""The embedded store's files: written once, small for small changes, and read as one table whatever they are stacked like."""

import os
import random
import threading
from pathlib import Path

import lmdb
import pyarrow as pa
import pytest
from online_stores import TABLE, batch, wanted

from boathouse.errors import Unavailable
from boathouse.features import EmbeddedStore
from boathouse.features.online import copy_embedded
from boathouse.features.online.table import described


def rows(values: dict[str, int]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(
        {"tail": list(values), "seats": list(values.values())}, pa.schema([("tail", "string"), ("seats", "int64")])
    )


def layers(folder: Path) -> dict[str, int]:
    for thread in threading.enumerate():  # files are removed in the background
        if thread.name == "boathouse-online-sweep":
            thread.join()
    return {path.name: path.stat().st_size for path in folder.glob("*.mdb")}


def seats(store: EmbeddedStore, names: list[str]) -> dict[str, int]:
    found = store.lookup(TABLE, [(name,) for name in names]).rows
    return {name: row[0] for name, row in zip(names, found, strict=True) if row is not None}


def single_file(folder: Path, tables: dict[str, dict[bytes, bytes]], store: EmbeddedStore) -> None:
    """A store as earlier versions published it: one file, a database for each table and one for their descriptions."""
    made = {entry.table: entry for entry in store.tables()}
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 30, max_dbs=10) as environment:
        described_in = environment.open_db(b"!tables")
        for name, values in tables.items():
            database = environment.open_db(name.encode())
            with environment.begin(write=True) as transaction:
                transaction.cursor(database).putmulti(values.items())
                transaction.put(name.encode(), described(made[name]), db=described_in)


@pytest.mark.parametrize("seed", range(2))
def test_any_sequence_of_updates_leaves_the_rows_that_it_names(tmp_path: Path, seed: int) -> None:
    chance, names = random.Random(seed), [f"N{i}" for i in range(300)]
    there = dict.fromkeys(names[:200], 0)
    store, reader = EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)
    store.publish(wanted(0), [rows(there)])
    for version in range(1, 31):
        touched = chance.sample(names, chance.choice([0, 1, 2, 5, 40]))
        kept = {name: version for name in touched if chance.random() < 0.6}
        done = store.update(wanted(version), version - 1, [rows(dict.fromkeys(touched, 0))], [rows(kept)])
        there = {name: value for name, value in there.items() if name not in touched} | kept
        assert seats(reader, names) == there
        assert (done.rows, reader.describe(TABLE).version) == (len(there), version)
        assert len(layers(tmp_path)) <= 4


def test_what_an_update_writes_grows_with_its_rows_and_not_with_the_table(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.publish(wanted(0), [rows({f"N{i}": 0 for i in range(40_000)})])
    [whole] = layers(tmp_path).values()
    written, before = [], layers(tmp_path)
    for version in range(1, 61):
        few = rows({f"N{i}": version for i in range(version * 10, version * 10 + 10)})
        store.update(wanted(version), version - 1, [few], [few])
        after = layers(tmp_path)
        written.append(sum(after[name] for name in after.keys() - before.keys()))
        before = after
    assert max(written) < whole / 20
    assert sum(written) < whole
    assert len(before) <= 5
    assert store.lookup(TABLE, [("N15",), ("N609",), ("N5",)]).rows == [(1,), (60,), (0,)]


def test_an_update_that_changes_no_row_writes_none(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.publish(wanted(0), [batch(seats=[1, 2])])
    before = layers(tmp_path)
    nothing = pa.RecordBatchReader.from_batches(batch(seats=[1, 2]).schema, [])
    assert store.update(wanted(1), 0, [batch(["N7"], seats=[1])], nothing).rows == 2
    assert layers(tmp_path) == before
    assert store.describe(TABLE).version == 1


def test_a_reader_in_the_middle_of_a_lookup_goes_on_with_files_that_are_gone(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.publish(wanted(0), [batch(seats=[1, 2])])
    store.describe(TABLE)
    assert store._served is not None
    _, get = store._served.open(TABLE)
    before = get(b"\x91\xa2N1")
    for version in range(1, 5):
        EmbeddedStore(tmp_path).publish(wanted(version), [batch(seats=[7, 8])])
    assert len(layers(tmp_path)) == 1
    assert before is not None
    assert get(b"\x91\xa2N1") == before
    assert store.lookup(TABLE, [("N1",)]).rows == [(7,)]


def test_what_a_killed_publisher_left_is_swept_away(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path)
    store.publish(wanted(0), [batch(seats=[1, 2])])
    for name in (f"{'0' * 32}.mdb", f"{'0' * 32}.json", "current.new"):
        (tmp_path / name).write_text("half")
    (tmp_path / "stores").mkdir()
    store.publish(wanted(1), [batch(seats=[3, 4])])
    kept = set(layers(tmp_path))
    left = {path.name for path in tmp_path.iterdir()} - kept - {os.readlink(tmp_path / "current")}
    assert left == {"current", "stores", "publisher.lock"}


def test_a_store_of_one_file_is_read_and_taken_over_table_by_table(tmp_path: Path) -> None:
    new, old = EmbeddedStore(tmp_path / "new"), tmp_path / "old"
    for name in ("prod.a.one", "prod.a.two"):
        new.publish(wanted(0, table=name), [batch(seats=[1, 2])])
    assert new._served is not None
    new.lookup("prod.a.one", [])
    values = {name: dict(new._served.files.items(entry.layers[0])) for name, entry in new._served.tables.items()}
    single_file(old, values, new)
    store = EmbeddedStore(old)
    assert [(table.table, table.rows) for table in store.tables()] == [("prod.a.one", 2), ("prod.a.two", 2)]
    assert store.lookup("prod.a.two", [("N2",), ("N3",)]).rows == [(2,), None]
    store.update(wanted(1, table="prod.a.two"), 0, [batch(["N2"], seats=[0])], [batch(["N3"], seats=[3])])
    for reader in (store, EmbeddedStore(old)):
        assert [found.rows for found in reader.lookup_many([("prod.a.two", [("N2",), ("N3",)]), ("prod.a.one", [("N2",)])])] == [
            [None, (3,)],
            [(2,)],
        ]
    assert "data.mdb" in layers(old)
    store.publish(wanted(2, table="prod.a.one"), [batch(seats=[5, 6])])
    assert not {"data.mdb", "lock.mdb"} & set(layers(old))
    assert store.lookup("prod.a.one", [("N2",)]).rows == [(6,)]


def test_a_copy_is_whole_and_a_store_of_its_own(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "online")
    store.publish(wanted(0), [batch([f"N{i}" for i in range(50)], seats=range(50))])
    store.update(wanted(1), 0, [batch(["N1", "N2"], seats=[0, 0])], [batch(["N1"], seats=[100])])
    copy_embedded(tmp_path / "online", tmp_path / "copy")
    store.publish(wanted(2), [batch(seats=[7, 8])])
    copy = EmbeddedStore(tmp_path / "copy")
    assert copy.lookup(TABLE, [("N1",), ("N2",), ("N3",)]).rows == [(100,), None, (3,)]
    assert copy.describe(TABLE).rows == 49


FAULTS = ["no manifest", "a manifest cut off", "a manifest that names other files", "no layer", "a layer cut off",
          "a layer that is a link", "a pointer that leads elsewhere"]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_damage_is_reported(tmp_path: Path, fault: str) -> None:
    folder = tmp_path / "online"
    EmbeddedStore(folder).publish(wanted(), [batch(seats=[1, 2])])
    [layer], manifest = folder.glob("*.mdb"), folder / os.readlink(folder / "current")
    words = manifest.read_text()
    match fault:
        case "no manifest":
            manifest.unlink()
        case "a manifest cut off":
            manifest.write_text(words[:-9])
        case "a manifest that names other files":
            manifest.write_text(words.replace(layer.name, f"../{layer.name}"))
        case "a layer cut off":
            os.truncate(layer, 8192)
        case "no layer":
            layer.unlink()
        case "a layer that is a link":
            layer.rename(tmp_path / layer.name)
            layer.symlink_to(tmp_path / layer.name)
        case _:
            (folder / "current").unlink()
            (folder / "current").symlink_to(f"../{manifest.name}")
            manifest.rename(tmp_path / manifest.name)
    with pytest.raises(Unavailable, match="remove that folder and publish again"):
        EmbeddedStore(folder).lookup(TABLE, [("N1",)])
