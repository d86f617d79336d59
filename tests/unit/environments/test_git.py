"""A bare repository, with the real git."""

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from boathouse.environments import FileChange, Repository, push
from boathouse.environments.checkouts import Checkouts
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound

ANN = "Ann Lee <ann@example.org>"


def run(directory: Path, *words: str) -> str:
    who = ("-c", "user.name=Ann Lee", "-c", "user.email=ann@example.org")
    done = subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def commit(tree: Path, **files: str) -> str:
    for name, text in files.items():
        path = tree / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run(tree, "add", "--all")
    run(tree, "commit", "--quiet", "-m", f"Change {', '.join(files)}")
    return run(tree, "rev-parse", "HEAD")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    path.mkdir()
    run(path, "init", "--quiet", "--initial-branch=main")
    commit(path, train="print('train')\n", src__features="weather\n")
    return path


@pytest.fixture
def repository(tmp_path: Path, tree: Path) -> Repository:
    made = Repository(tmp_path / "project.git").create()
    push(tree, made.path, "main")
    return made


def branch_with(tree: Path, repository: Repository, name: str, **files: str) -> str:
    run(tree, "checkout", "--quiet", "-b", name, "main")
    sha = commit(tree, **files)
    push(tree, repository.path, name)
    run(tree, "checkout", "--quiet", "main")
    return sha


def test_creating_twice_keeps_what_is_there(repository: Repository, tree: Path) -> None:
    repository.create()
    assert repository.branches() == {"main": run(tree, "rev-parse", "HEAD")}


def test_a_branch_a_tag_and_a_short_id_name_the_same_commit(repository: Repository, tree: Path) -> None:
    run(tree, "tag", "--annotate", "v1", "-m", "first")
    repository.fetch(str(tree))
    sha = run(tree, "rev-parse", "HEAD")
    assert {repository.head(ref) for ref in ("main", "v1", sha, sha[:8])} == {sha}


def test_a_missing_ref_is_named_with_the_branches_there_are(repository: Repository) -> None:
    repository.create_branch("release/1.0", "main")
    with pytest.raises(NotFound, match=r"'mian' .* the branches are: main, release/1\.0"):
        repository.head("mian")


@pytest.mark.parametrize(
    "ref", ["--upload-pack=touch", "a..b", "main~1", "main:train", "", "a b", "@{-1}", "x\0y"]
)
def test_what_is_no_name_is_refused(repository: Repository, ref: str) -> None:
    with pytest.raises(InvalidInput, match="not a name git allows"):
        repository.head(ref)


def test_a_branch_cannot_pose_as_a_full_commit_id(repository: Repository, tree: Path) -> None:
    first = repository.head("main")
    second = commit(tree, train="print('other')\n")
    push(tree, repository.path, f"HEAD:{first}")
    assert repository.head(first) == first != second


def test_fetching_follows_the_remote_even_backwards(repository: Repository, tree: Path) -> None:
    first = repository.head("main")
    commit(tree, train="print('worse')\n")
    push(tree, repository.path, "main")
    run(tree, "reset", "--quiet", "--hard", first)
    repository.fetch(str(tree))
    assert repository.head("main") == first


@pytest.mark.parametrize(
    "remote", ["https://example.org/x.git", "ext::sh -c touch% x", "ssh://example.org/x"]
)
def test_only_pinned_transports_are_used(repository: Repository, remote: str) -> None:
    with pytest.raises(InvalidInput, match="not allowed"):
        repository.fetch(remote)
    with pytest.raises(InvalidInput, match="'ext' is not allowed"):
        repository.fetch(remote, transports=("ext",))


def test_an_export_holds_the_files_of_the_commit_and_can_be_repeated(
    repository: Repository, tmp_path: Path
) -> None:
    there = tmp_path / "checkouts" / "one"
    repository.export("main", there)
    (there / "scratch").write_text("mine")
    repository.export("main", there)
    assert (there / "src" / "features").read_text() == "weather\n"
    assert (there / "scratch").exists()
    assert [path.name for path in there.parent.iterdir()] == ["one"]


def test_an_export_keeps_what_a_release_tarball_would_leave_out(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    (tree / ".gitattributes").write_text("tests export-ignore\nstamp export-subst\n")
    commit(tree, tests__test_a="assert True\n", stamp="$Format:%H$\n")
    push(tree, repository.path, "main")
    there = repository.export("main", tmp_path / "out")
    assert (there / "tests" / "test_a").exists()
    assert (there / "stamp").read_text() == "$Format:%H$\n"


def test_a_link_that_leaves_the_project_is_not_exported(
    repository: Repository, tree: Path, tmp_path: Path
) -> None:
    (tree / "secret").symlink_to("/etc/passwd")
    commit(tree, other="x")
    push(tree, repository.path, "main")
    with pytest.raises(InvalidInput, match="a link that leaves the project"):
        repository.export("main", tmp_path / "out" / "one")
    assert list((tmp_path / "out").iterdir()) == []


def test_exports_at_the_same_time_agree(repository: Repository, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: repository.export("main", tmp_path / "out" / "one"), range(4)))
    assert set(places) == {tmp_path / "out" / "one"}
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["one"]


def test_a_file_of_a_commit_is_shown_as_it_is(repository: Repository) -> None:
    assert repository.show("main", "train") == b"print('train')\n"
    with pytest.raises(NotFound, match="has no file 'no/such'"):
        repository.show("main", "no/such")


def test_the_log_is_newest_first(repository: Repository, tree: Path) -> None:
    sha = commit(tree, train="print('second')\n")
    push(tree, repository.path, "main")
    newest, oldest = repository.log("main", limit=10)
    assert (newest.sha, newest.author, newest.email) == (sha, "Ann Lee", "ann@example.org")
    assert newest.parents == (oldest.sha,)
    assert newest.subject == "Change train"
    assert newest.time.utcoffset() is not None


def test_a_merge_is_a_commit_that_moves_no_branch(repository: Repository, tree: Path) -> None:
    main = repository.head("main")
    feature = branch_with(tree, repository, "wind", wind="gusts\n")
    merged = repository.merge_commit("main", "wind", "Merge wind\n\nWith gusts.", ANN)
    assert repository.head("main") == main
    (made, *_) = repository.log(merged)
    assert made.parents == (main, feature)
    assert (made.subject, made.author) == ("Merge wind", "Ann Lee")
    assert repository.show(merged, "wind") == b"gusts\n"


def test_merging_what_is_already_there_makes_no_commit(repository: Repository) -> None:
    repository.create_branch("same", "main")
    assert repository.merge_commit("main", "same", "Merge", ANN) == repository.head("main")


def test_a_conflict_lists_the_files(repository: Repository, tree: Path) -> None:
    branch_with(tree, repository, "a", train="a\n", src__features="a\n", free="a\n")
    commit(tree, train="b\n", src__features="b\n")
    push(tree, repository.path, "main")
    with pytest.raises(Conflict, match="src/features, train") as caught:
        repository.merge_commit("main", "a", "Merge a", ANN)
    assert caught.value.details["files"] == ["src/features", "train"]


def test_another_project_of_the_same_name_is_not_merged(repository: Repository, tree: Path) -> None:
    run(tree, "checkout", "--quiet", "--orphan", "another")
    commit(tree, train="print('another')\n")
    push(tree, repository.path, "another")
    with pytest.raises(Conflict, match="shares no commit with main of the project 'project'"):
        repository.merge_commit("main", "another", "Merge another", ANN)


@pytest.mark.parametrize(
    ("author", "email"),
    [("ann", "ann@localhost"), ("ann@example.org", "ann@example.org"), (ANN, "ann@example.org")],
)
def test_a_principal_can_be_the_author(repository: Repository, tree: Path, author: str, email: str) -> None:
    branch_with(tree, repository, "wind", wind="gusts\n")
    merged = repository.merge_commit("main", "wind", "Merge", author)
    assert repository.log(merged, limit=1)[0].email == email
    with pytest.raises(InvalidInput, match="is not an author"):
        repository.merge_commit("main", "wind", "Merge", "Ann\nGit-Trick: <x>")


def test_a_branch_moves_only_from_where_it_was_seen(repository: Repository, tree: Path) -> None:
    old, new = repository.head("main"), branch_with(tree, repository, "wind", wind="gusts\n")
    repository.update_ref("main", new, old)
    assert repository.head("main") == new
    with pytest.raises(Conflict, match=f"expected at {old[:7]} but is at {new[:7]}"):
        repository.update_ref("main", old, old)
    with pytest.raises(Conflict, match="is gone"):
        repository.update_ref("nowhere", new, old)


def test_of_two_movers_one_wins(repository: Repository, tree: Path) -> None:
    old = repository.head("main")
    heads = [branch_with(tree, repository, name, file=name) for name in ("a", "b")]

    def move(sha: str) -> bool:
        try:
            repository.update_ref("main", sha, old)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(move, heads)) == [False, True]


def test_a_branch_is_created_once(repository: Repository) -> None:
    assert repository.create_branch("release/1.0", "main") == repository.head("release/1.0")
    with pytest.raises(AlreadyExists, match=r"release/1\.0 already exists"):
        repository.create_branch("release/1.0", "main")
    with pytest.raises(InvalidInput, match="not a name git allows"):
        repository.create_branch("-d", "main")


def test_the_diff_counts_lines_since_the_branch_left(repository: Repository, tree: Path) -> None:
    branch_with(tree, repository, "wind", train="one\ntwo\n", blob="\0\1")
    commit(tree, unrelated="x\n")
    push(tree, repository.path, "main")
    assert repository.diff_stat("main", "wind") == (FileChange("blob", None, None), FileChange("train", 2, 1))


def test_a_branch_contains_its_ancestors_only(repository: Repository, tree: Path) -> None:
    first = repository.head("main")
    second = branch_with(tree, repository, "wind", wind="gusts\n")
    assert repository.contains("wind", first)
    assert not repository.contains("main", second)


def test_the_callers_git_variables_do_not_leak_in(
    repository: Repository, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tree / ".git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")
    repository.create_branch("here", "main")
    assert "here" not in Repository(tree).branches()


def test_checkouts_that_nobody_asked_for_go_and_what_was_cut_off(repository: Repository, tree: Path, tmp_path: Path) -> None:
    checkouts = Checkouts(tmp_path / "checkouts")
    commits = [commit(tree, train=f"print({number})\n") for number in range(4)]
    push(tree, repository.path, "main")
    old, needed, fresh, asked = places = [checkouts.make(repository, "shop", sha) for sha in commits]
    (left := tmp_path / "checkouts" / "shop" / f".{commits[0]}-abcd").mkdir()  # a killed export's
    long_ago = time.time() - timedelta(days=31).total_seconds()
    for place in (old, needed, asked, left):
        os.utime(place, (long_ago, long_ago))
    checkouts.make(repository, "shop", commits[3])
    assert checkouts.prune(timedelta(days=30), {("shop", commits[1])}) == [old]
    assert [place.exists() for place in places] == [False, True, True, True]
    assert not left.exists()
    assert (checkouts.make(repository, "shop", commits[0]) / "train").read_text() == "print(0)\n"
    assert fresh.parent == asked.parent
