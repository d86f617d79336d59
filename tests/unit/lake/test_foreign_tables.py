"""Tables that other engines wrote are read right, or refused by the name of the feature they need."""

import json
import struct
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from boathouse.errors import InvalidInput
from boathouse.lake import Cluster, DeltaFolder, Engine
from boathouse.lake.rescan import files_dataset, snapshot_rows
from boathouse.lake.snapshot import data_files


def log(root: Path, *actions: dict[str, Any], version: int = 0) -> None:
    """A commit, written by hand."""
    (root / "_delta_log").mkdir(exist_ok=True)
    (root / "_delta_log" / f"{version:020}.json").write_text("\n".join(json.dumps(a) for a in actions))


def described(fields: list[tuple[str, str]], partitions: tuple[str, ...] = (), features: tuple[str, ...] = (),
              configuration: dict[str, str] | None = None,
              metadata: dict[str, dict[str, Any]] | None = None) -> list[dict[str, Any]]:  # fmt: skip
    told = metadata or {}
    schema = {"type": "struct", "fields": [
        {"name": n, "type": t, "nullable": True, "metadata": told.get(n, {})} for n, t in fields
    ]}  # fmt: skip
    named = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": list(features), "writerFeatures": list(features)}
    return [
        {"protocol": named if features else {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "6a1b", "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(schema),
                      "partitionColumns": list(partitions), "configuration": configuration or {}}},
    ]  # fmt: skip


def added(root: Path, path: str, logged: str | None = None, partitions: dict[str, str | None] | None = None,
          **more: Any) -> dict[str, Any]:  # fmt: skip
    return {"add": {
        "path": logged or path, "partitionValues": partitions or {}, "size": (root / path).stat().st_size,
        "modificationTime": 0, "dataChange": True, **more,
    }}  # fmt: skip


def write(root: Path, path: str, rows: dict[str, Any], **options: Any) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), root / path, **options)


def rows(root: Path, way: Callable[[Engine, DeltaTable], str] | Cluster | None = None) -> list[dict[str, Any]]:
    engine, table = Engine(), DeltaFolder(root.as_uri(), "dev.raw.foreign").table()
    if isinstance(way, Cluster):
        return sorted(way.scan(root.as_uri(), table.version()).toArrow().to_pylist(), key=lambda r: next(iter(r.values())))
    scan = way(engine, table) if way else engine.scan(table)
    return engine.relation(f"SELECT * FROM {scan} ORDER BY ALL").to_dicts()


def by_dataset(engine: Engine, table: DeltaTable) -> str:
    """As from a store that DuckDB cannot read."""
    files = data_files(table)
    assert files is not None
    return engine.register(files_dataset(files, table))


def by_stream(engine: Engine, table: DeltaTable) -> str:
    """As from a table whose files do not tell its rows."""
    return engine.register(snapshot_rows(table))


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Any:
    """As a table is read: in one of this process's ways, or by a cluster."""
    return request.getfixturevalue("cluster") if request.param == "cluster" else request.param


WAYS = [None, by_dataset, by_stream, "cluster"]
EVERY_WAY = pytest.mark.parametrize("way", WAYS, ids=["files", "dataset", "stream", "cluster"], indirect=True)
ENGINES = pytest.mark.parametrize("way", [None, "cluster"], ids=["files", "cluster"], indirect=True)


@EVERY_WAY
def test_spark_partitions_with_any_sign_and_old_timestamps(tmp_path: Path, way: Any) -> None:
    places = {"New York": "place=New York", "a/b%": "place=a%2Fb%25", None: "place=__HIVE_DEFAULT_PARTITION__"}
    log(tmp_path, *described([("id", "long"), ("t", "timestamp"), ("place", "string")], ("place",)))
    adds = []
    for number, (place, at) in enumerate(places.items()):
        path = f"{at}/part [{number}].parquet"
        write(tmp_path, path, {"id": [number], "t": [datetime(2020, 1, 1, 12)]}, use_deprecated_int96_timestamps=True)
        adds.append(added(tmp_path, path, path.replace("%", "%25").replace(" ", "%20"), {"place": place}))
    log(tmp_path, *adds, version=1)
    noon = datetime(2020, 1, 1, 12, tzinfo=UTC)
    assert rows(tmp_path, way) == [{"id": n, "t": noon, "place": place} for n, place in enumerate(places)]


@EVERY_WAY
def test_partition_values_are_the_logs_not_the_folders(tmp_path: Path, way: Any) -> None:
    kinds = [("id", "long"), ("day", "date"), ("n", "integer"), ("at", "timestamp"), ("yes", "boolean"), ("b", "binary")]
    write(tmp_path, "Xk/day=1999-01-01/a.parquet", {"id": [1]})
    write(tmp_path, "b.parquet", {"id": [2]})
    first = {"day": "2020-01-02", "n": "7", "at": "2020-01-01 10:00:00", "yes": "true", "b": "x"}
    log(
        tmp_path, *described(kinds, tuple(n for n, _ in kinds[1:])),
        added(tmp_path, "Xk/day=1999-01-01/a.parquet", partitions=dict(first)),
        added(tmp_path, "b.parquet", partitions=dict.fromkeys(first)),
    )  # fmt: skip
    told = {"day": date(2020, 1, 2), "n": 7, "at": datetime(2020, 1, 1, 10, tzinfo=UTC), "yes": True, "b": b"x"}
    assert rows(tmp_path, way) == [{"id": 1, **told}, {"id": 2, **dict.fromkeys(told)}]


@pytest.mark.parametrize("way", [None, by_dataset, "cluster"], ids=["files", "dataset", "cluster"], indirect=True)
def test_files_older_than_a_column_or_a_wider_type_are_read_as_the_table_is_now(tmp_path: Path, way: Any) -> None:
    write(tmp_path, "old.parquet", {"id": pa.array([1], pa.int32())})
    write(tmp_path, "new.parquet", {"s": [{"a": 1}], "id": [2**40]})
    struct_of = {"type": "struct", "fields": [{"name": "a", "type": "long", "nullable": True, "metadata": {}}]}
    log(
        tmp_path, *described([("id", "long"), ("s", struct_of)], features=("typeWidening",)),  # type: ignore[list-item]
        added(tmp_path, "old.parquet"), added(tmp_path, "new.parquet"),
    )  # fmt: skip
    assert rows(tmp_path, way) == [{"id": 1, "s": None}, {"id": 2**40, "s": {"a": 1}}]


@EVERY_WAY
def test_times_without_a_zone_stay_without(tmp_path: Path, way: Any) -> None:
    write(tmp_path, "a.parquet", {"t": pa.array([datetime(2020, 1, 1)], pa.timestamp("us"))})
    log(tmp_path, *described([("t", "timestamp_ntz")], features=("timestampNtz",)), added(tmp_path, "a.parquet"))
    assert rows(tmp_path, way) == [{"t": datetime(2020, 1, 1)}]


def deletion_vector(*positions: int) -> dict[str, Any]:
    """A roaring bitmap with one container, inline in the log."""
    container = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16) + struct.pack(f"<{len(positions)}H", *positions)
    body = struct.pack("<IQI", 1681511377, 1, 0) + container
    signs = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"
    padded, encoded = body + b"\0" * (-len(body) % 4), ""
    for (word,) in struct.iter_unpack(">I", padded):
        encoded += "".join(signs[word // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return {"storageType": "i", "pathOrInlineDv": encoded, "sizeInBytes": len(body), "cardinality": len(positions)}


@ENGINES
def test_rows_that_a_deletion_vector_takes_out_are_not_read(tmp_path: Path, way: Any) -> None:
    write(tmp_path, "a.parquet", {"id": range(6)})
    kept = described([("id", "long")], features=("deletionVectors",), configuration={"delta.enableDeletionVectors": "true"})
    log(tmp_path, *kept, added(tmp_path, "a.parquet", stats='{"numRecords":6}'))
    table = DeltaFolder(tmp_path.as_uri(), "dev.raw.foreign").table()
    assert data_files(table) is not None
    vector = deletion_vector(1, 4)
    log(tmp_path, {"remove": {"path": "a.parquet", "dataChange": True, "deletionTimestamp": 1}},
        added(tmp_path, "a.parquet", stats='{"numRecords":6}', deletionVector=vector), version=1)  # fmt: skip
    assert [r["id"] for r in rows(tmp_path, way)] == [0, 2, 3, 5]


@ENGINES
def test_columns_that_go_by_another_name_in_the_files_are_read_by_their_own(tmp_path: Path, way: Any) -> None:
    write(tmp_path, "a.parquet", {"col-1": [1, 2], "col-2": ["x", None]})
    ids = {
        name: {"delta.columnMapping.id": n, "delta.columnMapping.physicalName": f"col-{n}"} for n, name in ((1, "id"), (2, "s"))
    }
    log(
        tmp_path, *described([("id", "long"), ("s", "string")], features=("columnMapping",), metadata=ids,
                             configuration={"delta.columnMapping.mode": "name", "delta.columnMapping.maxColumnId": "2"}),
        added(tmp_path, "a.parquet"),
    )  # fmt: skip
    assert rows(tmp_path, way) == [{"id": 1, "s": "x"}, {"id": 2, "s": None}]


def test_a_stream_is_read_as_often_as_asked_and_only_what_is_asked(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"id": range(1000), "a b": ["x", "y"] * 500, "f": [0.5, float("nan")] * 500}))
    engine = Engine()
    stream = by_stream(engine, DeltaTable(tmp_path))
    joined = f"FROM {stream} a JOIN {stream} b USING (id) WHERE a.id < 10 AND b.\"a b\" = 'x'"
    twice = engine.relation(f"SELECT count(*) AS n {joined}")
    assert twice.to_dicts() == twice.to_dicts() == [{"n": 5}]
    assert engine.relation(f"SELECT f FROM {stream} WHERE f > 1").count() == 500


def test_a_relation_over_a_stream_stays_at_its_version(tmp_path: Path) -> None:
    folder = DeltaFolder(tmp_path.as_uri(), "dev.raw.foreign")
    write(tmp_path, "a.parquet", {"col-1": [1]})
    named = {"id": {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}}
    log(tmp_path, *described([("id", "long")], features=("columnMapping",), metadata=named,
                             configuration={"delta.columnMapping.mode": "name"}), added(tmp_path, "a.parquet"))  # fmt: skip
    engine = Engine()
    before = engine.relation(f"SELECT * FROM {engine.scan(folder.table())}")
    log(tmp_path, {"remove": {"path": "a.parquet", "dataChange": True, "deletionTimestamp": 1}}, version=1)
    assert folder.version() == 1
    assert before.count() == 1


def test_what_polars_wrote_is_read(tmp_path: Path) -> None:
    frame = polars.DataFrame({"d": [date(2020, 1, 1), None], "s": ["ü", None], "l": [[1, None], []], "n": [1, 2]})
    frame.write_delta(tmp_path, delta_write_options={"partition_by": ["n"]})
    assert rows(tmp_path) == frame.sort("d", nulls_last=True).to_dicts()


@pytest.mark.parametrize("feature", ["fooBar", "catalogManaged"])
def test_a_feature_that_is_not_known_is_refused_by_its_name(tmp_path: Path, feature: str) -> None:
    write(tmp_path, "a.parquet", {"id": [1]})
    log(tmp_path, *described([("id", "long")], features=(feature,)), added(tmp_path, "a.parquet"))
    with pytest.raises(InvalidInput, match=r"dev\.raw\.foreign cannot be opened here: .*(fooBar|catalog-managed)"):
        rows(tmp_path)


def test_a_table_that_can_only_be_read_refuses_writes_at_once(tmp_path: Path) -> None:
    write(tmp_path, "a.parquet", {"id": [1]})
    log(tmp_path, *described([("id", "long")], features=("typeWidening",)), added(tmp_path, "a.parquet"))
    with pytest.raises(InvalidInput, match=r"can be read but not written here: .*TypeWidening"):
        DeltaFolder(tmp_path.as_uri(), "dev.raw.foreign").append({"id": [2]})
