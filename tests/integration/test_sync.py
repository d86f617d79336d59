"""`boathouse sync`: two folders and one workspace, through a server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse.client import Lake
from boathouse.client.sync import Sync

BUNDLE = """
bundle: {name: shop}
targets: {dev: {default: true, mode: development, environment: dev}}
resources: {jobs: {training: {tasks: [{task_key: say, spark_python_task: {python_file: say.py}}]}}}
"""


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    return subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A project, and a clone of it on another machine."""
    here = tmp_path_factory.mktemp("machines")
    (here / "one").mkdir()
    (here / "one" / "boathouse.yml").write_text(BUNDLE)
    (here / "one" / "say.py").write_text("print('first')\n")
    git(here / "one", "init", "-q", "-b", "main")
    git(here / "one", "add", ".")
    git(here / "one", "commit", "-qm", "first")
    git(here, "clone", "-q", "one", "two")
    return here / "one", here / "two"


@pytest.fixture
def synced(command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    def call(folder: Path, *words: str) -> tuple[int, str]:
        monkeypatch.chdir(folder)
        return command("sync", *words)

    return call


@pytest.fixture
def watched(lake: Lake, folders: tuple[Path, Path]) -> Sync:
    return Sync(lake, folders[1], "shop")


def test_uncommitted_work_reaches_the_other_folder(
    lake: Lake, folders: tuple[Path, Path], synced: Callable[..., tuple[int, str]]
) -> None:
    one, two = folders
    (one / "say.py").write_text("print('second')\n")
    code, said = synced(one, "--dry-run")
    assert (code, "1 file would go to" in said or "2 files would go to" in said) == (0, True), said
    assert lake.call("GET", "/api/v1/projects/shop/workspace")["head"] is None
    assert synced(one)[0] == 0
    code, said = synced(two, "--json")
    told = json.loads(said)
    assert (code, told["received"], told["sent"]) == (0, [{"change": "changed", "path": "say.py"}], [])
    assert (two / "say.py").read_text() == "print('second')\n"
    assert f"are alike at {told['head'][:12]}" in synced(two)[1]
    entry = lake.call("GET", "/api/v1/audit?action=sync%20workspace")[0]
    assert (entry["subject"], entry["details"]["head"]) == (f"shop/{told['branch']}", told["head"])


def test_a_clash_is_shown_sends_nothing_and_waits_to_be_settled(
    lake: Lake, folders: tuple[Path, Path], synced: Callable[..., tuple[int, str]]
) -> None:
    one, two = folders
    (one / "say.py").write_text("print('ann')\n")
    (two / "say.py").write_text("print('bob')\n")
    synced(one)
    before = lake.call("GET", "/api/v1/projects/shop/workspace")["head"]
    for _ in range(2):
        code, said = synced(two)
        assert code == 1
        assert "say.py changed here and in the workspace" in said
    assert [(two / name).read_text() for name in ("say.py", "say.py.theirs")] == ["print('bob')\n", "print('ann')\n"]
    assert lake.call("GET", "/api/v1/projects/shop/workspace")["head"] == before
    (two / "say.py.theirs").unlink()
    assert "1 file went to the workspace" in synced(two)[1]
    assert "1 file came from the workspace" in synced(one)[1]
    assert (one / "say.py").read_text() == "print('bob')\n"


def test_two_syncs_at_once_both_come_through(lake: Lake, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (Sync(lake, folder, "shop") for folder in folders)
    (folders[0] / "a.py").write_text("a\n")
    (folders[1] / "b.py").write_text("b\n")
    push, late = two._push, iter([True])

    def pushed_late(*words: object) -> bool:
        if next(late, False):
            one.once()
        return push(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(two, "_push", pushed_late)
    done = two.once()
    assert ([c.path for c in done.received], done.conflicts) == (["a.py"], [])
    one.once()
    assert (folders[0] / "b.py").exists()


def test_watching_sees_files_and_the_workspace(lake: Lake, folders: tuple[Path, Path], watched: Sync) -> None:
    changed = watched.watch()
    assert next(changed)
    (folders[1] / "seen.py").write_text("seen\n")
    assert next(changed)  # the watching begins
    watched.once()
    other = Sync(lake, folders[0], "shop")
    assert (other.once().received[0].path, (folders[0] / "seen.py").exists()) == ("seen.py", True)
    (folders[0] / "seen.py").write_text("changed\n")
    other.once()
    assert any(changed)  # the workspace moved
    assert [c.path for c in watched.once().received] == ["seen.py"]
    (folders[1] / "seen.py").write_text("again\n")
    assert any(changed)
    assert [c.path for c in watched.once().sent] == ["seen.py"]


def test_a_run_from_another_machine_is_of_a_commit_that_holds_what_is_uncommitted(
    lake: Lake, folders: tuple[Path, Path], command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folders[0] / "say.py").write_text("print('not committed')\n")
    monkeypatch.chdir(folders[0])
    code, said = command("run", "training", "--sync")
    assert (code, "say | not committed" in said) == (0, True), said
    run = lake.call("GET", "/api/v1/runs?job=training")[0]
    head = lake.call("GET", "/api/v1/projects/shop/workspace")["head"]
    assert (run["commit_id"], run["dirty"]) == (head, False)
    assert git(folders[0], "show", f"{head}:say.py") == "print('not committed')"
    assert git(folders[0], "status", "--porcelain").splitlines()[0] == "M say.py"


def test_an_empty_folder_gets_the_workspace_and_goes_on_from_there(
    lake: Lake, folders: tuple[Path, Path], tmp_path: Path, synced: Callable[..., tuple[int, str]]
) -> None:
    synced(folders[0])
    code, said = synced(tmp_path, "--project", "unheard")
    assert (code, "so is unheard on the server" in said) == (1, True), said
    assert (synced(tmp_path, "--project", "shop", "--dry-run")[0], (tmp_path / "say.py").exists()) == (1, False)
    code, said = synced(tmp_path, "--project", "shop")
    assert (code, "files came from the workspace" in said) == (0, True), said
    assert (tmp_path / "say.py").read_text() == (folders[0] / "say.py").read_text()
    assert "are alike at" in synced(tmp_path)[1]
    (tmp_path / "new.py").write_text("new\n")
    assert "1 file went to the workspace" in synced(tmp_path)[1]
