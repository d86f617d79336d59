"""The server's own copy of a project's code: a bare git repository, read and moved without a working tree."""

import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from boathouse.environments.git_command import check_branch, command_line, git, git_environment
from boathouse.errors import AlreadyExists, Conflict, InvalidInput, NotFound

WORKSPACE = "workspace/"
"""How the names of people's workspace branches begin, which `boathouse sync` alone moves."""
_FULL_SHA = re.compile(r"^(?:[0-9a-f]{40}|[0-9a-f]{64})$")
_SHORT_SHA = re.compile(r"^[0-9a-f]{4,63}$")
_AUTHOR = re.compile(r"^(?P<name>[^<>\n]+?) <(?P<email>[^<>\s]+)>$")
_FIELDS = "%H%x1f%P%x1f%an%x1f%ae%x1f%ct%x1f%s"


@dataclass(frozen=True)
class Commit:
    """One commit of a log; `time` is when it was committed, UTC."""

    sha: str
    parents: tuple[str, ...]
    author: str
    email: str
    time: datetime
    subject: str


@dataclass(frozen=True)
class FileChange:
    """Lines added to and deleted from one file; both are None for a binary file."""

    path: str
    added: int | None
    deleted: int | None


@dataclass(frozen=True)
class Repository:
    """A bare repository at `path`. Only `update_ref`, `create_branch` and `fetch` move what others see."""

    path: Path

    def create(self) -> "Repository":
        """Make the repository, all or nothing, where there is none yet; its first branch is `main`."""
        if self.path.exists():
            return self
        with _made_beside(self.path) as fresh:
            git(fresh, "init", "--bare", "--quiet", "--template=", "--initial-branch=main", ".")
            # A checkout holds every file of its commit, also those a release tarball would leave out.
            attributes = fresh / "info" / "attributes"
            attributes.parent.mkdir(exist_ok=True)
            attributes.write_text("* -export-ignore -export-subst\n")
        return self

    def head(self, ref: str) -> str:
        """The full id of the commit that a branch, a tag or a (short) commit id names.

        Raises NotFound, naming the branches there are.
        """
        for candidate in self._meanings(ref):
            found = git(
                self.path, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}",
                accepted=(0, 1, 128),
            )  # fmt: skip
            if found.code == 0:
                return found.text
        branches = ", ".join(self.branches())
        hint = f"the branches are: {branches}" if branches else "it is empty: `boathouse requests open` on a branch fills it"
        raise NotFound(f"no branch, tag or commit {ref!r} in the server's copy of {self.path.stem}; {hint}", ref=ref)

    def branches(self) -> dict[str, str]:
        """Every branch and the commit at its head, in order of name."""
        lines = git(self.path, "for-each-ref", "--format=%(refname)%00%(objectname)", "refs/heads/").text
        pairs = (line.split("\0") for line in lines.splitlines())
        return {name.removeprefix("refs/heads/"): sha for name, sha in pairs}

    def fetch(self, remote: str, *, transports: Collection[str] = ("file",),
              extra: Mapping[str, str] | None = None) -> None:  # fmt: skip
        """Take over every branch but workspaces, and every tag, of `remote`, a local path, or a URL of an allowed transport.

        `extra` is added to git's environment. No redirect is followed.

        Raises InvalidInput with git's words when the remote cannot be read or its transport is not allowed.
        """
        git(
            self.path, "-c", "http.followRedirects=false", "fetch", "--quiet", "--no-write-fetch-head", "--no-recurse-submodules",
            "--end-of-options", remote, "+refs/heads/*:refs/heads/*", f"^refs/heads/{WORKSPACE}*", "+refs/tags/*:refs/tags/*",
            transports=transports, extra=extra, timeout=900,
        )  # fmt: skip

    def keep(self, commit: str, directory: Path) -> None:
        """Have a commit stay, whatever becomes of its branch; one that is missing here comes from a working tree.

        Raises InvalidInput where the tree does not have it at its head.
        """
        kept = f"refs/kept/{commit}"
        if git(self.path, "cat-file", "-e", f"{commit}^{{commit}}", accepted=(0, 1, 128)).code == 0:
            git(self.path, "update-ref", kept, commit)
            return
        git(self.path, "fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules",
            "--end-of-options", git(directory, "rev-parse", "--show-toplevel").text, f"HEAD:{kept}")  # fmt: skip

    def export(self, commit: str, directory: Path) -> Path:
        """Write the files of a commit to `directory`, all or nothing; where it exists it is left as it is.

        Raises NotFound, and InvalidInput when the commit holds a link that leaves the directory.
        """
        sha = self.head(commit)
        if directory.exists():
            return directory
        with _made_beside(directory) as fresh:
            self._unpack(sha, fresh)
        return directory

    def show(self, commit: str, path: str) -> bytes:
        """One file of a commit. Raises NotFound."""
        sha = self.head(commit)
        found = git(self.path, "cat-file", "blob", f"{sha}:{path}", accepted=(0, 128))
        if found.code:
            raise NotFound(f"commit {sha[:7]} has no file {path!r}", commit=sha, path=path)
        return found.output

    def log(self, ref: str, limit: int = 50) -> tuple[Commit, ...]:
        """The newest commits that `ref` holds, newest first. Raises NotFound."""
        lines = git(
            self.path, "log", "-z", f"--format={_FIELDS}", f"--max-count={limit}", self.head(ref)
        ).text
        return tuple(_commit(line) for line in lines.split("\0") if line)

    def merge_commit(self, base_ref: str, branch_ref: str, message: str, author: str) -> str:
        """Commit the merge of a branch into a base, and move no branch: `update_ref` does that.

        `author` is "Name <address>" or the name of a principal. Where the base already holds the branch,
        its head is the answer.
        Raises Conflict, naming the files, when the two changed the same lines, and when they share no commit.
        """
        base, branch = self.head(base_ref), self.head(branch_ref)
        if self.contains(base, branch):
            return base
        if git(self.path, "merge-base", base, branch, accepted=(0, 1)).code:
            raise Conflict(
                f"{branch_ref} shares no commit with {base_ref} of the project {self.path.stem!r} that is known "
                f"here: work in a clone of {self.path}, or give your project another name in boathouse.yml"
            )
        name, email = author_of(author)
        merged = git(
            self.path, "merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", base, branch,
            accepted=(0, 1),
        )  # fmt: skip
        tree, *files = merged.text.rstrip("\0").split("\0")
        if merged.code:
            names = ", ".join(files)
            raise Conflict(
                f"{branch_ref} conflicts with {base_ref} in: {names}; merge {base_ref} into it first",
                files=files,
            )
        identity = {"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": email}
        return git(
            self.path, "commit-tree", tree, "-p", base, "-p", branch, stdin=message.encode(), extra=identity
        ).text

    def update_ref(self, branch: str, new: str, expected_old: str | None) -> None:
        """Move a branch from `expected_old` (None: it must not exist) to `new`, or not at all.

        Raises Conflict when the branch is somewhere else by now, NotFound when `new` is no commit here.
        """
        name = check_branch(branch)
        sha = self.head(new)
        nowhere = "0" * len(sha)
        moved = git(
            self.path, "update-ref", "--no-deref", "--end-of-options", f"refs/heads/{name}", sha,
            expected_old or nowhere,
            accepted=(0, 1, 128),
        )  # fmt: skip
        if moved.code == 0:
            return
        current = self.branches().get(name)
        if current != expected_old:
            where = f"at {current[:7]}" if current else "gone"
            expected = f"at {expected_old[:7]}" if expected_old else "not there yet"
            raise Conflict(f"branch {name} was expected {expected} but is {where}: read it again and retry")
        raise InvalidInput(f"branch {name} cannot be moved: {moved.error}")

    def create_branch(self, name: str, commit: str) -> str:
        """A new branch at a commit; the answer is the commit's full id. Raises AlreadyExists, NotFound."""
        sha = self.head(commit)
        try:
            self.update_ref(name, sha, None)
        except Conflict as error:
            raise AlreadyExists(f"branch {name} already exists: choose another name") from error
        return sha

    def diff_stat(self, base_ref: str, branch_ref: str) -> tuple[FileChange, ...]:
        """What a branch changed since it left the base, file by file. Raises NotFound."""
        between = f"{self.head(base_ref)}...{self.head(branch_ref)}"
        lines = git(self.path, "diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", between).text
        return tuple(_file_change(line) for line in lines.split("\0") if line)

    def contains(self, ref: str, commit: str) -> bool:
        """Whether `ref` is, or descends from, the commit. Raises NotFound."""
        older, newer = self.head(commit), self.head(ref)
        return git(self.path, "merge-base", "--is-ancestor", older, newer, accepted=(0, 1)).code == 0

    def _meanings(self, ref: str) -> list[str]:
        if _FULL_SHA.match(ref):
            return [ref]
        check_branch(ref)
        named = [f"refs/heads/{ref}", f"refs/tags/{ref}"]
        return [*named, ref] if _SHORT_SHA.match(ref) else named

    def _unpack(self, sha: str, directory: Path) -> None:
        with subprocess.Popen(
            command_line("archive", "--format=tar", sha),
            cwd=self.path,
            env=git_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as archive:
            assert archive.stdout is not None
            try:
                with tarfile.open(fileobj=archive.stdout, mode="r|") as files:
                    files.extractall(directory, filter="data")
            except tarfile.FilterError as error:
                raise InvalidInput(
                    f"commit {sha[:7]} holds a link that leaves the project: {error}"
                ) from error
            finally:
                archive.stdout.read()
        if archive.returncode:
            raise InvalidInput(f"`git archive` failed for commit {sha[:7]} in {self.path}")


@contextmanager
def _made_beside(place: Path) -> Iterator[Path]:
    """A new folder that takes its place once it is whole; where another process was first, that one's stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        os.rename(fresh, place)
    except OSError:
        if not place.exists():
            raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def author_of(author: str) -> tuple[str, str]:
    """Name and address of "Name <address>", or of a principal's name. Raises InvalidInput."""
    if found := _AUTHOR.match(author):
        return found["name"], found["email"]
    if not author.strip() or set(author) & set("<>\n\0"):
        raise InvalidInput(f"{author!r} is not an author: write it as 'Name <name@example.org>'")
    return author, author if "@" in author else f"{author}@localhost"


def _commit(line: str) -> Commit:
    sha, parents, author, email, time, subject = line.split("\x1f")
    return Commit(sha, tuple(parents.split()), author, email, datetime.fromtimestamp(int(time), UTC), subject)


def _file_change(line: str) -> FileChange:
    added, deleted, path = line.split("\t", 2)
    return FileChange(path, *(None if count == "-" else int(count) for count in (added, deleted)))
