"""A folder and a workspace kept alike: what is merged, what clashes, and that nothing is ever lost."""

import io
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.environments import Merge, Moved, Projects, SyncedFolder, Workspaces, take_pack, workspace_branch, write_pack
from boathouse.errors import BoathouseError, Conflict, InvalidInput, NotFound
from boathouse.identity import Identity

ANN, BOB = Identity("ann@example.org", frozenset()), Identity("bob", frozenset())
LINES = "".join(f"line {n}\n" for n in range(12))


def run(directory: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
    return subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    (path / "train.py").write_text(LINES)
    (path / "old.py").write_text("old\n")
    (path / ".gitignore").write_text("data/\n.env\n")
    run(path, "add", "--all")
    run(path, "commit", "--quiet", "-m", "Start")
    return path


@pytest.fixture
def other(tree: Path, tmp_path: Path) -> Path:
    run(tmp_path, "clone", "--quiet", "tree", "other")
    return tmp_path / "other"


@pytest.fixture
def workspaces(database: Database, tmp_path: Path) -> Workspaces:
    audit = Audit(database, tmp_path / "key", tmp_path / "head")
    projects = Projects(database, audit, tmp_path / "code", tmp_path / "checkouts")
    projects.ensure(ANN, "shop")
    return Workspaces(projects, audit)


def folder(tree: Path) -> SyncedFolder:
    return SyncedFolder(tree, "shop workspace/ann", "ann")


def sync(workspaces: Workspaces, tree: Path, between: Callable[[], object] = lambda: None) -> Merge:
    """What the command does, without the network; `between` happens after the folder was looked at."""
    here, there = folder(tree), workspaces.of(ANN, "shop")
    here.agree(ours := here.snapshot())
    merge = Merge(ours)
    if there.head:
        pack = tree / ".git" / "pack"
        with workspaces.packed(ANN, "shop", there.head, here.heads()) as packed:
            pack.write_bytes(packed.read())
        take_pack(tree, pack, there.head)
        merge = here.merge(ours, there.head)
    between()
    here.become(ours, merge)
    if not merge.clashes and merge.commit != there.head:
        out = io.BytesIO()
        write_pack(tree, merge.commit, [], out)
        workspaces.push(ANN, "shop", merge.commit, there.head, [out.getvalue()])
    return merge


def test_uncommitted_work_goes_over_and_the_persons_own_branch_and_index_stay(
    workspaces: Workspaces, tree: Path, other: Path
) -> None:
    (tree / "train.py").write_text(LINES.replace("line 1\n", "line one\n"))
    (tree / "new dir").mkdir()
    (tree / "new dir" / "wind é.py").write_text("gusts = True\n")
    (tree / "old.py").unlink()
    (tree / ".env").write_text("PASSWORD=1\n")
    before = (run(tree, "rev-parse", "HEAD"), run(tree, "status", "--porcelain"))
    sync(workspaces, tree)
    assert (run(tree, "rev-parse", "HEAD"), run(tree, "status", "--porcelain")) == before
    sync(workspaces, other)
    assert (other / "new dir" / "wind é.py").read_text() == "gusts = True\n"
    assert "line one" in (other / "train.py").read_text()
    assert [(other / name).exists() for name in ("old.py", ".env")] == [False, False]


def test_what_was_changed_on_both_sides_is_merged(workspaces: Workspaces, tree: Path, other: Path) -> None:
    for place, line in ((tree, "line 1\n"), (other, "line 10\n"), (tree, None)):
        if line:
            (place / "train.py").write_text(LINES.replace(line, line.upper()))
        sync(workspaces, place)
    both = LINES.replace("line 1\n", "LINE 1\n").replace("line 10\n", "LINE 10\n")
    assert [(place / "train.py").read_text() for place in (tree, other)] == [both, both]


def test_a_clash_keeps_both_sides_until_it_is_settled(workspaces: Workspaces, tree: Path, other: Path) -> None:
    for place, word in ((tree, "ann\n"), (other, "bob\n")):
        (place / "train.py").write_text(LINES.replace("line 1\n", word))
        (place / f"{word.strip()}.py").write_text("mine\n")
        merge = sync(workspaces, place)
    assert [path for path, _ in merge.clashes] == ["train.py"]
    assert "bob" in (other / "train.py").read_text()
    assert "ann" in (other / "train.py.theirs").read_text()
    assert (other / "ann.py").exists()
    assert folder(other).unsettled() == [("train.py", "train.py.theirs")]
    (other / "train.py").write_text(LINES.replace("line 1\n", "ann and bob\n"))
    (other / "train.py.theirs").unlink()
    assert folder(other).unsettled() == []
    sync(workspaces, other)
    sync(workspaces, tree)
    assert "ann and bob" in (tree / "train.py").read_text()
    assert not (tree / "train.py.theirs").exists()


def test_a_change_outlives_a_deletion(workspaces: Workspaces, tree: Path, other: Path) -> None:
    (tree / "old.py").write_text("newer\n")
    (tree / "train.py").unlink()
    sync(workspaces, tree)
    (other / "old.py").unlink()
    (other / "train.py").write_text(LINES + "more\n")
    merge = sync(workspaces, other)
    assert (merge.clashes, sorted(merge.kept)) == ((), ["old.py", "train.py"])
    assert (other / "old.py").read_text() == "newer\n"
    assert "more" in (other / "train.py").read_text()


def test_files_that_change_during_a_sync_are_not_touched_and_the_next_one_merges(
    workspaces: Workspaces, tree: Path, other: Path
) -> None:
    (tree / "train.py").write_text(LINES.replace("line 1\n", "ann\n"))
    (tree / "new.py").write_text("ann\n")
    sync(workspaces, tree)
    for name, text in (("train.py", LINES + "saved just now\n"), ("new.py", "bob\n")):
        with pytest.raises(Moved):
            sync(workspaces, other, between=lambda name=name, text=text: (other / name).write_text(text))  # type: ignore[misc]
        assert (other / name).read_text() == text
    merge = sync(workspaces, other)
    assert [path for path, _ in merge.clashes] == ["new.py"]
    assert (other / "train.py").read_text() == LINES.replace("line 1\n", "ann\n") + "saved just now\n"


def test_a_sync_that_was_cut_off_is_taken_up(workspaces: Workspaces, tree: Path, other: Path) -> None:
    """Killed after some files were written, before the folder remembers it."""
    for name in ("a.py", "b.py", "c.py"):
        (tree / name).write_text(f"{name}\n" * 5)
    (tree / "train.py").write_text(LINES.replace("line 1\n", "ann\n"))
    there = sync(workspaces, tree).commit
    here = folder(other)
    here.agree(here.snapshot())
    (other / "a.py").write_text("a.py\n" * 5)
    (other / "train.py").write_text(LINES.replace("line 1\n", "ann\n"))
    (other / "mine.py").write_text("mine\n")
    (other / ".git" / "boathouse" / "dead.index.lock").touch()
    with here.alone():
        assert not (other / ".git" / "boathouse" / "dead.index.lock").exists()
        merge = sync(workspaces, other)
    assert (merge.clashes, merge.kept) == ((), ())
    assert [run(other, "cat-file", "-e", f"{merge.commit}:{name}") for name in ("a.py", "b.py", "c.py", "mine.py")] == [""] * 4
    assert folder(other).holds(merge.commit, there)


def test_what_git_ignores_is_never_replaced(workspaces: Workspaces, tree: Path, other: Path) -> None:
    (tree / ".env").write_text("theirs\n")
    run(tree, "add", "--force", ".env")
    sync(workspaces, tree)
    (other / ".env").write_text("mine\n")
    with pytest.raises(Conflict, match=r"\.env of the workspace would replace what Git ignores here"):
        sync(workspaces, other)
    assert (other / ".env").read_text() == "mine\n"


def test_own_commits_are_part_of_the_workspace(workspaces: Workspaces, tree: Path) -> None:
    (tree / "train.py").write_text("depth = 4\n")
    first = sync(workspaces, tree).commit
    run(tree, "commit", "--quiet", "--all", "-m", "Deeper")
    second = sync(workspaces, tree).commit
    assert folder(tree).holds(second, run(tree, "rev-parse", "HEAD"))
    assert folder(tree).holds(second, first)
    assert sync(workspaces, tree).commit == second


def test_only_the_owner_moves_a_workspace_and_only_onward(workspaces: Workspaces, tree: Path) -> None:
    start = run(tree, "rev-parse", "HEAD")
    (tree / "train.py").write_text("depth = 4\n")
    head = sync(workspaces, tree).commit
    out = io.BytesIO()
    write_pack(tree, start, [], out)
    with pytest.raises(Conflict, match="was changed by another sync"):
        workspaces.push(ANN, "shop", start, None, [out.getvalue()])
    with pytest.raises(Conflict, match=r"does not hold what workspace/ann@example\.org of shop has"):
        workspaces.push(ANN, "shop", start, head, [out.getvalue()])
    assert workspaces.of(ANN, "shop").head == head
    assert workspaces.of(BOB, "shop").head is None
    with pytest.raises(NotFound):
        workspaces.packed(BOB, "shop", head, [])


@pytest.mark.parametrize(("pack", "head"), [(b"no pack", "0" * 40), (b"", "a" * 40), (b"", "--all"), (b"", "HEAD\n")])
def test_what_is_no_pack_of_the_commit_is_refused_and_nothing_of_it_stays(
    workspaces: Workspaces, tmp_path: Path, pack: bytes, head: str
) -> None:
    with pytest.raises(InvalidInput):
        workspaces.push(ANN, "shop", head, None, [pack])
    assert [p for p in (tmp_path / "code" / "shop.git" / "objects").rglob("*") if p.is_file()] == []


def test_a_pack_without_all_of_its_commit_is_refused(workspaces: Workspaces, tree: Path, tmp_path: Path) -> None:
    start = run(tree, "rev-parse", "HEAD")
    (tree / "train.py").write_text("depth = 4\n")
    head = folder(tree).snapshot()
    out = io.BytesIO()
    write_pack(tree, head, [start], out)  # as if the workspace had the start
    with pytest.raises(InvalidInput, match=r"`git (rev-list|index-pack)` failed"):
        workspaces.push(ANN, "shop", head, None, [out.getvalue()])
    assert [p for p in (tmp_path / "code" / "shop.git" / "objects").rglob("*") if p.is_file()] == []


def test_a_fetch_from_the_origin_leaves_workspaces_alone(workspaces: Workspaces, tree: Path) -> None:
    head = sync(workspaces, tree).commit
    run(tree, "branch", "workspace/ann@example.org", head)
    run(tree, "branch", "workspace/bob", head)
    (tree / "train.py").write_text("depth = 5\n")
    run(tree, "commit", "--quiet", "--all", "-m", "Foreign")
    run(tree, "branch", "--force", "workspace/ann@example.org", "HEAD")
    repository = workspaces._projects.repository("shop")
    repository.fetch(str(tree))
    assert repository.branches() == {"main": run(tree, "rev-parse", "HEAD"), "workspace/ann@example.org": head}


def test_each_principal_has_a_branch_that_git_takes() -> None:
    names = ["ann", "ann@example.org", ".ann", "ann.", "a..b", "x.lock", "ci:acme shop", "a~b", "a%7Eb", "Jürgen", "a{b"]
    branches = [workspace_branch(name) for name in names]
    assert len(set(branches)) == len(names)
    for branch in branches:
        subprocess.run(["git", "check-ref-format", f"refs/heads/{branch}"], check=True)
    assert branches[:2] == ["workspace/ann", "workspace/ann@example.org"]


def test_folders_that_cannot_be_synced_are_told_why(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plain").mkdir()
    with pytest.raises(InvalidInput, match="is in no Git repository: clone the project"):
        folder(tmp_path / "plain")
    run(tmp_path, "clone", "--quiet", "--depth=1", f"file://{tree}", "shallow")
    with pytest.raises(InvalidInput, match="is a shallow clone: run `git fetch --unshallow`"):
        folder(tmp_path / "shallow")
    monkeypatch.setattr("boathouse.environments.synced_folder.LARGEST_FILE", 1 << 10)
    (tree / "model.bin").write_bytes(b"\0" * 5_000)
    with pytest.raises(BoathouseError, match=r"model\.bin has .* name it in \.gitignore"):
        folder(tree).snapshot()


def test_folders_that_share_no_commit_are_not_mixed(workspaces: Workspaces, tree: Path, tmp_path: Path) -> None:
    sync(workspaces, tree)
    (tmp_path / "alien").mkdir()
    run(tmp_path / "alien", "init", "--quiet")
    (tmp_path / "alien" / "train.py").write_text("depth = 9\n")
    with pytest.raises(Conflict, match="shares no commit with the workspace"):
        sync(workspaces, tmp_path / "alien")
    assert (tmp_path / "alien" / "train.py").read_text() == "depth = 9\n"
