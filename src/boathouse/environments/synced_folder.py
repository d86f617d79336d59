"""A person's folder beside a workspace: what it holds as a commit, merged with another, and changed to a third.

The person's own branch and index are never touched. A folder remembers, as a reference of its own working tree, the
commit that it last agreed with; that moves only once the folder holds what the commit says, so that a sync that is cut
off is taken up by the next.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from filelock import FileLock, Timeout

from boathouse.environments.git import author_of
from boathouse.environments.git_command import Answer, git
from boathouse.errors import Conflict, InvalidInput

LARGEST_FILE = 50 << 20
"""Bytes of one new file."""
_SUBJECT = "Sync"


class Moved(Exception):
    """Files of the folder changed while it was synced."""


@dataclass(frozen=True)
class Merge:
    """Two commits made one. In `clashes` (path, blob) both changed the same lines: the commit has the folder's side.

    `kept` are files that one side changed and the other deleted: the change stays.
    """

    commit: str
    clashes: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()


def ready(folder: Path) -> None:
    """Make an empty folder that is in no Git repository one, so that a project can come into it."""
    if not any(folder.iterdir()) and git(folder, "rev-parse", "--git-dir", accepted=(0, 128)).code:
        git(folder, "init", "--quiet", "--initial-branch=main", users_configuration=True)


class SyncedFolder:
    """The working tree that holds `folder`, beside one workspace, which `place` tells from all others."""

    def __init__(self, folder: Path, place: str, author: str) -> None:
        """`author` is the principal who commits. Raises InvalidInput without a Git repository, or with half a history."""
        asked = git(folder, "rev-parse", "--show-toplevel", "--absolute-git-dir", "--is-shallow-repository",
                    users_configuration=True, accepted=(0, 128))  # fmt: skip
        if asked.code:
            raise InvalidInput(f"{folder} is in no Git repository: clone the project, or run `git init` here ({asked.error})")
        root, private, shallow = asked.text.splitlines()
        if shallow == "true":
            raise InvalidInput(f"{root} is a shallow clone: run `git fetch --unshallow` first")
        key = sha256(place.encode()).hexdigest()[:16]
        self.root = Path(root)
        self.reference = f"refs/worktree/boathouse/{key}"
        name, email = author_of(author)
        self._author = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email}
        self._own = Path(private, "boathouse")
        self._own.mkdir(exist_ok=True)
        self._index = self._own / f"{key}.index"
        self._clashes = self._own / f"{key}.clashes.json"
        self._lock = FileLock(self._own / f"{key}.lock")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Only one sync at a time. Raises Conflict."""
        try:
            with self._lock.acquire(timeout=20):
                for left in self._own.glob("*.index.lock"):  # by a sync that was killed
                    left.unlink()
                yield
        except Timeout as error:
            raise Conflict(f"another sync of {self.root} is going on") from error

    @property
    def agreed(self) -> str | None:
        """The commit that the folder last agreed with."""
        return self._commit(self.reference)

    @property
    def head(self) -> str | None:
        """The commit that the person's own branch stands on."""
        return self._commit("HEAD")

    def heads(self, limit: int = 100) -> list[str]:
        """Commits that are here: what was agreed on, the person's own branch, then all branches."""
        lines = self._git("for-each-ref", f"--count={limit}", "--format=%(objectname)", "refs/heads/", "refs/remotes/").text
        return list(dict.fromkeys(c for c in (self.agreed, self.head, *lines.split()) if c))

    def unsettled(self) -> list[tuple[str, str]]:
        """(file, the other side's copy) of earlier clashes whose copies still lie in the folder."""
        found = json.loads(self._clashes.read_text()) if self._clashes.exists() else []
        return [(path, copy) for path, copy in found if os.path.lexists(self.root / copy)]

    def snapshot(self) -> str:
        """All files that Git does not ignore, as a commit after what was agreed on and the person's own.

        Raises InvalidInput for files that are too large.
        """
        agreed, head = self.agreed, self.head
        if not self._index.exists() and (start := agreed or head):
            self._git("read-tree", start)
        settling = [copy for _, copy in self.unsettled()]
        self._check_sizes(settling)
        self._git("add", "--all", "--", ":/", *(f":(top,literal,exclude){copy}" for copy in settling))
        if forced := self._ignored_but_tracked():
            named = "\0".join(f":(top,literal){name}" for name in forced)
            self._git("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul", stdin=os.fsencode(named))
        tree = self._git("write-tree").text
        behind = [agreed] if agreed else []
        if head and not (agreed and self._holds(agreed, head)):
            behind.append(head)
        if len(behind) == 1 and self._tree(behind[0]) == tree:
            return behind[0]
        return self._committed(tree, behind)

    def agree(self, commit: str) -> None:
        """Remember a commit as what the folder holds."""
        self._git("update-ref", "--end-of-options", self.reference, commit)

    def holds(self, commit: str, other: str) -> bool:
        """Whether a commit is, or descends from, another."""
        return self._holds(commit, other)

    @property
    def bare(self) -> bool:
        """Whether it holds nothing yet: no commit, and no file."""
        return not (self.head or self.agreed or any(path.name != ".git" for path in self.root.iterdir()))

    def begin(self, own: str, now: str) -> None:
        """Fill a bare folder: the person's own branch stands on one commit, and the files are those of another."""
        self._git("update-ref", "HEAD", own)
        git(self.root, "read-tree", own, users_configuration=True)
        self._git("read-tree", "-m", "-u", now)
        self.agree(now)

    def merge(self, ours: str, theirs: str) -> Merge:
        """Both commits as one. Raises Conflict when they share no commit, InvalidInput for a git older than 2.38."""
        if self._holds(ours, theirs):
            return Merge(ours)
        if self._holds(theirs, ours):
            return Merge(theirs)
        if git(self.root, "merge-base", ours, theirs, accepted=(0, 1)).code:
            raise Conflict(f"{self.root} shares no commit with the workspace: sync a clone of the project instead")
        merged = self._git("merge-tree", "--write-tree", "--no-messages", "-z", ours, theirs, accepted=(0, 1, 128, 129))
        if merged.code > 1:
            raise InvalidInput(f"git could not merge the workspace; it takes git 2.38 or newer ({merged.error.splitlines()[0]})")
        tree, *lines = _split(merged)
        stages: dict[str, dict[str, str]] = {}
        for line in lines:
            about, path = line.split("\t", 1)
            mode, blob, stage = about.split(" ")
            stages.setdefault(path, {})[stage] = f"{mode} {blob}"
        if stages:
            tree = self._without_marks(tree, stages)
        clashes = tuple((path, s["3"].split(" ")[1]) for path, s in stages.items() if {"2", "3"} <= set(s))
        kept = tuple(path for path, s in stages.items() if set(s) in ({"1", "2"}, {"1", "3"}))
        return Merge(self._committed(tree, [ours, theirs]), clashes, kept)

    def become(self, now: str, merge: Merge) -> list[tuple[str, str]]:
        """Change the folder from the commit `now`, which it holds, to a merge.

        (file, copy) of each clash: the other side's file lies beside the folder's own, as `<file>.theirs`. Raises Moved when
        files are not as `now` says any more, and Conflict for ignored files that are in the way; then nothing has changed.
        """
        self._check_in_the_way(now, merge.commit)
        if now != merge.commit:
            done = self._git("read-tree", "-m", "-u", now, merge.commit, accepted=(0, 128))
            if done.code:
                raise Moved(done.error)
        copies = [(path, self._copy_name(path)) for path, _ in merge.clashes]
        if copies:
            self._clashes.write_text(json.dumps(copies))
        for (path, copy), (_, blob) in zip(copies, merge.clashes, strict=True):
            content = self._git("cat-file", "--filters", f"--path={path}", blob).output
            (self.root / copy).parent.mkdir(parents=True, exist_ok=True)
            (self.root / copy).write_bytes(content)
        self.agree(merge.commit)
        return copies

    def changes(self, before: str | None, after: str) -> list[tuple[str, str]]:
        """("added", "changed" or "deleted", path) of each file between two commits, or of all files of one."""
        if before is None:
            return [("added", name) for name in _split(self._git("ls-tree", "-r", "-z", "--name-only", "--full-tree", after))]
        words = _split(self._git("diff-tree", "-r", "-z", "--no-renames", "--name-status", before, after))
        return [(_WORDS.get(kind, "changed"), path) for kind, path in zip(words[::2], words[1::2], strict=True)]

    def _check_sizes(self, left_out: list[str]) -> None:
        changed = _split(self._git("ls-files", "--others", "--modified", "--exclude-standard", "-z"))
        for name in {*changed} - {*left_out}:
            path = self.root / name
            if not path.is_symlink() and path.is_file() and (size := path.stat().st_size) > LARGEST_FILE:
                raise InvalidInput(f"{name} has {size >> 20} MB, and a sync takes files up to {LARGEST_FILE >> 20} MB: "
                                   f"name it in .gitignore and put it into a volume")  # fmt: skip

    def _check_in_the_way(self, now: str, after: str) -> None:
        there = [p for kind, p in self.changes(now, after) if kind == "added" and os.path.lexists(self.root / p)]
        if not there:
            return
        asked = os.fsencode("\0".join(there))
        if ignored := _split(self._git("check-ignore", "-z", "--stdin", "--no-index", stdin=asked, accepted=(0, 1))):
            names = ", ".join(ignored)
            raise Conflict(f"{names} of the workspace would replace what Git ignores here: move it away and sync again")

    def _ignored_but_tracked(self) -> list[str]:
        """Files that Git would ignore had the person not added them."""
        asked = git(self.root, "ls-files", "--cached", "--ignored", "--exclude-standard", "-z", users_configuration=True)
        return [name for name in _split(asked) if os.path.lexists(self.root / name)]

    def _copy_name(self, path: str) -> str:
        names = (f"{path}.theirs{ending}" for ending in ("", *(f"-{number}" for number in range(2, 1000))))
        return next(name for name in names if not os.path.lexists(self.root / name))

    def _without_marks(self, tree: str, stages: dict[str, dict[str, str]]) -> str:
        """A merge's tree with the folder's own side of each clash in place of git's conflict markers."""
        scratch = self._own / f"{os.getpid()}.merge.index"
        own = {"GIT_INDEX_FILE": str(scratch)}
        lines = []
        for path, sides in stages.items():
            side = sides.get("2") or sides.get("3")
            lines.append(f"{side}\t{path}" if side else f"0 {'0' * len(tree)}\t{path}")
        try:
            self._git("read-tree", tree, extra=own)
            self._git("update-index", "-z", "--index-info", stdin=os.fsencode("\0".join(lines)), extra=own)
            return self._git("write-tree", extra=own).text
        finally:
            scratch.unlink(missing_ok=True)

    def _committed(self, tree: str, parents: list[str]) -> str:
        named = [word for parent in parents for word in ("-p", parent)]
        return self._git("commit-tree", tree, *named, stdin=_SUBJECT.encode(), extra=self._author).text

    def _tree(self, commit: str) -> str:
        return self._git("rev-parse", "--verify", "--end-of-options", f"{commit}^{{tree}}").text

    def _holds(self, commit: str, other: str) -> bool:
        return self._git("merge-base", "--is-ancestor", other, commit, accepted=(0, 1)).code == 0

    def _commit(self, name: str) -> str | None:
        found = self._git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", accepted=(0, 1, 128))
        return found.text or None if found.code == 0 else None

    def _git(self, *words: str, stdin: bytes = b"", extra: dict[str, str] | None = None,
             accepted: tuple[int, ...] = (0,)) -> Answer:  # fmt: skip
        own = {"GIT_INDEX_FILE": str(self._index), **(extra or {})}
        return git(self.root, *words, stdin=stdin, extra=own, users_configuration=True, accepted=accepted)


def _split(answer: Answer) -> list[str]:
    """The words of an answer between which NUL stands, as names of files."""
    return [os.fsdecode(word) for word in answer.output.split(b"\0") if word]


_WORDS = {"A": "added", "D": "deleted"}
