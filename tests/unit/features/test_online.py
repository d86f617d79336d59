"""The embedded online store: publish, look up, replace, withdraw."""

import gc
import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.errors import DuplicateKey, InvalidInput, NotFound, Unavailable
from boathouse.features import OnlineReader, publish, withdraw

TABLE = "prod.features.planes"


def batch(keys: Sequence[Any] = ("N1", "N2"), **columns: Sequence[Any]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"tail": list(keys)} | {k: list(v) for k, v in columns.items()})


def test_rows_are_found_by_key_and_others_are_not(tmp_path: Path) -> None:
    assert publish(tmp_path, TABLE, [batch(seats=[100, None], maker=["A", "B"])], ["tail"], 3) == 2
    found = OnlineReader(tmp_path).lookup(TABLE, [("N2",), ("N9",), ("N1",), (None,)])
    assert found == [(None, "B"), None, (100, "A"), None]


def test_a_table_says_what_it_serves(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch(seats=[100, 200])], ["tail"], 3)
    reader = OnlineReader(tmp_path)
    served = reader.describe(TABLE)
    assert reader.tables() == [TABLE]
    assert (served.version, served.rows, served.keys, served.key_types) == (3, 2, ("tail",), ("string",))
    assert (served.columns, served.types) == (("seats",), ("int64",))
    assert served.published_at.tzinfo is not None


def test_values_come_back_as_the_types_they_had(tmp_path: Path) -> None:
    moment = datetime(2013, 7, 1, 12, 30, 0, 5, tzinfo=UTC)
    values = {
        "flag": True,
        "whole": 2**40,
        "real": 0.1,
        "text": "ü",
        "day": date(2013, 7, 1),
        "at": moment,
        "local": datetime(2013, 7, 1),
        "price": Decimal("1.50"),
        "bytes": b"\x00",
        "list": [1.0, 2.0],
        "struct": {"a": 1},
    }
    rows = batch(["N1", "N2"], **{name: [value, None] for name, value in values.items()})
    publish(tmp_path, TABLE, [rows], ["tail"], 1)
    first, second = OnlineReader(tmp_path).lookup(TABLE, [("N1",), ("N2",)])
    assert first == tuple(values.values())
    assert second == (None,) * len(values)


def test_nanoseconds_dictionaries_and_string_views_are_stored_as_plain_values(tmp_path: Path) -> None:
    rows = pa.RecordBatch.from_arrays(
        [
            pa.array(["N1"], pa.string_view()),
            pa.array([1_372_680_000_000_000_001], pa.timestamp("ns", "UTC")),
            pa.array(["A"]).dictionary_encode(),
        ],
        ["tail", "at", "maker"],
    )
    publish(tmp_path, TABLE, [rows], ["tail"], 1)
    assert OnlineReader(tmp_path).lookup(TABLE, [("N1",)]) == [(datetime(2013, 7, 1, 12, tzinfo=UTC), "A")]


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (7, 7.0),
        (7, "7"),
        (0.5, 0.5),
        (2.0, 2),
        (date(2013, 7, 1), "2013-07-01"),
        (datetime(2013, 7, 1, tzinfo=UTC), "2013-07-01T02:00:00+02:00"),
        ("x" * 600, "x" * 600),
        (True, True),
        (Decimal("1.50"), 1.5),
    ],
)
def test_a_key_is_found_by_any_value_that_equals_it(tmp_path: Path, stored: Any, asked: Any) -> None:
    publish(tmp_path, TABLE, [batch([stored], seats=[1])], ["tail"], 1)
    assert OnlineReader(tmp_path).lookup(TABLE, [(asked,)]) == [(1,)]


@pytest.mark.parametrize("key", [("N1", "N2"), (), (5,), (1.5,)])
def test_a_key_that_cannot_be_one_is_refused(tmp_path: Path, key: tuple[Any, ...]) -> None:
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    with pytest.raises(InvalidInput, match=r"\(tail\)"):
        OnlineReader(tmp_path).lookup(TABLE, [key])


def test_several_key_columns_and_several_tables(tmp_path: Path) -> None:
    rows = pa.RecordBatch.from_pydict({"n": [1.5], "dest": ["LAX"], "origin": ["JFK"]})
    publish(tmp_path, "routes", [rows], ["origin", "dest"], 1)
    publish(tmp_path, "planes", [batch(seats=[1, 2])], ["tail"], 1)
    found = OnlineReader(tmp_path).lookup_many(
        {"planes": [("N2",)], "routes": [("JFK", "LAX"), ("LAX", "JFK")]}
    )
    assert found == {"planes": [(2,)], "routes": [(1.5,), None]}


def test_a_reader_follows_each_publication_and_old_snapshots_go(tmp_path: Path) -> None:
    reader = OnlineReader(tmp_path)
    for version in range(1, 5):
        publish(tmp_path, TABLE, [batch(seats=[version, version])], ["tail"], version)
        assert reader.lookup(TABLE, [("N1",)]) == [(version,)]
        assert reader.describe(TABLE).version == version
    versions = sorted(path.name.split("-")[0] for path in (tmp_path / TABLE).iterdir() if path.is_dir())
    assert versions == ["3", "4"]


def test_a_snapshot_in_hand_stays_readable_when_replaced(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch(seats=[1, 1])], ["tail"], 1)
    held = OnlineReader(tmp_path).snapshot(TABLE)
    for version in (2, 3, 4):
        publish(tmp_path, TABLE, [batch(seats=[version, version])], ["tail"], version)
    assert (held.table.version, held.lookup([("N1",)])) == (1, [(1,)])


def test_rows_that_are_gone_from_the_source_are_gone(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    publish(tmp_path, TABLE, [batch(["N1"], seats=[1])], ["tail"], 2)
    assert OnlineReader(tmp_path).lookup(TABLE, [("N1",), ("N2",)]) == [(1,), None]


def test_many_batches_make_one_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boathouse.features.online.publisher._CHUNK_ROWS", 700)
    parts = [batch([f"N{i}" for i in range(n, 3000, 3)], seats=range(n, 3000, 3)) for n in range(3)]
    assert publish(tmp_path, TABLE, iter(parts), ["tail"], 1) == 3000
    assert OnlineReader(tmp_path).lookup(TABLE, [(f"N{i}",) for i in range(3000)]) == [
        (i,) for i in range(3000)
    ]


@pytest.mark.parametrize("chunk", [10, 2])
def test_two_rows_of_one_key_are_refused_and_the_old_rows_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr("boathouse.features.online.publisher._CHUNK_ROWS", chunk)
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    with pytest.raises(DuplicateKey, match=r"share the key \['N2'\]"):
        publish(tmp_path, TABLE, [batch(["N2", "N1", "N3", "N2"], seats=[1, 2, 3, 4])], ["tail"], 2)
    assert OnlineReader(tmp_path).describe(TABLE).version == 1
    assert len([path for path in (tmp_path / TABLE).iterdir() if path.is_dir()]) == 1


def test_rows_without_a_whole_key_are_left_out(tmp_path: Path) -> None:
    assert publish(tmp_path, TABLE, [batch(["N1", None, None], seats=[1, 2, 3])], ["tail"], 1) == 1


def test_an_empty_table_needs_a_schema(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="at least one batch, even if empty"):
        publish(tmp_path, TABLE, [], ["tail"], 1)
    empty = batch(seats=[1, 2]).schema
    assert publish(tmp_path, TABLE, pa.RecordBatchReader.from_batches(empty, []), ["tail"], 1) == 0
    assert OnlineReader(tmp_path).lookup(TABLE, [("N1",)]) == [None]


def test_keys_must_be_columns_and_names_plain(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="bring all of them"):
        publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tailnum"], 1)
    with pytest.raises(InvalidInput, match="cannot name an online table"):
        publish(tmp_path, "../planes", [batch(seats=[1, 2])], ["tail"], 1)


def test_a_table_of_keys_alone_says_who_is_in_it(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch()], ["tail"], 1)
    assert OnlineReader(tmp_path).lookup(TABLE, [("N1",), ("N3",)]) == [(), None]


def test_a_withdrawn_table_is_not_found(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    reader = OnlineReader(tmp_path)
    reader.lookup(TABLE, [("N1",)])
    withdraw(tmp_path, TABLE)
    assert reader.tables() == []
    with pytest.raises(NotFound, match="is not published"):
        reader.lookup(TABLE, [("N1",)])
    with pytest.raises(NotFound, match="is not published"):
        withdraw(tmp_path, TABLE)


def test_damaged_files_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("boathouse.features.online.reader._PAUSE", 0)
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    for data in (tmp_path / TABLE).glob("*/data.mdb"):
        data.unlink()
    with pytest.raises(Unavailable, match="publish it again"):
        OnlineReader(tmp_path).lookup(TABLE, [("N1",)])


def test_readers_of_one_process_share_what_is_open(tmp_path: Path) -> None:
    publish(tmp_path, TABLE, [batch(seats=[1, 2])], ["tail"], 1)
    first, second = OnlineReader(tmp_path), OnlineReader(tmp_path)
    assert first.snapshot(TABLE) is second.snapshot(TABLE)
    del first, second
    gc.collect()
    assert OnlineReader(tmp_path).lookup(TABLE, [("N1",)]) == [(1,)]


def test_threads_that_read_while_tables_are_published_see_whole_versions(tmp_path: Path) -> None:
    names = [f"N{i}" for i in range(50)]
    publish(tmp_path, TABLE, [batch(names, seats=[0] * 50)], ["tail"], 0)
    reader, torn, done = OnlineReader(tmp_path), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            seen = {row[0] for row in reader.lookup(TABLE, [(name,) for name in names]) if row}
            torn.extend([seen] if len(seen) != 1 else [])

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(1, 30):
        publish(tmp_path, TABLE, [batch(names, seats=[version] * 50)], ["tail"], version)
    done.set()
    for thread in threads:
        thread.join()
    assert torn == []
    assert reader.lookup(TABLE, [("N7",)]) == [(29,)]
