"""Whoever can write a table's log must not make others read what lies elsewhere."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from boathouse.errors import InvalidInput
from boathouse.lake import DeltaFolder, Engine, schema_of
from boathouse.lake.rescan import snapshot_rows


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    folder = DeltaFolder((tmp_path / "prod/secret").as_uri(), "prod.raw.secret")
    folder.create(schema_of({"id": "bigint"}))
    folder.append({"id": [42]})
    return next((tmp_path / "prod/secret").glob("*.parquet"))


@pytest.fixture
def naming(tmp_path: Path, secret: Path) -> Callable[[str], DeltaFolder]:
    """A table whose log names a file of somebody else's."""
    def make(path: str) -> DeltaFolder:
        folder = DeltaFolder((tmp_path / "dev/mine").as_uri(), "dev.raw.mine")
        folder.create(schema_of({"id": "bigint"}))
        add = {"path": path, "size": secret.stat().st_size, "partitionValues": {}, "modificationTime": 1, "dataChange": True}
        (tmp_path / "dev/mine/_delta_log" / f"{1:020}.json").write_text(json.dumps({"add": add}) + "\n")
        return DeltaFolder(folder.location, folder.name)

    return make


@pytest.fixture(params=["absolute", "uri", "dots", "encoded", "encoded whole"])
def outside(request: pytest.FixtureRequest, secret: Path) -> str:
    up = f"../../prod/secret/{secret.name}"
    return {"absolute": str(secret), "uri": secret.as_uri(), "dots": up, "encoded": up.replace("..", "%2E%2e"),
            "encoded whole": up.replace("/", "%2F")}[request.param]  # fmt: skip


def test_no_way_of_reading_leaves_the_table(naming: Callable[[str], DeltaFolder], outside: str) -> None:
    folder = naming(outside)
    with pytest.raises(InvalidInput, match="names a file outside"):
        Engine().scan(folder.table())
    with pytest.raises(InvalidInput, match="names a file outside"):
        snapshot_rows(folder.table())


def test_no_write_copies_rows_from_elsewhere(naming: Callable[[str], DeltaFolder], outside: str) -> None:
    folder = naming(outside)
    for act in (
        folder.optimize,
        lambda: folder.update({"id": "id + 1"}),
        lambda: folder.delete("id = 0"),
        lambda: folder.merge(pa.table({"id": [42]}), ["id"]),
        lambda: folder.overwrite({"id": [1]}, where="id = 0"),
    ):
        with pytest.raises(InvalidInput, match="names a file outside"):
            act()


def test_a_symbolic_link_is_not_followed(naming: Callable[[str], DeltaFolder], secret: Path, tmp_path: Path) -> None:
    folder = naming("x.parquet")
    (tmp_path / "dev/mine/x.parquet").symlink_to(secret)
    with pytest.raises(InvalidInput, match="names a file outside"):
        snapshot_rows(folder.table())
    with pytest.raises(InvalidInput, match="names a file outside"):
        folder.optimize()


def test_names_with_odd_but_own_signs_are_read(tmp_path: Path) -> None:
    folder = DeltaFolder((tmp_path / "t").as_uri(), "dev.raw.t")
    folder.create(schema_of({"at": "string", "id": "bigint"}), partition_by=["at"])
    values = ["10:30", "a/b", "../x", "..", "a b", "100%", "ü", "c:\\d"]
    folder.append({"at": values, "id": list(range(8))})
    rows = pa.RecordBatchReader.from_stream(folder.table().scan()).read_all()
    snapshot_rows(folder.table())
    assert sorted(rows["at"].to_pylist()) == sorted(values)
    assert folder.delete("id = 0").operation == "DELETE"
