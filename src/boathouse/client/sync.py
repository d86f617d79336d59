"""A folder and a workspace, kept alike: what either has that the other lacks goes over, and what clashes is shown."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from boathouse.client.connection import Connection
from boathouse.environments import Merge, Moved, SyncedFolder, Workspace, known_commits, ready, take_pack, write_pack
from boathouse.errors import Conflict, InvalidInput, Unavailable

_TRIES = 8
_PIECE = 1 << 20
_POLL_MILLISECONDS = 2_000



@dataclass(frozen=True)
class Change:
    """A file that was added, changed or deleted."""

    change: str
    path: str


@dataclass(frozen=True)
class Clash:
    """A file that both sides changed, and where the workspace's side of it lies; None where nothing was written."""

    path: str
    copy: str | None


@dataclass
class Synced:
    """What a sync did: files that went to the workspace, came from it, clash with it, and stayed though deleted on one side.

    While there are conflicts the workspace has none of the folder's changes.
    """

    project: str
    branch: str
    head: str | None = None
    sent: list[Change] = field(default_factory=list)
    received: list[Change] = field(default_factory=list)
    conflicts: list[Clash] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def nothing(self) -> bool:
        """Whether both were alike already."""
        return not (self.sent or self.received or self.conflicts)


class Sync:
    """One folder and the caller's workspace of one project."""

    def __init__(self, lake: Connection, folder: Path, project: str) -> None:
        """Raises InvalidInput where `folder` holds something and is in no Git repository."""
        self._http = lake.http
        self._path = f"/api/v1/projects/{project}/workspace"
        self._project = project
        lake.call("PUT", f"/api/v1/projects/{project}")
        self._branch = self._workspace().branch
        ready(folder)
        self.folder = SyncedFolder(folder, f"{project} {self._branch}", lake.principal)

    def once(self, dry_run: bool = False) -> Synced:
        """Make both alike, or only say what would be done.

        Raises Conflict while copies of an earlier clash are still there, and when no try found both at rest.
        """
        done = Synced(self._project, self._branch)
        with self.folder.alone():
            if waiting := self.folder.unsettled():
                raise unsettled([Clash(*each) for each in waiting])
            why = ""
            for _ in range(_TRIES):
                try:
                    if self._try(done, dry_run):
                        return done
                except Moved as moved:
                    why = f" ({moved})"
        raise Unavailable(f"{self.folder.root} or its workspace changed during each of {_TRIES} tries to sync{why}; try again")

    def watch(self) -> Iterator[bool]:
        """True each time that the folder or the workspace may have changed, the first time at once; without end."""
        from watchfiles import watch

        yield True
        unseen = True  # what changed before the watching began
        for changes in watch(self.folder.root, rust_timeout=_POLL_MILLISECONDS, yield_on_timeout=True, raise_interrupt=True):
            try:
                yield unseen or bool(changes) or self._workspace().head != self.folder.agreed
                unseen = False
            except Unavailable:  # what is done next says so
                yield True

    def _begin(self, done: Synced, dry_run: bool) -> bool:
        """The first that a bare folder gets: the workspace, or main where there is none."""
        there = self._workspace()
        now = there.head or there.main
        if now is None:
            raise InvalidInput(f"{self.folder.root} is empty, and so is {self._project} on the server: sync a clone of it first")
        if dry_run:
            raise InvalidInput(f"{self.folder.root} is empty: a sync without --dry-run brings {self._project} here")
        own = there.main or now
        for commit in dict.fromkeys((own, now)):
            self._fetch(commit)
        self.folder.begin(own, now)
        done.head, done.received = there.head, self._changes(None, now)
        return True

    def _try(self, done: Synced, dry_run: bool) -> bool:
        """One round; False when the workspace moved meanwhile."""
        if self.folder.bare:
            return self._begin(done, dry_run)
        ours = self.folder.snapshot()
        if not dry_run:
            self.folder.agree(ours)
        there = self._workspace()
        merge = self._merged(ours, there.head)
        done.received += self._changes(ours, merge.commit)
        done.kept += merge.kept
        copies = [] if dry_run else self.folder.become(ours, merge)
        done.conflicts = [Clash(path, dict(copies).get(path)) for path, _ in merge.clashes]
        if merge.clashes:
            done.head = there.head
            return True
        done.head = merge.commit
        if merge.commit != there.head:
            if not (dry_run or self._push(merge.commit, there)):
                return False
            done.sent = self._changes(self._before(there), merge.commit)
        return True

    def _changes(self, before: str | None, after: str) -> list[Change]:
        return [Change(*each) for each in self.folder.changes(before, after)]

    def _before(self, there: Workspace) -> str | None:
        """What the first sync is compared with: main, where this folder knows it."""
        return there.head or next(iter(known_commits(self.folder.root, [there.main] if there.main else [])), None)

    def _workspace(self) -> Workspace:
        return Workspace(**self._http.call("GET", self._path))

    def _merged(self, ours: str, theirs: str | None) -> Merge:
        if theirs is None:
            return Merge(ours)
        self._fetch(theirs)
        return self.folder.merge(ours, theirs)

    def _fetch(self, commit: str) -> None:
        if known_commits(self.folder.root, [commit]):
            return
        body = {"commit": commit, "have": self.folder.heads()}
        with tempfile.TemporaryDirectory(prefix="boathouse-pack-") as scratch:
            pack = Path(scratch, "pack")
            answer = self._http.open("POST", f"{self._path}/pack", body, {})
            try:
                with pack.open("wb") as out:
                    for piece in answer.iter_bytes(_PIECE):
                        out.write(piece)
            finally:
                answer.close()
            take_pack(self.folder.root, pack, commit)

    def _push(self, commit: str, there: Workspace) -> bool:
        """Move the workspace on; False when it is not there any more."""
        known = known_commits(self.folder.root, there.known)
        where = {"head": commit, **({"expected": there.head} if there.head else {})}
        with tempfile.TemporaryFile(prefix="boathouse-pack-") as pack:
            write_pack(self.folder.root, commit, known, pack)
            pack.seek(0)
            try:
                self._http.put(f"{self._path}?{urlencode(where)}", iter(lambda: pack.read(_PIECE), b""))
            except Conflict:
                return False
        return True


def unsettled(conflicts: Sequence[Clash]) -> Conflict:
    """What to do about files that clash."""
    first = conflicts[0]
    more = f" and {len(conflicts) - 1} more" if len(conflicts) > 1 else ""
    rest = f"{first.copy} as it is there. Bring what you want into {first.path}, delete {first.copy}, and sync again"
    if first.copy is None:
        rest = "a sync would leave it so, put the other beside it, and send nothing until that is settled"
    said = f"{first.path}{more} changed here and in the workspace: {first.path} is as it was here, {rest}"
    return Conflict(said, conflicts=[asdict(each) for each in conflicts])
