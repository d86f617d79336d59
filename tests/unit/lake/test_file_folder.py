"""Files below one place: whole or not there, listed by path, and nothing outside is reached."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from boathouse.errors import InvalidInput, NotFound
from boathouse.lake import FileFolder, Storage

PATHS = ["%2e%2e/x", "50% ü.txt", "a-b/x", "a.txt", "a/b.txt", "a/c/d.txt", "z"]


@pytest.fixture
def folder(tmp_path: Path) -> FileFolder:
    made = FileFolder(Storage((tmp_path / "volume").as_uri()), "dev.raw.images")
    for path in PATHS:
        made.put(path, [b"hello ", path.encode()])
    return made


def read(folder: FileFolder, path: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join(folder.read(path, start, end).chunks)


def pages(folder: FileFolder, size: int, recursive: bool) -> list[str]:
    found: list[str] = []
    after: str | None = None
    while True:
        page = folder.page("", after, size, recursive)
        found += sorted([*page.folders, *(f.path for f in page.files)])
        if (after := page.after) is None:
            return found


def test_what_is_put_is_read_whole_and_by_ranges(folder: FileFolder) -> None:
    assert read(folder, "a/b.txt") == b"hello a/b.txt"
    assert (read(folder, "z", 1, 3), read(folder, "z", 6, 100), read(folder, "z", 7)) == (b"el", b"z", b"")
    before = folder.stat("z")
    after = folder.put("z", [])
    assert (after.size, read(folder, "z"), after.etag != before.etag) == (0, b"", True)
    with pytest.raises(InvalidInput, match="8 to None is no part of it"):
        folder.read("a.txt", 8 << 20)


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_pages_of_any_size_hold_every_file_once_in_order(folder: FileFolder, size: int) -> None:
    assert pages(folder, size, recursive=True) == PATHS
    assert pages(folder, size, recursive=False) == ["%2e%2e/", "50% ü.txt", "a-b/", "a.txt", "a/", "z"]
    assert [f.path for f in folder.page("a").files] == ["a/b.txt", "a/c/d.txt"]


def test_a_folder_that_holds_nothing_is_none(folder: FileFolder) -> None:
    folder.remove("a/c/d.txt")
    assert folder.page("a", recursive=False).folders == ()
    assert folder.page("nowhere").files == ()
    with pytest.raises(NotFound, match=r"dev.raw.images has no file a/c/d.txt"):
        folder.remove("a/c/d.txt")


@pytest.mark.parametrize(
    "path",
    ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "./a", "nul\0", "new\nline", "back\\slash", "x#1",
     "y" * 300, "/".join("y" * 200 for _ in range(9)), "\udcff"],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere_are_refused(folder: FileFolder, path: str) -> None:
    for act in (folder.read, folder.stat, folder.remove, lambda p: folder.put(p, [b"x"])):
        with pytest.raises(InvalidInput):
            act(path)


def test_a_link_that_leaves_the_folder_is_not_followed(folder: FileFolder, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("k")
    root = folder.local_path()
    assert root
    os.symlink(tmp_path / "secret", root / "link")
    os.symlink(tmp_path / "secret" / "key", root / "key")
    os.symlink(root / "z", root / "inside")
    assert [f.path for f in folder.files()] == sorted([*PATHS, "inside"])
    for path in ("link/key", "key", "link/new"):
        for act in (lambda p=path: folder.put(p, [b"x"]), lambda p=path: folder.read(p), lambda p=path: folder.remove(p)):
            with pytest.raises(NotFound):
                act()
    assert (tmp_path / "secret" / "key").read_text() == "k"


def test_a_file_that_breaks_off_leaves_what_was_there(folder: FileFolder) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x" * (9 << 20)
        assert [f.path for f in folder.files()] == PATHS
        raise ValueError("gone")

    for path in ("z", "new"):
        with pytest.raises(ValueError, match="gone"):
            folder.put(path, broken())
    assert (read(folder, "z"), [f.path for f in folder.files()]) == (b"hello z", PATHS)


def test_a_writer_that_is_killed_leaves_nothing_that_shows(folder: FileFolder) -> None:
    code = f"""
import os, signal
from boathouse.lake import FileFolder, Storage
def chunks():
    for _ in range(20):
        yield b"x" * (1 << 20)
    os.kill(os.getpid(), signal.SIGKILL)
FileFolder(Storage({folder.storage.url!r}), "v").put("half", chunks())
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert [f.path for f in folder.files()] == PATHS
    assert folder.put("half", [b"whole"]).size == 5


def test_a_file_is_no_folder(folder: FileFolder) -> None:
    for path in ("z/below", "a"):
        with pytest.raises(InvalidInput, match="as well"):
            folder.put(path, [b"x"])
