"""Attempts on a cluster, as far as they are here: what is undone there, who follows, what travels. See also `make ray`."""

import os
import signal
import subprocess
import sys
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from boathouse.errors import InvalidInput
from boathouse.jobs.attempt import Attempt, Outcome
from boathouse.jobs.clusters import RayCluster, submission
from boathouse.jobs.ray_job import packed
from boathouse.project import parse_resource

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are told apart by /proc")


def begin(attempt: Attempt, script: str) -> int:
    undo = ["/bin/sh", "-c", 'echo undone; sleep 0.3; echo done >"$(dirname "$BOATHOUSE_ATTEMPT")/undone"']
    return attempt.begin(["/bin/sh", "-c", script], {"PATH": os.environ["PATH"]}, token="t", cwd=Path("/tmp"),
                         log=attempt.folder.with_name("t.log"), after=undo)  # fmt: skip


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    return Attempt(tmp_path / "r" / "t@1")


def test_what_was_begun_elsewhere_is_undone_when_it_is_ended_however_often_that_is_asked(attempt: Attempt) -> None:
    shim, log = begin(attempt, "echo on; sleep 60"), attempt.folder.with_name("t.log")
    while not log.exists() or "on" not in log.read_text():
        time.sleep(0.01)
    for _ in range(20):
        attempt.ask_to_end()
        time.sleep(0.01)
    os.waitpid(shim, 0)
    assert attempt.outcome() == Outcome("CANCELED", None, -signal.SIGKILL)
    assert log.read_text() == "on\nundone\n"
    assert attempt.folder.with_name("undone").exists()


def test_nothing_is_undone_after_a_good_end_and_words_of_the_end_are_believed(attempt: Attempt) -> None:
    os.waitpid(begin(attempt, "exit 0"), 0)
    assert not attempt.folder.with_name("undone").exists()
    (attempt.folder / "told.json").write_text('{"state": "LOST", "reason": "its node is gone"}')
    assert attempt.outcome() == Outcome("LOST", "its node is gone", 0)


def test_a_second_shim_follows_when_the_first_was_killed_and_the_log_begins_anew(attempt: Attempt) -> None:
    attempt.folder.parent.mkdir(parents=True)
    (log := attempt.folder.with_name("t.log")).write_text("the try before\n")
    shim = begin(attempt, "echo first; sleep 60")
    while "first" not in log.read_text():
        time.sleep(0.01)
    assert not attempt.renew(log)
    os.kill(shim, signal.SIGKILL)
    os.waitpid(shim, 0)
    attempt.sweep()
    assert not attempt.ended
    assert attempt.renew(log)
    os.waitpid(begin(attempt, "echo second"), 0)
    assert log.read_text() == "the try before\nsecond\n"
    assert attempt.outcome() == Outcome("SUCCESS", None, 0)


def test_what_git_ignores_does_not_travel(tmp_path: Path) -> None:
    for name in ("a.py", "b/c.py", "secret.env", ".venv/x"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert sorted(zipfile.ZipFile(BytesIO(packed(tmp_path))).namelist()) == ["a.py", "b/c.py", "secret.env"]
    (tmp_path / ".gitignore").write_text("*.env\n.venv/\n")
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    assert sorted(zipfile.ZipFile(BytesIO(packed(tmp_path))).namelist()) == [".gitignore", "a.py", "b/c.py"]


def test_a_cluster_elsewhere_must_be_told_how_it_reaches_this_server() -> None:
    with pytest.raises(InvalidInput, match=r"cannot reach this server at http://127.0.0.1:8787: say .* server: https"):
        RayCluster("http://ray-head:8265").reachable("http://127.0.0.1:8787")
    assert RayCluster("http://localhost:8265").reachable("http://127.0.0.1:8787") == "http://127.0.0.1:8787"
    assert RayCluster("http://ray-head:8265", "https://b.example.org/").reachable("http://x") == "https://b.example.org"
    assert submission("ab12", "each.3", 2) == "ab12-each-3-2"


def test_a_clusters_token_is_a_secret() -> None:
    parse_resource("compute", {"ray": {"address": "http://ray-head:8265", "token": "{{secrets/ray/token}}"}})
    with pytest.raises(InvalidInput, match=r"ray\.token"):
        parse_resource("compute", {"ray": {"address": "http://ray-head:8265", "token": "abc"}})
    with pytest.raises(InvalidInput, match=r"no address; write for example http://ray-head:8265"):
        parse_resource("compute", {"ray": {"address": "ray-head:8265"}})
