"""Workspaces: for each person and project a branch of the server's own copy, which only that person moves, and only onward."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

from boathouse.catalog import Audit
from boathouse.environments.git import WORKSPACE
from boathouse.environments.packs import LARGEST_PACK, known_commits, take_pack, write_pack
from boathouse.environments.projects import MAIN, Projects
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.identity import Identity

_MOST_KNOWN = 1000


@dataclass(frozen=True)
class Workspace:
    """Where a person's branch stands. `known` are heads of the server's copy, of which no commit needs to be sent."""

    project: str
    branch: str
    head: str | None
    main: str | None
    known: tuple[str, ...]


def workspace_branch(principal: str) -> str:
    """The branch of a principal; two principals never share one."""
    name = quote(principal, safe="@").replace("~", "%7E")
    if name.startswith(".") or ".." in name or name.endswith((".", ".lock")):
        name = name.replace(".", "%2E")
    return WORKSPACE + name


class Workspaces:
    """Of all projects. Who may work on a project is asked before."""

    def __init__(self, projects: Projects, audit: Audit) -> None:
        self._projects = projects
        self._audit = audit

    def of(self, identity: Identity, project: str) -> Workspace:
        """Where the caller's workspace stands. Raises NotFound for a project that is not known."""
        self._projects.get(project)
        branches, branch = self._projects.repository(project).branches(), workspace_branch(identity.principal)
        own, main = branches.get(branch), branches.get(MAIN)
        others = (head for name, head in branches.items() if not name.startswith(WORKSPACE))
        known = list(dict.fromkeys(head for head in (own, main, *others) if head))
        return Workspace(project, branch, own, main, tuple(known[:_MOST_KNOWN]))

    def packed(self, identity: Identity, project: str, commit: str, have: Iterable[str]) -> IO[bytes]:
        """A pack of what a folder lacks of the caller's workspace, or of main, and has some commits of. The caller closes it.

        Raises NotFound for a commit that is neither's head by now.
        """
        now = self.of(identity, project)
        if commit not in (now.head, now.main):
            raise NotFound(f"{commit[:12]} is not where {now.branch} or main of {project} stands; sync again")
        repository = self._projects.repository(project).path
        known = known_commits(repository, have)
        out = tempfile.TemporaryFile(prefix="boathouse-pack-")  # noqa: SIM115
        try:
            write_pack(repository, commit, known, out)
        except BaseException:
            out.close()
            raise
        out.seek(0)
        return out

    def push(self, identity: Identity, project: str, head: str, expected: str | None, pieces: Iterable[bytes]) -> Workspace:
        """Move the caller's workspace on to a commit, whose pack comes in pieces.

        Raises Conflict when the workspace is not at `expected` by now, or the commit does not hold that one; InvalidInput.
        """
        now = self.of(identity, project)
        if now.head != expected:
            raise Conflict(f"{now.branch} of {project} was changed by another sync; sync again")
        repository = self._projects.repository(project)
        with tempfile.TemporaryDirectory(prefix="boathouse-pack-") as folder:
            pack = Path(folder, "pack")
            _written(pack, pieces)
            take_pack(repository.path, pack, head)
        if now.head and not repository.contains(head, now.head):
            raise Conflict(f"{head[:12]} does not hold what {now.branch} of {project} has; sync again")
        repository.update_ref(now.branch, head, now.head)
        self._projects.settle(project)
        self._audit.record(identity.principal, "sync workspace", f"{project}/{now.branch}", {"head": head, "before": now.head})
        return self.of(identity, project)


def _written(path: Path, pieces: Iterable[bytes]) -> None:
    size = 0
    with path.open("wb") as out:
        for piece in pieces:
            if (size := size + len(piece)) > LARGEST_PACK:
                raise InvalidInput(f"a sync sends {LARGEST_PACK >> 20} MB at most: keep large files in a volume, not in Git")
            out.write(piece)
