"""A user's own working tree: which commit it stands on, what was changed since, and how to hand it over."""

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from boathouse.environments.git_command import check_branch, git
from boathouse.environments.packs import beside
from boathouse.errors import Conflict, InvalidInput

LARGEST_DIFF = 2_000_000
LARGEST_NEW_FILE = 1_000_000
_SHA = re.compile(r"^[0-9a-f]{40,64}$")


@dataclass(frozen=True)
class GitFacts:
    """Where code stands. Without a commit it counts as dirty: no commit describes it.

    `diff` applies to the commit with `git apply`; it holds new files up to 1 MB and is cut at 2 MB.
    `origin_url` is without the user and password that may stand in it.
    """

    commit: str | None = None
    branch: str | None = None
    dirty: bool = True
    diff: str = ""
    origin_url: str | None = None


def working_tree_facts(directory: Path) -> GitFacts:
    """The facts of the repository that holds `directory`; all empty where there is none."""
    top = _ask(directory, "rev-parse", "--show-toplevel")
    if not top:
        return GitFacts()
    root = Path(top)
    commit = _ask(root, "rev-parse", "--verify", "--quiet", "HEAD")
    status = _ask(root, "status", "--porcelain", "--untracked-files=all", "--ignore-submodules=none")
    origin = _ask(root, "config", "--get", "remote.origin.url")
    return GitFacts(
        commit=commit or None,
        branch=_ask(root, "symbolic-ref", "--quiet", "--short", "HEAD") or None,
        dirty=bool(status) or not commit,
        diff=_diff(root) if commit and status else "",
        origin_url=_without_credentials(origin) if origin else None,
    )


def push(directory: Path, repository_path: Path, refspec: str) -> None:
    """Push `source:branch` (or one branch's name) of a working tree to a repository on this machine.

    Nothing is ever overwritten: raises Conflict when the branch there has commits that are missing here,
    InvalidInput when the refspec or the repository is not one.
    """
    source, _, branch = refspec.partition(":")
    branch = (branch or source).removeprefix("refs/heads/")
    if source.startswith("+"):
        raise InvalidInput(
            f"{refspec!r} asks to overwrite a branch, which a push never does: leave out the '+'"
        )
    if source != "HEAD" and not _SHA.match(source):
        check_branch(source)
    check_branch(branch)
    pushed = git(
        directory, "push", "--quiet", "--no-verify", "--no-signed", "--no-follow-tags",
        "--recurse-submodules=no", "--end-of-options",
        str(repository_path.absolute()), f"{source}:refs/heads/{branch}",
        users_configuration=True,
        accepted=(0, 1, 128),
    )  # fmt: skip
    if pushed.code == 0:
        return
    if "shallow update not allowed" in pushed.error:
        raise InvalidInput(f"{directory} is a shallow clone, which cannot be pushed from: run `git fetch --unshallow` first")
    if "src refspec" in pushed.error:
        raise InvalidInput(f"{directory} has no branch {branch} with a commit to push: commit there first")
    if "[rejected]" in pushed.error or "[remote rejected]" in pushed.error:
        raise Conflict(
            f"branch {branch} moved on: run `git pull {repository_path.absolute()} {branch}`, and ask again"
        )
    raise InvalidInput(f"{refspec} was not pushed to {repository_path}: {pushed.error}")


def holds(directory: Path, commit: str) -> bool:
    """Whether the repository that holds `directory` has a commit."""
    return _ask(directory, "cat-file", "-t", commit) == "commit"


def bring(directory: Path, repository_path: Path, branch: str) -> bool:
    """Move a working tree's branch on to where a repository on this machine has it; whether that was done.

    Nothing is overwritten: not a branch that is checked out, nor one with commits that the repository has not.
    """
    if _ask(directory, "symbolic-ref", "--quiet", "--short", "HEAD") == branch:
        return False
    fetched = git(
        directory, "fetch", "--quiet", "--no-tags", "--recurse-submodules=no", "--end-of-options",
        str(repository_path.absolute()), f"refs/heads/{branch}:refs/heads/{branch}",
        users_configuration=True, accepted=range(256),
    )  # fmt: skip
    return fetched.code == 0


def apply_diff(folder: Path, diff: bytes) -> None:
    """Change the files of a commit as a working tree's diff says. Raises InvalidInput where it does not fit."""
    above = {"GIT_CEILING_DIRECTORIES": str(folder.parent)}  # a repository that the folder happens to lie in is not meant
    git(folder, "apply", "--whitespace=nowarn", "-", stdin=diff, extra=above)


def _ask(directory: Path, *arguments: str) -> str:
    """The answer of a read-only question, or an empty text where git refuses it."""
    answer = git(directory, *arguments, users_configuration=True, accepted=range(256))
    return answer.text if answer.code == 0 else ""


def _diff(root: Path) -> str:
    """Changed and new files against HEAD, through a copy of the index: nothing is written into the user's own repository,
    which a task behind walls could not do either."""
    new = _ask(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    small = [name for name in new if name and _size(root / name) <= LARGEST_NEW_FILE]
    places = (_ask(root, "rev-parse", "--path-format=absolute", "--git-path", part) for part in ("index", "objects"))
    index, objects = map(Path, places)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "index")
        if index.exists():
            shutil.copy2(index, copy)  # with its time: by it git tells which files may have changed since
        made = Path(scratch, "objects")
        made.mkdir()
        own_index = {"GIT_INDEX_FILE": str(copy), **beside(objects, made)}
        if small:
            git(
                root, "add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul",
                stdin="\0".join(f":(literal){name}" for name in small).encode("utf-8", "surrogateescape"),
                extra=own_index, users_configuration=True,
            )  # fmt: skip
        answer = git(
            root, "diff", "--binary", "--no-ext-diff", "--no-textconv", "--no-color", "HEAD",
            extra=own_index, users_configuration=True,
        )  # fmt: skip
    text = answer.output.decode("utf-8", "replace")
    return text if len(text) <= LARGEST_DIFF else f"{text[:LARGEST_DIFF]}\n[the diff was cut here]\n"


def _size(path: Path) -> int:
    return path.lstat().st_size if path.is_symlink() or path.exists() else 0


def _without_credentials(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme and "@" in parts.netloc:
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return url
