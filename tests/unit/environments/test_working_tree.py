"""What is known of a user's own working tree."""

import subprocess
from pathlib import Path

import pytest

from boathouse.environments import GitFacts, Repository, apply_diff, bring, holds, push, working_tree_facts
from boathouse.errors import Conflict, InvalidInput


def run(directory: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
    done = subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    (path / "train.py").write_text("depth = 3\n")
    (path / ".gitignore").write_text("data/\n")
    run(path, "add", "--all")
    run(path, "commit", "--quiet", "-m", "Start")
    return path


def test_a_clean_tree_is_its_commit(tree: Path) -> None:
    facts = working_tree_facts(tree)
    assert facts == GitFacts(run(tree, "rev-parse", "HEAD"), "main", dirty=False, diff="", origin_url=None)


def test_ignored_files_do_not_make_it_dirty(tree: Path) -> None:
    (tree / "data").mkdir()
    (tree / "data" / "big.csv").write_text("1\n")
    assert not working_tree_facts(tree).dirty


def test_the_diff_rebuilds_a_dirty_tree_new_files_included(tree: Path, tmp_path: Path) -> None:
    (tree / "train.py").write_text("depth = 4\n")
    (tree / "new dir").mkdir()
    (tree / "new dir" / "wind é.py").write_text("gusts = True\n")
    facts = working_tree_facts(tree / "new dir")
    assert facts.dirty
    run(tmp_path, "clone", "--quiet", "tree", "again")
    subprocess.run(["git", "apply"], cwd=tmp_path / "again", input=facts.diff.encode(), check=True)
    assert (tmp_path / "again" / "train.py").read_text() == "depth = 4\n"
    assert (tmp_path / "again" / "new dir" / "wind é.py").read_text() == "gusts = True\n"


def test_looking_writes_nothing_into_the_users_repository(tree: Path) -> None:
    (tree / "new.py").write_text("x = 1\n")
    before, objects = run(tree, "status", "--porcelain"), sorted((tree / ".git" / "objects").rglob("*"))
    assert "new.py" in working_tree_facts(tree).diff
    assert sorted((tree / ".git" / "objects").rglob("*")) == objects
    assert run(tree, "status", "--porcelain") == before == "?? new.py"


def test_a_large_new_file_makes_it_dirty_without_entering_the_diff(tree: Path) -> None:
    (tree / "model.bin").write_bytes(b"\0" * 1_500_000)
    facts = working_tree_facts(tree)
    assert facts.dirty
    assert facts.diff == ""


def test_a_password_in_the_origin_is_not_repeated(tree: Path) -> None:
    run(tree, "remote", "add", "origin", "https://ann:token@example.org:8443/flights.git")
    assert working_tree_facts(tree).origin_url == "https://example.org:8443/flights.git"
    run(tree, "remote", "set-url", "origin", "git@example.org:ann/flights.git")
    assert working_tree_facts(tree).origin_url == "git@example.org:ann/flights.git"


def test_a_folder_without_a_repository_has_no_commit_and_is_dirty(tmp_path: Path) -> None:
    assert working_tree_facts(tmp_path) == GitFacts(None, None, dirty=True, diff="", origin_url=None)


def test_a_repository_without_a_commit_is_dirty(tmp_path: Path) -> None:
    run(tmp_path, "init", "--quiet", "--initial-branch=main")
    assert working_tree_facts(tmp_path) == GitFacts(None, "main", dirty=True)


def test_a_detached_head_has_a_commit_and_no_branch(tree: Path) -> None:
    run(tree, "checkout", "--quiet", "--detach")
    facts = working_tree_facts(tree)
    assert facts.commit
    assert facts.branch is None


def test_a_push_creates_and_advances_a_branch(tree: Path, tmp_path: Path) -> None:
    there = Repository(tmp_path / "project.git").create()
    push(tree, there.path, "HEAD:requests/7")
    run(tree, "commit", "--quiet", "--allow-empty", "-m", "More")
    push(tree, there.path, "main:requests/7")
    assert there.branches() == {"requests/7": run(tree, "rev-parse", "HEAD")}


def test_a_push_never_overwrites(tree: Path, tmp_path: Path) -> None:
    there = Repository(tmp_path / "project.git").create()
    push(tree, there.path, "main")
    run(tree, "commit", "--quiet", "--amend", "-m", "Another start")
    with pytest.raises(Conflict, match="branch main moved on"):
        push(tree, there.path, "main")
    with pytest.raises(InvalidInput, match="asks to overwrite a branch"):
        push(tree, there.path, "+main:main")


def test_a_push_of_an_unknown_branch_says_so(tree: Path, tmp_path: Path) -> None:
    there = Repository(tmp_path / "project.git").create()
    with pytest.raises(InvalidInput, match="has no branch mian with a commit to push"):
        push(tree, there.path, "mian")


def test_a_commit_of_a_tree_is_kept_and_its_changes_apply_to_it(tree: Path, tmp_path: Path) -> None:
    commit = run(tree, "rev-parse", "HEAD")
    (tree / "train.py").write_text("depth = 4\n")
    (tree / "new.py").write_text("new = True\n")
    facts = working_tree_facts(tree)
    bare = Repository(tmp_path / "bare.git").create()
    bare.keep(commit, tree)
    bare.keep(commit, tree)
    run(tree, "commit", "--quiet", "--all", "--amend", "-m", "Another history")
    folder = bare.export(commit, tmp_path / "again")
    apply_diff(folder, facts.diff.encode())
    assert (folder / "train.py").read_text() == "depth = 4\n"
    assert (folder / "new.py").exists()
    with pytest.raises(InvalidInput, match="apply"):
        apply_diff(folder, facts.diff.encode())


def test_a_push_of_a_branch_without_a_commit_says_to_commit(tmp_path: Path) -> None:
    run(tmp_path, "init", "--quiet", "--initial-branch=main")
    there = Repository(tmp_path / "there.git").create()
    with pytest.raises(InvalidInput, match="has no branch main with a commit to push: commit there first"):
        push(tmp_path, there.path, "refs/heads/main:refs/heads/main")


def test_a_push_from_a_shallow_clone_says_how_to_complete_it(tree: Path, tmp_path: Path) -> None:
    (tree / "train.py").write_text("depth = 4\n")
    run(tree, "commit", "--quiet", "-am", "Deeper")
    run(tmp_path, "clone", "--quiet", "--depth=1", tree.as_uri(), "shallow")
    there = Repository(tmp_path / "there.git").create()
    with pytest.raises(InvalidInput, match="git fetch --unshallow"):
        push(tmp_path / "shallow", there.path, "main")


def test_a_branch_is_brought_where_nothing_is_overwritten(tree: Path, tmp_path: Path) -> None:
    run(tmp_path, "clone", "--quiet", "--bare", "tree", "server.git")
    run(tmp_path, "clone", "--quiet", "server.git", "other")
    (tmp_path / "other" / "train.py").write_text("depth = 5\n")
    run(tmp_path / "other", "commit", "--quiet", "--all", "-m", "Deeper")
    run(tmp_path / "other", "push", "--quiet", "origin", "main")
    newest, server = run(tmp_path / "other", "rev-parse", "HEAD"), tmp_path / "server.git"
    assert not holds(tree, newest)
    assert not bring(tree, server, "main")  # checked out
    run(tree, "switch", "--quiet", "--create", "work")
    assert bring(tree, server, "main")
    assert (run(tree, "rev-parse", "main"), holds(tree, newest)) == (newest, True)
    run(tree, "commit", "--quiet", "--allow-empty", "-m", "Of our own")
    run(tree, "branch", "--quiet", "--force", "main", "work~0")
    run(tree, "switch", "--quiet", "--create", "more")
    assert not bring(tree, server, "main")  # it has another commit
    assert not holds(tmp_path, newest)
