"""Volumes through HTTP, Python and the command line: streamed, whole, and only for whom they are granted to."""

import hashlib
import http.client
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy
import pytest

from boathouse.client import Http, Lake
from boathouse.client.transfer import fetch_folder, send_folder
from boathouse.client.volume import Volume
from boathouse.errors import InvalidInput, NotFound, NotPermitted

pytestmark = pytest.mark.xdist_group("volumes")  # one process: its server and fixtures are made once

Command = Callable[..., tuple[int, str]]
USE = [("USE CATALOG", "catalog", "dev"), ("USE SCHEMA", "schema", "dev.raw")]


@pytest.fixture(scope="module")
def volume(lake: Lake) -> Volume:
    made = lake.volumes.create("raw.images", comment="photographs")
    made.put(b"0123456789", "digits/ten.txt")
    return made


@pytest.fixture(scope="module")
def person(lake: Lake) -> Callable[..., Lake]:
    """Someone's own connection to the same server."""

    def connect(name: str, *grants: tuple[str, str, str]) -> Lake:
        lake.call("POST", "/api/v1/principals", {"name": name})
        for privilege, kind, securable in (*USE, *grants):
            body = {"principal": name, "privilege": privilege, "kind": kind, "securable": securable}
            lake.call("POST", "/api/v1/grants", body)
        return Lake(Http(lake.http.url, lake.call("POST", "/api/v1/tokens", {"principal": name})["token"]), "dev")

    return connect


@pytest.fixture
def ask(lake: Lake) -> Iterator[Callable[..., httpx.Response]]:
    """A request to a file of the volume, by its path as it stands."""
    headers = {"Authorization": f"Bearer {lake.http.token}"}
    with httpx.Client(base_url=lake.http.url, headers=headers, trust_env=False) as client:
        yield lambda method, path, **given: client.request(method, f"/api/v1/volumes/dev.raw.images/files/{path}", **given)


def test_a_file_is_read_whole_and_by_ranges(ask: Callable[..., httpx.Response], volume: Volume) -> None:
    whole = ask("GET", "digits/ten.txt")
    assert (whole.status_code, whole.text, whole.headers["content-length"]) == (200, "0123456789", "10")
    for asked, code, text, said in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"), ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=8-99", 206, "89", "bytes 8-9/10"), ("bytes=10-", 416, None, "bytes */10"), ("lines=1-2", 200, "0123456789", None),
    ]:  # fmt: skip
        part = ask("GET", "digits/ten.txt", headers={"Range": asked})
        assert (part.status_code, part.headers.get("content-range")) == (code, said), asked
        assert text is None or part.text == text
    tag = whole.headers["etag"]
    assert ask("GET", "digits/ten.txt", headers={"If-None-Match": tag}).status_code == 304
    assert ask("GET", "digits/ten.txt", headers={"Range": "bytes=2-4", "If-Range": '"old"'}).status_code == 200
    head = ask("HEAD", "digits/ten.txt")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "10")


def test_what_users_put_is_never_shown_as_a_page_of_ours(ask: Callable[..., httpx.Response], volume: Volume) -> None:
    volume.put(b"<script>alert(1)</script>", "page.html")
    head = ask("GET", "page.html").headers
    assert head["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert (head["x-content-type-options"], head["content-security-policy"].split(";")[0]) == ("nosniff", "sandbox")


@pytest.mark.parametrize(
    "path",
    ["../secret", "%2e%2e/%2e%2e/secret", "a/%2e%2e/%2e%2e/b", "..%2f..%2fsecret", "/etc/passwd", "%2fetc%2fpasswd",
     "a%00b", "a/./b", "a//b", "..%5csecret"],
)  # fmt: skip
def test_paths_that_could_lead_elsewhere_are_refused_over_http(lake: Lake, volume: Volume, path: str) -> None:
    server, headers = urlsplit(lake.http.url), {"Authorization": f"Bearer {lake.http.token}"}
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        connection = http.client.HTTPConnection(server.hostname or "", server.port)  # it sends paths as they are
        connection.request(method, f"/api/v1/volumes/{volume.name}/files/{path}", b"x", headers)
        assert connection.getresponse().status == 400, method
        connection.close()


def test_an_upload_that_breaks_off_is_not_there(lake: Lake, volume: Volume) -> None:
    server = urlsplit(lake.http.url)
    connection = http.client.HTTPConnection(server.hostname or "", server.port)
    connection.putrequest("PUT", "/api/v1/volumes/dev.raw.images/files/half.bin")
    for name, value in (("Authorization", f"Bearer {lake.http.token}"), ("Content-Length", str(30 << 20))):
        connection.putheader(name, value)
    connection.endheaders()
    connection.send(b"x" * (12 << 20))
    connection.close()
    assert volume.put(b"other", "other.bin").size == 5
    assert not volume.exists("half.bin")


def test_reading_and_writing_take_their_own_privileges(volume: Volume, person: Callable[..., Lake]) -> None:
    with person("rea", ("READ VOLUME", "volume", "dev.raw.images")) as reader, \
         person("wri", ("WRITE VOLUME", "volume", "dev.raw.images")) as writer, person("non") as nobody:  # fmt: skip
        assert reader.volume("raw.images").read_text("digits/ten.txt") == "0123456789"
        assert writer.volume("raw.images").put(b"w", "written.txt").size == 1
        read, written = reader.volume("raw.images"), writer.volume("raw.images")
        for act in (lambda: read.put(b"x" * (9 << 20), "x"), lambda: read.remove("digits/ten.txt"), lambda: read.path,
                    lambda: reader.volumes.drop("raw.images"), lambda: written.open("digits/ten.txt"), written.list,
                    lambda: nobody.volume("raw.images"), lambda: nobody.volumes.create("raw.mine")):  # fmt: skip
            with pytest.raises(NotPermitted):
                act()
        assert [v.name for v in reader.volumes.all("raw")] == ["dev.raw.images"]
        assert nobody.volumes.all() == []


def test_an_opened_file_is_like_a_local_one(volume: Volume) -> None:
    volume.put(b"".join(b"%06d\n" % i for i in range(200_000)), "lines.txt")
    with volume.open("lines.txt") as file:
        file.seek(7 * 150_000)
        assert (file.readline(), file.tell()) == (b"150000\n", 7 * 150_001)
        file.seek(-7, 2)
        assert (file.read(), file.read()) == (b"199999\n", b"")
        file.seek(0)
        assert sum(1 for _ in file) == 200_000
    numpy.save(saved := __import__("io").BytesIO(), numpy.arange(12).reshape(3, 4))
    volume.put(saved.getvalue(), "array.npy")
    with volume.open("array.npy") as file:
        assert numpy.load(file).sum() == 66
    with pytest.raises(NotFound, match=r"dev.raw.images has no file gone.txt"):
        volume.open("gone.txt")
    with pytest.raises(InvalidInput, match="put\\(\\) writes them whole"):
        volume.open("lines.txt", "w")


def test_a_folder_goes_there_and_back_and_only_what_changed_goes_again(volume: Volume, tmp_path: Path) -> None:
    for number in range(5):
        (tmp_path / "out" / f"sub {number % 2}").mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / f"sub {number % 2}" / f"ü{number}.bin").write_bytes(os.urandom(1000 + number))
    planned: list[tuple[int, int]] = []
    first = send_folder(volume, tmp_path / "out", "tree", on_plan=lambda *plan: planned.append(plan))
    assert (first.sent, first.same, planned) == (5, 0, [(5, 5010)])
    (tmp_path / "out" / "sub 1" / "ü1.bin").write_bytes(b"new")
    assert send_folder(volume, tmp_path / "out", "tree").sent == 1
    assert fetch_folder(volume, "tree", tmp_path / "back").sent == 5
    assert fetch_folder(volume, "tree", tmp_path / "back").same == 5
    (tmp_path / "back" / "sub 0" / "ü0.bin").unlink()
    assert fetch_folder(volume, "tree", tmp_path / "back").sent == 1
    for path in (tmp_path / "out").rglob("*.bin"):
        assert (tmp_path / "back" / path.relative_to(tmp_path / "out")).read_bytes() == path.read_bytes()


def test_a_get_goes_on_where_it_was_cut_off(volume: Volume, tmp_path: Path) -> None:
    data = os.urandom(3 << 20)
    volume.put(data, "long.bin")
    got: list[int] = []

    def cut_off(more: int) -> None:
        got.append(more)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        volume.get("long.bin", tmp_path, cut_off)
    assert not (tmp_path / "long.bin").exists()
    assert volume.get("long.bin", tmp_path, got.append).read_bytes() == data
    assert (sum(got) < len(data) + got[0] * 2, [p.name for p in tmp_path.iterdir()]) == (True, ["long.bin"])


def test_two_writers_of_one_file_leave_one_of_the_two(volume: Volume) -> None:
    bodies = [bytes([n]) * (9 << 20) for n in (1, 2)]
    threads = [threading.Thread(target=volume.put, args=(body, "race.bin")) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert hashlib.sha256(volume.read_bytes("race.bin")).digest() in [hashlib.sha256(body).digest() for body in bodies]


def test_files_of_a_volume_become_rows(lake: Lake, volume: Volume) -> None:
    volume.put(b"id,x\n1,a\n2,b\n", "landing/2024/a.csv")
    volume.put(b"id,x\n3,c\n", "landing/b.csv")
    volume.put(b"no rows", "landing/note.md")
    report = lake.import_files("raw.from_volume", "volume:raw.images/landing/*.csv")
    assert [f.name for f in report.files] == ["volume:dev.raw.images/landing/2024/a.csv", "volume:dev.raw.images/landing/b.csv"]
    assert [e["source"] for e in lake.lineage("raw.from_volume")] == ["volume:dev.raw.images"]
    assert lake.ingest("raw.arrived", "/Volumes/dev/raw/images/landing").rows == 3
    volume.put(b"id,x\n4,d\n", "landing/c.csv")
    assert [f.name for f in lake.ingest("raw.arrived", "volume:raw.images/landing").files] == ["c.csv"]


def test_what_files_were_made_of_is_lineage(lake: Lake, volume: Volume) -> None:
    lake.create_table("raw.numbers", {"n": [1, 2]})
    made = lake.volumes.create("raw.exports")
    total = lake.sql("SELECT sum(n) AS s FROM raw.numbers").to_dicts()[0]["s"]
    for number in range(3):
        made.put(str(total).encode(), f"{number}.txt")
    into = [edge["source"] for edge in lake.lineage("volume:dev.raw.exports") if edge["target"] == "volume:dev.raw.exports"]
    assert into == ["dev.raw.numbers"]


def test_a_volume_outside_keeps_its_files_when_it_is_dropped(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "outside" / "photos").mkdir(parents=True)
    (tmp_path / "outside" / "photos" / "old.png").write_bytes(b"png")
    with pytest.raises(InvalidInput, match="lies in no external location"):
        lake.volumes.create("raw.outside", location=str(tmp_path / "outside" / "photos"))
    lake.call("POST", "/api/v1/locations", {"name": "outside", "url": str(tmp_path / "outside")})
    made = lake.volumes.create("raw.outside", location=str(tmp_path / "outside" / "photos"))
    assert (made.info.volume_type, [f.path for f in made.list()]) == ("EXTERNAL", ["old.png"])
    lake.volumes.drop("raw.outside")
    assert (tmp_path / "outside" / "photos" / "old.png").read_bytes() == b"png"


def test_the_commands_do_what_they_say(command: Command, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "in" / name).write_text(name)
    for words, code, part in [
        (("create", "raw.files", "--comment", "of mine"), 0, "created dev.raw.files"),
        (("create", "raw.files"), 1, "exists already"),
        (("put", str(tmp_path / "in"), "raw.files/box"), 0, "2 files (10 bytes) are in dev.raw.files/box now; 0 were there"),
        (("put", str(tmp_path / "in"), "raw.files/box"), 0, "0 files (0 bytes) are in dev.raw.files/box now; 2 were there"),
        (("put", str(tmp_path / "in" / "a.txt"), "raw.files"), 0, "a.txt (5 bytes) is in dev.raw.files"),
        (("put", str(tmp_path / "gone"), "raw.files"), 1, "there is no file"),
        (("get", "raw.files/box/b.txt", str(tmp_path / "out.txt")), 0, "out.txt is here"),
        (("get", "raw.files", str(tmp_path / "all")), 0, "3 files (15 bytes)"),
        (("rm", "raw.files/a.txt"), 0, "removed 1 file from dev.raw.files"),
        (("rm", "raw.files/a.txt"), 1, "has no file a.txt"),
        (("rm", "raw.files/box"), 1, "has no file box"),
        (("rm", "-r", "raw.files/box"), 0, "removed 2 files"),
        (("ls", "raw.files"), 0, "dev.raw.files has no files yet"),
        (("drop", "raw.files", "--yes"), 0, "dropped dev.raw.files"),
        (("show", "raw.files"), 1, "no volume is named dev.raw.files"),
    ]:  # fmt: skip
        if words[0] == "rm" and words[1] == "raw.files/a.txt" and code == 0:
            listed: Any = json.loads(command("volumes", "ls", "raw.files", "--json")[1])
            assert [row["path"] for row in listed] == ["a.txt", "box/"]
        found = command("volumes", *words)
        assert (found[0], part in found[1]) == (code, True), (words, found)
    assert (tmp_path / "out.txt").read_text() == "b.txt"
