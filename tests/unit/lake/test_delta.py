"""One Delta table: what is written is what is read, at every version."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput, NotFound, SchemaMismatch
from boathouse.lake import UNCHANGED, DeltaFolder, Engine, Stream, batches
from boathouse.lake.merging import update

SCHEMA = pa.schema([("id", pa.int64()), ("name", pa.string())])


@pytest.fixture
def folder(tmp_path: Path) -> DeltaFolder:
    made = DeltaFolder((tmp_path / "table").as_uri(), "dev.raw.events")
    made.create(SCHEMA, required=["id"])
    return made


def read(folder: DeltaFolder, version: int | None = None, order: str = "id") -> list[dict[str, Any]]:
    engine = Engine()
    return engine.relation(f"SELECT * FROM {engine.scan(folder.table(version))} ORDER BY {order}").to_dicts()


def ids(folder: DeltaFolder, version: int | None = None) -> list[int]:
    return [row["id"] for row in read(folder, version)]


def events(*numbers: int, name: str | None = "a") -> dict[str, Sequence[Any]]:
    return {"id": list(numbers), "name": [name] * len(numbers)}


def test_a_new_table_is_empty_at_version_0(folder: DeltaFolder) -> None:
    assert (folder.version(), read(folder)) == (0, [])
    assert [f.name for f in folder.schema()] == ["id", "name"]


def test_each_append_is_a_version_and_old_versions_stay(folder: DeltaFolder) -> None:
    assert folder.append(events(1, 2)).version == 1
    assert folder.append(events(3)).rows == 1
    assert [ids(folder, version) for version in (0, 1, 2)] == [[], [1, 2], [1, 2, 3]]


@pytest.mark.parametrize("version", [7, -1])
def test_a_version_that_never_was_is_not_found(folder: DeltaFolder, version: int) -> None:
    with pytest.raises(NotFound, match=f"has no version {version}"):
        folder.table(version)


def test_a_table_can_be_read_as_it_was_at_a_time(folder: DeltaFolder) -> None:
    folder.append(events(1))
    between = datetime.now(UTC)
    folder.append(events(2))
    assert folder.table(timestamp=between).version() == 1
    with pytest.raises(NotFound, match="was not there yet at 2001-01-01"):
        folder.table(timestamp=datetime(2001, 1, 1, tzinfo=UTC))


def test_a_time_to_come_and_the_newest_version_are_told_with_what_there_is(folder: DeltaFolder) -> None:
    folder.append(events(1))
    with pytest.raises(NotFound, match=r"still to come; the newest is 1 of 20\d\d-"):
        folder.table(timestamp=datetime(2999, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidInput, match=r"version 1 is the newest of dev\.raw\.events: there is nothing to restore"):
        folder.restore(1)


def test_columns_may_have_quotes_of_any_kind_in_their_names(tmp_path: Path) -> None:
    made = DeltaFolder((tmp_path / "odd").as_uri(), "dev.raw.odd")
    columns = ["id`s", 'a"b', "c`d", "e'f", "g h"]
    made.create(pa.schema([(column, pa.int64()) for column in columns]))
    made.merge({column: [1, 2] for column in columns}, on=["id`s"])
    made.merge({"id`s": [2], "c`d": [5]}, on=["id`s"])
    made.merge({"id`s": [1], "c`d": [0], "gone": [True]}, on=["id`s"], dropping="gone")
    made.fill({"id`s": [2], "e'f": [6]}, on=["id`s"], columns=["e'f"])
    for written in ('"a""b"', 'a"b', "`g h`"):
        update(made, {written: "7"}, None, ["id`s"])
    with pytest.raises(InvalidInput, match="has no column 'a\"\"b'"):
        update(made, {'a""b': "7"}, None, ["id`s"])
    assert read(made, order="1") == [{"id`s": 2, 'a"b': 7, "c`d": 5, "e'f": 6, "g h": 7}]


def test_a_refused_row_is_shown_with_its_nulls(tmp_path: Path) -> None:
    made = DeltaFolder((tmp_path / "given").as_uri(), "dev.raw.given")
    made.create(SCHEMA)
    made.constrain({"given": "id IS NOT NULL"})
    with pytest.raises(InvalidInput, match="for example id=null, name=x"):
        made.append({"id": pa.array([None], pa.int64()), "name": ["x"]})


def test_a_folder_without_a_table_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"dev\.raw\.gone has no data"):
        DeltaFolder((tmp_path / "gone").as_uri(), "dev.raw.gone").version()


def test_a_transaction_number_that_was_committed_writes_nothing(folder: DeltaFolder) -> None:
    for number in (1, 2, 2, 1):
        folder.append(events(number), transaction=("loader", number))
    assert ids(folder) == [1, 2]
    assert folder.append(events(2), transaction=("loader", 2)).rows == 0
    assert folder.transaction_version("loader") == 2
    folder.append(events(3), transaction=("another", 1))
    assert ids(folder) == [1, 2, 3]


def test_rows_whose_marks_stand_already_are_not_added_again(folder: DeltaFolder) -> None:
    other = DeltaFolder(folder.location, folder.name)
    assert folder.append(events(1), marks={"file a": 7, "file b": 8}).version == 1
    assert other.append(events(2), marks={"file b": 8, "file c": 9}).operation == UNCHANGED
    assert other.append(events(), marks={"file c": 9}).version == 2
    assert folder.append(events(3), marks={"file c": 10}).version == 3
    assert (ids(folder), folder.transaction_version("file c")) == ([1, 3], 10)


def test_a_stream_is_read_again_when_another_writer_came_first(folder: DeltaFolder) -> None:
    opened: list[int] = []

    def rows() -> pa.RecordBatchReader:
        opened.append(folder.version())
        if len(opened) == 1:
            DeltaFolder(folder.location, folder.name).append(events(9), transaction=("loader", 1))
        return pa.table(events(1, 2)).to_reader()

    commit = folder.append(Stream(SCHEMA, rows), transaction=("loader", 2))
    assert (opened, commit.version, commit.rows, ids(folder)) == ([0, 1], 2, 2, [1, 2, 9])


def test_a_merge_updates_equal_keys_and_inserts_the_others(folder: DeltaFolder) -> None:
    folder.append(events(1, 2, name="old"))
    folder.merge(events(2, 3, name="new"), ["id"])
    assert [row["name"] for row in read(folder)] == ["old", "new", "new"]
    folder.merge(events(1, 4, name="late"), ["id"], update=False)
    assert [row["name"] for row in read(folder)] == ["old", "new", "new", "late"]


def test_a_merge_keeps_the_values_of_columns_that_the_rows_lack(folder: DeltaFolder) -> None:
    folder.append(events(1, 2, name="old"))
    folder.merge({"id": [2, 3], "late column": [True, False]}, ["id"], evolve=True)
    assert [(row["name"], row["late column"]) for row in read(folder)] == [("old", None), ("old", True), (None, False)]
    folder.merge({"id": [1], "name": [None]}, ["id"])
    assert [row["name"] for row in read(folder)] == [None, "old", None]


def test_fill_sets_columns_of_rows_that_are_there(folder: DeltaFolder) -> None:
    folder.append(events(1, 2, name=None))
    folder.fill({"id": [2, 9], "name": ["b", "z"]}, ["id"], ["name"])
    assert [row["name"] for row in read(folder)] == [None, "b"]


def test_overwrite_replaces_all_or_what_a_predicate_names(folder: DeltaFolder) -> None:
    folder.append(events(1, 2, 3))
    folder.overwrite(events(3, name="new"), where="id = 3")
    assert [row["name"] for row in read(folder)] == ["a", "a", "new"]
    folder.overwrite(events(9))
    assert ids(folder) == [9]
    with pytest.raises(InvalidInput, match="refused the OVERWRITE"):
        folder.overwrite(events(1), where="id = 3")


def test_delete_update_and_restore(folder: DeltaFolder) -> None:
    folder.append(events(1, 2, 3))
    folder.delete("id = 1")
    folder.update({"name": "'z'"}, "id = 3")
    assert read(folder) == [{"id": 2, "name": "a"}, {"id": 3, "name": "z"}]
    folder.restore(1)
    assert ids(folder) == [1, 2, 3]
    with pytest.raises(InvalidInput, match="refused the DELETE"):
        folder.delete("nonsense = 1")


def test_changes_are_told_of_partitions_whose_folders_have_escaped_names(tmp_path: Path) -> None:
    cities = ["New York", "a/b", "100%", "Århus", None, "plain"]
    folder = DeltaFolder((tmp_path / "a table").as_uri(), "dev.raw.orders")
    when = pa.array([datetime(1950, 1, day, 12, tzinfo=UTC) for day in range(1, 7)], pa.timestamp("us", "UTC"))
    rows = pa.table({"id": range(6), "city": cities, "at": when})
    folder.create(rows.schema, partition_by=["city", "at"])
    folder.append(rows)
    folder.delete("id = 0")
    folder.merge({"id": [1], "city": ["a/b"], "at": [when[1].as_py()], "more": ["x"]}, on=["id"], evolve=True)
    told = batches(folder.changes(since=0)).read_all().sort_by([("_commit_version", "ascending"), ("id", "ascending")])
    assert [tuple(row.values()) for row in told.select(["_commit_version", "_change_type", "id"]).to_pylist()] == [
        *((1, "insert", n) for n in range(6)), (2, "delete", 0),
        (3, "update_preimage", 1), (3, "update_postimage", 1),
    ]  # fmt: skip
    assert told["city"].to_pylist() == [*cities, "New York", "a/b", "a/b"]
    assert told["at"].to_pylist()[:6] == when.to_pylist()
    assert told["more"].to_pylist()[-1] == "x"


@pytest.mark.parametrize("kind", [pa.time64("us"), pa.duration("s"), pa.list_(pa.struct([("t", pa.time32("s"))]))])
def test_a_column_of_a_type_that_delta_has_not_is_named(folder: DeltaFolder, tmp_path: Path, kind: pa.DataType) -> None:
    rows = pa.table({"id": [1], "took": pa.nulls(1, kind)})
    with pytest.raises(InvalidInput, match="the column 'took' is of the type"):
        DeltaFolder((tmp_path / "other").as_uri(), "dev.raw.other").create(rows.schema)
    with pytest.raises(InvalidInput, match="the column 'took' is of the type"):
        folder.append(rows, evolve=True)


@pytest.mark.parametrize(("column", "said"), [("_change_type", "give yours another name"), (" ", "needs a name")])
def test_a_column_of_a_name_that_a_table_cannot_have_is_refused(
    folder: DeltaFolder, tmp_path: Path, column: str, said: str
) -> None:
    rows = pa.table({"id": [1], column: ["insert"]})
    with pytest.raises(InvalidInput, match=said):
        DeltaFolder((tmp_path / "other").as_uri(), "dev.raw.other").create(rows.schema)
    with pytest.raises(InvalidInput, match=said):
        folder.append(rows, evolve=True)


def test_half_floats_and_wide_decimals_are_kept_as_the_nearest_type_that_holds_them(tmp_path: Path) -> None:
    rows = pa.table({"id": [1], "half": pa.array([1.5], pa.float16()), "wide": pa.array([Decimal("1.5")], pa.decimal256(30, 2))})
    folder = DeltaFolder((tmp_path / "other").as_uri(), "dev.raw.other")
    folder.create(rows.schema)
    folder.append(rows)
    assert read(folder) == [{"id": 1, "half": 1.5, "wide": Decimal("1.50")}]


def test_what_a_vacuum_has_deleted_is_said_so(folder: DeltaFolder) -> None:
    folder.append(events(1, 2))
    folder.delete("id = 1")
    folder.overwrite(events(3))
    folder.vacuum(retention_hours=0)
    with pytest.raises(InvalidInput, match=r"versions 1 to 1 of .* were deleted by a vacuum"):
        folder.changes(since=0, until=1).open().read_all()
    with pytest.raises(InvalidInput, match="a vacuum has deleted files of that version"):
        folder.restore(1)


def test_changes_tell_what_each_version_did(folder: DeltaFolder) -> None:
    folder.append(events(1))
    folder.append(events(2))
    folder.delete("id = 1")
    told = batches(folder.changes(since=1)).read_all().sort_by("_commit_version").to_pylist()
    assert [(c["id"], c["_change_type"], c["_commit_version"]) for c in told] == [
        (2, "insert", 2), (1, "delete", 3),
    ]  # fmt: skip
    assert batches(folder.changes(since=3)).read_all().num_rows == 0
    assert batches(folder.changes(since=0, until=1)).read_all().num_rows == 1


def test_a_column_is_added_only_when_asked(folder: DeltaFolder) -> None:
    wider = {"id": [1], "name": ["a"], "score": [0.5]}
    with pytest.raises(SchemaMismatch, match="has no column 'score'"):
        folder.append(wider)
    with pytest.raises(SchemaMismatch, match="has no column 'score'"):
        folder.merge(wider, ["id"])
    assert folder.version() == 0
    folder.append(wider, evolve=True)
    folder.append(events(2))
    assert [row["score"] for row in read(folder)] == [0.5, None]
    folder.merge({"id": [2], "name": ["a"], "late": [True]}, ["id"], evolve=True)
    assert [row["late"] for row in read(folder)] == [None, True]


def test_a_column_is_null_where_no_file_that_is_left_holds_it(folder: DeltaFolder) -> None:
    folder.append(events(1))
    folder.append({"id": [2], "name": ["b"], "score": [0.5]}, evolve=True)
    folder.delete("id = 2")
    assert read(folder) == [{"id": 1, "name": "a", "score": None}]


@pytest.mark.parametrize("evolve", [False, True])
def test_naive_and_nanosecond_times_are_kept_as_microseconds_in_utc(tmp_path: Path, evolve: bool) -> None:
    folder = DeltaFolder((tmp_path / "times").as_uri(), "dev.raw.times")
    folder.create(pa.schema([("t", pa.timestamp("ns"))]))
    assert folder.schema().field("t").type == pa.timestamp("us", "UTC")
    folder.append({"t": pa.array([1_372_680_000_000_000_999], pa.timestamp("ns"))}, evolve=evolve)
    assert read(folder, order="t") == [{"t": datetime(2013, 7, 1, 12, tzinfo=UTC)}]


@pytest.mark.parametrize("evolve", [False, True])
def test_a_number_too_large_is_refused_by_its_column(folder: DeltaFolder, evolve: bool) -> None:
    with pytest.raises(SchemaMismatch, match=r"dev\.raw\.events\.id"):
        folder.append({"id": pa.array([2**63], pa.uint64()), "name": ["a"]}, evolve=evolve)


def test_a_null_key_and_a_broken_constraint_are_refused(tmp_path: Path) -> None:
    folder = DeltaFolder((tmp_path / "table").as_uri(), "dev.raw.events")
    folder.create(SCHEMA, required=["id"], constraints={"positive": "id > 0"})
    broken = r"1 rows do not meet positive: id > 0 \(1\); for example id=-1, name=a"
    for wrong, rule in (({"id": [None], "name": ["a"]}, "Column 'id' is declared as non-nullable"), (events(-1), broken)):
        with pytest.raises(InvalidInput, match=f"refused the WRITE: {rule}"):
            folder.append({"id": pa.array(wrong["id"], pa.int64()), "name": wrong["name"]})
    folder.append(events(1))
    assert ids(folder) == [1]


@pytest.mark.parametrize(
    ("schema", "constraints"),
    [
        (pa.schema([("a", pa.int64())]), {"broken": "b >"}),
        (pa.schema([("a", pa.int64()), ("A", pa.int64())]), None),
        (pa.schema([("a", pa.duration("s"))]), None),
        (pa.schema([]), None),
    ],
    ids=["constraint", "twice", "type", "empty"],
)
def test_a_table_that_cannot_be_leaves_nothing_behind(
    tmp_path: Path, schema: pa.Schema, constraints: dict[str, str] | None
) -> None:
    folder = DeltaFolder((tmp_path / "table").as_uri(), "dev.raw.t")
    with pytest.raises(InvalidInput, match=r"dev\.raw\.t"):
        folder.create(schema, constraints=constraints)
    assert not folder.exists()


def test_small_files_are_joined_and_vacuum_keeps_what_the_newest_version_needs(folder: DeltaFolder) -> None:
    for number in range(4):
        folder.append(events(number))
    folder.optimize()
    assert folder.vacuum(retention_hours=0, dry_run=True).files
    assert len(folder.vacuum(retention_hours=0).files) >= 4
    assert ids(folder) == [0, 1, 2, 3]
    assert folder.history(1)[0]["operation"].startswith("VACUUM")


def test_another_handle_sees_what_this_one_wrote(folder: DeltaFolder) -> None:
    other = DeltaFolder(folder.location, folder.name)
    assert other.version() == 0
    folder.append(events(1))
    assert ids(other) == [1]
    other.append(events(2))
    assert ids(folder) == [1, 2]
