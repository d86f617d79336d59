"""Projects: their server-side Git repository, merge requests under test, and releases."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.environments import policy
from boathouse.environments.checkouts import Checkouts
from boathouse.environments.git import WORKSPACE, Repository
from boathouse.environments.project_folder import project_folder
from boathouse.environments.shared_code import SharedCode
from boathouse.environments.store import branch_heads, projects, releases, requests
from boathouse.errors import AlreadyExists, Conflict, NotFound
from boathouse.identity import Identity
from boathouse.names import check_project

MAIN = "main"
RELEASE_PATTERN = "release/*"


@dataclass(frozen=True)
class Project:
    """A repository whose bundle is deployed here."""

    name: str
    origin: str | None
    created_by: str
    created_at: datetime


@dataclass(frozen=True)
class Release:
    """A commit that prod may run, and who said so."""

    project: str
    version: str
    commit_id: str
    branch: str
    cut_by: str
    cut_at: datetime


@dataclass(frozen=True)
class MergeRequest:
    """A branch that wants into main. Tests run on `merge_commit`, and exactly that commit is merged."""

    id: int
    project: str
    branch: str
    title: str
    head: str
    base: str
    merge_commit: str
    state: str
    checks: dict[str, Any]
    opened_by: str
    opened_at: datetime
    merged_by: str | None
    merged_at: datetime | None

    @property
    def scratch(self) -> str:
        """The prefix of its throw-away schemas."""
        return f"mr{self.id}"


class Projects:
    """Repositories, merge requests and releases."""

    def __init__(self, database: Database, audit: Audit, code: Path, checkouts: Path, shared: SharedCode | None = None) -> None:
        """`shared` keeps the repositories of several homes alike."""
        self._shared = shared
        self._database = database
        self._audit = audit
        self._code = code
        self.checkouts = Checkouts(checkouts)

    def ensure(self, identity: Identity, name: str, origin: str | None = None) -> Project:
        """The project, with its bare repository, made if new. Raises InvalidName."""
        with self._database.writing() as connection:
            known = connection.execute(sa.select(projects).where(projects.c.name == name)).mappings().first()
            if known is None:
                values = {
                    "name": check_project(name),
                    "origin": origin,
                    "created_by": identity.principal,
                    "created_at": clock.now(),
                }
                connection.execute(projects.insert().values(**values))
                self._audit.write(connection, identity.principal, "create project", name)
        self.repository(name).create()
        self.settle(name)
        return self.get(name)

    def get(self, name: str) -> Project:
        """One project. Raises NotFound."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(projects).where(projects.c.name == name)).mappings().first()
        if row is None:
            raise NotFound(
                f"no project is named {name!r}; `boathouse deploy` or `boathouse requests open` make it known"
            )
        return Project(**row)

    def all(self) -> list[Project]:
        """Every project, by name."""
        with self._database.reading() as connection:
            return [
                Project(**r)
                for r in connection.execute(sa.select(projects).order_by(projects.c.name)).mappings()
            ]

    def repository(self, name: str) -> Repository:
        """The server's own copy; what may run is judged by this one alone."""
        self.settle(name)
        return Repository(self._code / f"{name}.git")

    def settle(self, name: str) -> None:
        """After a change of the server's own copy: have that of each home alike, in the caller's transaction if there is one."""
        if self._shared:
            self._shared.settle(Repository(self._code / f"{name}.git"))

    def checkout(self, name: str, commit: str) -> Path:
        """The project's folder among exactly that commit's files."""
        return project_folder(self.checkouts.make(self.repository(name), name, commit), name)

    def code_at(self, name: str, folder: str, commit: str | None) -> str:
        """Where deployed code lies now: a home that was moved has its checkouts beside it still."""
        return str(self.checkout(name, str(commit))) if self.is_checkout(name, folder, commit) else folder

    def is_checkout(self, name: str, folder: str, commit: str | None) -> bool:
        """Whether a folder lies in a commit's checkout, in this home or another: it can be made again anywhere."""
        own, parts = (self.checkouts.folder.name, name, commit), Path(folder).parts
        return bool(commit) and any(parts[start : start + 3] == own for start in range(len(parts) - 2))

    def check_policy(self, name: str, environment: str, commit: str, *, dirty: bool,
                     release_pattern: str = RELEASE_PATTERN, scratch: str = "") -> None:  # fmt: skip
        """Whether a commit may run in an environment; a request under test only in its throw-away place. Raises NotReleased."""
        repository = self.repository(name)
        heads = repository.branches() if repository.path.exists() else {}
        heads = {branch: head for branch, head in heads.items() if not branch.startswith(WORKSPACE)}
        allowed = []
        if environment == "prod":
            allowed = [r.commit_id for r in self.releases(name)]
            allowed += [head for branch, head in self.recorded_heads(name) if policy.matches(branch, release_pattern)]
        if environment == "staging":
            found = self.requests(name)
            allowed = [r.merge_commit for r in found if r.state == "merged" or (r.state == "open" and r.scratch == scratch)]
        policy.check(policy.kind_of(environment), commit, dirty=dirty, released=allowed, branch_heads=heads,
                     pattern=release_pattern if environment == "prod" else MAIN)  # fmt: skip

    def recorded_heads(self, name: str) -> list[tuple[str, str]]:
        """(branch, commit) of every head that a fetch found here."""
        query = sa.select(branch_heads.c.branch, branch_heads.c.commit_id).where(branch_heads.c.project == name)
        with self._database.reading() as connection:
            return [(r[0], r[1]) for r in connection.execute(query)]

    def open_request(self, identity: Identity, name: str, branch: str, title: str) -> MergeRequest:
        """A merge request for a branch that was pushed here, in place of an open one. Raises Conflict naming files that clash."""
        repository = self.repository(name)
        head = repository.head(branch)
        base = repository.head(MAIN)
        merge = repository.merge_commit(MAIN, branch, f"Merge {branch}: {title}", identity.principal)
        repository.keep(merge, repository.path)
        self.settle(name)
        with self._database.writing() as connection:
            same = (requests.c.project == name) & (requests.c.branch == branch) & (requests.c.state == "open")
            connection.execute(requests.update().where(same).values(state="closed"))
            inserted = connection.execute(
                requests.insert().values(
                    project=name, branch=branch, title=title, head=head, base=base, merge_commit=merge, state="open",
                    checks={}, opened_by=identity.principal, opened_at=clock.now(),
                )
            )  # fmt: skip
            number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
            self._audit.write(
                connection,
                identity.principal,
                "open request",
                f"{name}/{number}",
                {"branch": branch, "head": head},
            )
        return self.request(number)

    def request(self, number: int) -> MergeRequest:
        """One merge request. Raises NotFound."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(requests).where(requests.c.id == number)).mappings().first()
        if row is None:
            raise NotFound(f"there is no merge request {number}; `boathouse requests list` shows them")
        return MergeRequest(**row)

    def requests(self, name: str | None = None) -> list[MergeRequest]:
        """Merge requests, newest first."""
        query = sa.select(requests).order_by(requests.c.id.desc())
        if name:
            query = query.where(requests.c.project == name)
        with self._database.reading() as connection:
            return [MergeRequest(**r) for r in connection.execute(query).mappings()]

    def close_request(self, identity: Identity, number: int) -> MergeRequest:
        """Let a request be under test no more: staging does not run its commit. Raises Conflict where it is not open."""
        request = self.request(number)
        with self._database.writing() as connection:
            open_one = (requests.c.id == number) & (requests.c.state == "open")
            if not connection.execute(requests.update().where(open_one).values(state="closed")).rowcount:
                raise Conflict(f"merge request {number} is {request.state}")
            self._audit.write(connection, identity.principal, "close request", f"{request.project}/{number}",
                              {"branch": request.branch})  # fmt: skip
        return replace(request, state="closed")

    def report_check(self, number: int, check: str, outcome: Mapping[str, Any]) -> MergeRequest:
        """Keep what a test of a request found: {state: success|failure, …}."""
        request = self.request(number)
        with self._database.writing() as connection:
            checks = {**request.checks, check: dict(outcome)}
            connection.execute(requests.update().where(requests.c.id == number).values(checks=checks))
        return replace(request, checks=checks)

    def mergeable(self, number: int) -> MergeRequest:
        """A request whose every check passed. Raises Conflict for any other."""
        request = self.request(number)
        if request.state != "open":
            raise Conflict(f"merge request {number} is {request.state}")
        if origin := self.get(request.project).origin:
            raise Conflict(f"{request.project} comes from {origin}: merge there, and its main is fetched")
        needed = {"unit", "integration"}
        if short := sorted(c for c in needed if request.checks.get(c, {}).get("state") != "success"):
            raise Conflict(
                f"merge request {number} lacks a passed {short[0]} test; `boathouse requests test {number}` runs them"
            )
        return request

    def merge(self, identity: Identity, number: int) -> MergeRequest:
        """Move main to the tested merge commit. Raises Conflict unless every check passed and main stands still."""
        request = self.mergeable(number)
        repository = self.repository(request.project)
        with self._database.writing() as connection:
            connection.execute(
                requests.update().where(requests.c.id == number)
                .values(state="merged", merged_by=identity.principal, merged_at=clock.now())
            )  # fmt: skip
            self._audit.write(connection, identity.principal, "merge", f"{request.project}/{number}",
                              {"commit": request.merge_commit})  # fmt: skip
            self.settle(request.project)
            if repository.branches().get(MAIN) != request.merge_commit:  # where it is, a merge before this one was cut off
                repository.update_ref(MAIN, request.merge_commit, request.base)
                self.settle(request.project)
        return self.request(number)

    def cut_release(self, identity: Identity, name: str, version: str) -> Release:
        """A release branch at main's head, recorded as allowed in prod. Raises AlreadyExists, NotFound."""
        repository = self.repository(self.get(name).name)
        commit, branch = repository.head(MAIN), f"release/{version}"
        if any(r.version == version for r in self.releases(name)):
            raise AlreadyExists(f"{name} has a release {version} already; choose a new version")
        with self._database.writing() as connection:
            row = {"project": name, "version": version, "commit_id": commit, "branch": branch,
                   "cut_by": identity.principal, "cut_at": clock.now()}  # fmt: skip
            connection.execute(releases.insert().values(row))
            self._audit.write(connection, identity.principal, "cut release", f"{name}/{version}", {"commit": commit})
            self.settle(name)
            if repository.branches().get(branch) != commit:  # where it is, a cut before this one was cut off
                repository.create_branch(branch, commit)
                self.settle(name)
        return next(r for r in self.releases(name) if r.version == version)

    def releases(self, name: str | None = None) -> list[Release]:
        """Releases, newest first."""
        query = sa.select(releases).order_by(releases.c.cut_at.desc())
        if name:
            query = query.where(releases.c.project == name)
        with self._database.reading() as connection:
            return [Release(**r) for r in connection.execute(query).mappings()]
