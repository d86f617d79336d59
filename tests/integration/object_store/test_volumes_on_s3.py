"""Files of a volume on S3, as on disk: whole, by ranges, by pages, and taken in as rows."""

import hashlib
from pathlib import Path

import pytest
from object_stores import ObjectStore

from boathouse.client import Lake
from boathouse.client.transfer import fetch_folder, send_folder
from boathouse.errors import InvalidInput, NotFound
from boathouse.lake import FileFolder, storage_at

PATHS = ["%2e%2e/x", "50% ü.txt", "a-b/x", "a.txt", "a/b.txt", "a/c/d.txt", "z"]


@pytest.fixture(params=["seaweed", "moto"])
def folder(request: pytest.FixtureRequest) -> FileFolder:
    store: ObjectStore = request.getfixturevalue(request.param)
    options = {**store.environ, "AWS_ALLOW_HTTP": "true"}
    made = FileFolder(storage_at(f"s3://{store.bucket()}/volume", options), "dev.raw.images")
    for path in PATHS:
        made.put(path, [b"hello ", path.encode()])
    return made


def test_files_are_listed_by_path_and_read_by_ranges(folder: FileFolder) -> None:
    found, after = list[str](), None
    while True:
        page = folder.page(after=after, limit=2)
        found += [f.path for f in page.files]
        if (after := page.after) is None:
            break
    assert sorted(found) == PATHS
    assert folder.page(recursive=False).folders == ("%2e%2e/", "a-b/", "a/")
    assert b"".join(folder.read("a.txt", 6, 9).chunks) == b"a.t"
    folder.remove("z")
    for act in (folder.stat, folder.read, folder.remove):
        with pytest.raises(NotFound):
            act("z")
    with pytest.raises(InvalidInput):
        folder.read("../x")


def test_what_breaks_off_is_not_there(folder: FileFolder) -> None:
    def broken() -> object:
        yield b"x" * (17 << 20)
        raise ValueError("gone")

    for path in ("z", "new"):
        with pytest.raises(ValueError, match="gone"):
            folder.put(path, broken())  # type: ignore[arg-type]
    assert b"".join(folder.read("z").chunks) == b"hello z"
    assert sorted(f.path for f in folder.files()) == PATHS


@pytest.mark.parametrize("cloud_lake", ["sts", "no sts"], indirect=True)
def test_a_volume_on_s3_works_as_one_on_disk_does(cloud_lake: Lake, tmp_path: Path) -> None:
    volume = cloud_lake.volumes.create("raw.images")
    assert volume.info.location.startswith("s3://")
    data = bytes(range(256)) * (80 << 10)  # 20 MB: several parts
    volume.put(data, "large.bin")
    with volume.open("large.bin") as file:
        file.seek(5 << 20)
        assert file.read(256) == bytes(range(256))
    assert hashlib.sha256(volume.get("large.bin", tmp_path).read_bytes()).digest() == hashlib.sha256(data).digest()
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "large.parts").write_bytes(data)
    for name in ("a.csv", "b.csv"):
        (tmp_path / "rows" / name).write_text("id\n1\n2\n")
    assert send_folder(volume, tmp_path / "rows", "rows").sent == 3
    assert send_folder(volume, tmp_path / "rows", "rows").same == 3
    assert fetch_folder(volume, "rows", tmp_path / "back").sent == 3
    assert cloud_lake.ingest("raw.rows", "volume:raw.images/rows").rows == 4
    assert cloud_lake.ingest("raw.rows", "volume:raw.images/rows").files == ()
    cloud_lake.volumes.drop("raw.images")
