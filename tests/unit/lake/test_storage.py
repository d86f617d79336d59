"""Places on disk and in object stores: what settings name, what opens them, and what is refused."""

from pathlib import Path

import obstore
import pytest

from boathouse import settings
from boathouse.errors import InvalidInput, Unavailable
from boathouse.lake import DeltaFolder, Storage, schema_of, storage_at, storages

KEYS = {"AWS_ACCESS_KEY_ID": "shared", "AWS_SECRET_ACCESS_KEY": "s3cret", "AWS_SESSION_TOKEN": "session"}


def test_a_place_on_disk_is_a_folder_and_a_store(tmp_path: Path) -> None:
    place = storage_at(str(tmp_path / "a lake")).child("raw", "events")
    obstore.put(place.store(), "x/y", b"rows")
    assert place.local == tmp_path / "a lake" / "raw" / "events"
    assert (place.local / "x" / "y").read_bytes() == b"rows"


@pytest.mark.parametrize("part", ["", ".", "..", "a/b", "..\\x"])
def test_a_child_cannot_lead_elsewhere(part: str) -> None:
    with pytest.raises(InvalidInput, match="no name of a folder"):
        storage_at("s3://bucket/lake").child("raw", part)


@pytest.mark.parametrize("url", ["lake", "ftp://host/lake", "s3://", "s3://bucket/x?versionId=1", "/tmp/50%25"])
def test_what_is_no_storage_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="the storage"):
        storage_at(url)


def test_secrets_are_never_shown() -> None:
    assert "s3cret" not in repr(storages("s3://bucket/lake", {}, KEYS))


def test_an_environment_without_a_store_of_its_own_gets_a_folder() -> None:
    found = storages("s3://bucket/lake/", {"prod": "s3://vault"}, {})
    assert found.of("dev").url == "s3://bucket/lake/dev"
    assert found.of("prod").url == "s3://vault"


def test_an_own_key_never_goes_with_anothers_secret() -> None:
    own = {"BOATHOUSE_STORAGE_PROD_AWS_ACCESS_KEY_ID": "prods", "BOATHOUSE_STORAGE_PROD_AWS_SECRET_ACCESS_KEY": "its"}
    found = storages("s3://bucket/lake", {"prod": "s3://vault"}, KEYS | own | {"AWS_REGION": "eu-west-1"})
    assert found.of("prod").options == {
        "AWS_ACCESS_KEY_ID": "prods", "AWS_SECRET_ACCESS_KEY": "its", "AWS_REGION": "eu-west-1",
    }  # fmt: skip
    assert found.of("dev").options == KEYS | {"AWS_REGION": "eu-west-1"}


def test_a_plain_http_endpoint_is_allowed_because_it_was_named() -> None:
    found = storages("s3://bucket", {}, {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9000"})
    assert found.default.options == {"AWS_ENDPOINT_URL": "http://127.0.0.1:9000", "AWS_ALLOW_HTTP": "true"}


@pytest.mark.parametrize("own", ["s3://bucket/lake", "s3://bucket/lake/prod", "s3://bucket"])
def test_stores_of_two_environments_may_not_overlap(own: str) -> None:
    with pytest.raises(InvalidInput, match="overlap"):
        storages("s3://bucket/lake", {"prod": own}, {})


def test_settings_name_a_store_for_each_environment(tmp_path: Path) -> None:
    (tmp_path / "boathouse.toml").write_text('storage_staging = "s3://stage"\nstorage_prod = "s3://old"\n')
    found = settings.load({"BOATHOUSE_HOME": str(tmp_path), "BOATHOUSE_STORAGE_PROD": "s3://vault"})
    assert found.storages == {"staging": "s3://stage", "prod": "s3://vault"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("a file where the folder should be")
    with pytest.raises(Unavailable, match="lake"):
        storage_at(str(tmp_path / "lake")).check()


def test_the_check_leaves_nothing_behind(tmp_path: Path) -> None:
    storage_at(str(tmp_path / "lake")).check()
    assert list((tmp_path / "lake").iterdir()) == []


def test_removing_a_table_removes_its_folder(tmp_path: Path) -> None:
    folder = DeltaFolder((tmp_path / "events").as_uri(), "dev.raw.events")
    folder.create(schema_of({"id": "int"}))
    folder.remove()
    assert not (tmp_path / "events").exists()


def test_storage_values_compare_and_hash_by_place() -> None:
    assert len({Storage("s3://bucket", {"AWS_REGION": "x"}), Storage("s3://bucket", {"AWS_REGION": "x"})}) == 1
