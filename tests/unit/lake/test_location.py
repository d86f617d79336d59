"""One place has one spelling, and what could mean another place is refused."""

from pathlib import Path

import pytest

from boathouse.errors import InvalidInput
from boathouse.lake.location import canonical, overlap, within


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3://lake/raw/events/", "s3://lake/raw/events"),
        ("s3a://lake/raw", "s3://lake/raw"),
        ("S3://lake/raw", "s3://lake/raw"),
        ("gs://lake", "gs://lake"),
        ("abfss://data@account.dfs.core.windows.net/raw/", "abfss://data@account.dfs.core.windows.net/raw"),
    ],
)
def test_a_place_has_one_spelling(written: str, meant: str) -> None:
    assert canonical(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "s3://lake/raw/../prod", "s3://lake/raw/./x", "s3://lake/raw//x", "s3://lake/raw/%2e%2e/prod", "s3://lake/%70rod",
        "s3://lake/raw\\..\\prod", "s3://lake/raw?versionId=1", "s3://lake/raw#x", "s3://lake/ra*", "s3://user:pw@lake/raw",
        "s3://lake:9000/raw", "s3:///raw", "https://lake.s3.amazonaws.com/raw", "ftp://host/raw", "memory:///", "raw/events",
        "s3://lake/raw\n/x", "file://elsewhere/srv/data", "../etc", "file:srv/data",
    ],
)  # fmt: skip
def test_what_could_mean_several_places_is_refused(written: str) -> None:
    with pytest.raises(InvalidInput):
        canonical(written)


@pytest.mark.parametrize(
    "path", ["/", "/etc", "/etc/passwd", "file:///etc/", "/proc/self", "/srv/../etc", "file:///srv/%2e%2e/etc", "/dev/shm/x"]
)
def test_folders_of_the_system_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput):
        canonical(path)


def test_symbolic_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "sly").symlink_to("/etc")
    assert canonical(f"{tmp_path}/link/x") == (tmp_path / "real/x").as_uri()
    assert canonical((tmp_path / "a b").as_uri()) == (tmp_path / "a b").as_uri()
    with pytest.raises(InvalidInput, match="operating system"):
        canonical(f"file://{tmp_path}/sly")


def test_overlap_is_by_whole_levels_and_blind_to_case() -> None:
    assert overlap("s3://lake/dev", "s3://lake/dev/raw")
    assert overlap("s3://lake/dev/raw", "s3://lake/DEV")
    assert overlap("file:///srv/a%20b", "file:///srv/a%20b/c")
    assert not overlap("s3://lake/dev", "s3://lake/dev2")
    assert not overlap("s3://lake/dev", "gs://lake/dev")


def test_within_is_one_sided() -> None:
    assert within("s3://lake/dev/raw", "s3://lake/dev")
    assert within("s3://lake/dev", "s3://lake/dev")
    assert not within("s3://lake", "s3://lake/dev")
