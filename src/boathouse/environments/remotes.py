"""Origins of projects: fetched into the server's own copy, with a record of each branch head that was seen."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Audit
from boathouse.database import Database
from boathouse.environments.commit_statuses import api_of
from boathouse.environments.origin import Origin, parse_origin
from boathouse.environments.projects import Project, Projects
from boathouse.environments.sealed import seal, unseal
from boathouse.environments.store import branch_heads, projects, remotes
from boathouse.errors import InvalidInput
from boathouse.identity import Identity

Emit = Callable[[sa.Connection, str, str, dict[str, Any]], None]


class Remotes:
    """Where projects come from. Who may set an origin is asked before: it decides what staging and prod run."""

    def __init__(self, database: Database, audit: Audit, projects: Projects, emit: Emit, key: str) -> None:
        self._database = database
        self._audit = audit
        self._projects = projects
        self._emit = emit
        self._key = key

    def set_origin(self, identity: Identity, project: str, origin: Origin | None, token: str | None = None) -> Project:
        """Let a project come from a remote, or from none. Raises NotFound."""
        self._projects.get(project)
        url = origin.url if origin else None
        with self._database.writing() as connection:
            connection.execute(projects.update().where(projects.c.name == project).values(origin=url))
            self._keep(connection, project, token=seal(self._key, token) if token else None)
            self._audit.write(connection, identity.principal, "set origin", project, {"origin": url})
        return self._projects.get(project)

    def set_secret(self, identity: Identity, project: str, secret: str) -> None:
        """Let a Git host tell of pushes under a shared secret. Raises NotFound."""
        self._projects.get(project)
        with self._database.writing() as connection:
            self._keep(connection, project, hook_secret=seal(self._key, secret))
            self._audit.write(connection, identity.principal, "set webhook", project)

    def set_statuses(self, identity: Identity, project: str, api: str | None, token: str | None) -> str | None:
        """Let a project's Git host hear of checks, or nobody; the API's address, where none is given that of the origin.

        Raises NotFound, and InvalidInput for a host that is not known.
        """
        known = self._projects.get(project)
        api = (api or api_of(known.origin)).rstrip("/") if token else None
        with self._database.writing() as connection:
            self._keep(connection, project, status_api=api, status_token=seal(self._key, token) if token else None)
            self._audit.write(connection, identity.principal, "set statuses", project, {"api": api})
        return api

    def statuses(self, project: str) -> tuple[str, str] | None:
        """The API's address of a project's repository and the token for it, where its host is told of checks."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(remotes).where(remotes.c.project == project)).mappings().first()
        if row is None or not row["status_api"]:
            return None
        return str(row["status_api"]), unseal(self._key, row["status_token"])

    def secret(self, project: str) -> str | None:
        """The secret that a project's Git host shares."""
        return self._unsealed(project, "hook_secret")

    def fetch(self, project: str) -> dict[str, str]:
        """Bring the server's copy up to its origin; the branches that moved, with their heads.

        A head is recorded once it was seen here. Raises NotFound, and InvalidInput without an origin or with git's words.
        """
        url = self._projects.get(project).origin
        if not url:
            raise InvalidInput(f"{project} has no origin: `boathouse projects remote {project} URL` gives it one")
        origin, repository = parse_origin(url), self._projects.repository(project)
        before = repository.branches()
        extra = origin.headers(self._unsealed(project, "token"))
        repository.fetch(origin.url, transports=(origin.transport,), extra=extra)
        self._projects.settle(project)
        now = repository.branches()
        moved = {branch: head for branch, head in now.items() if before.get(branch) != head}
        with self._database.writing() as connection:
            known = connection.execute(sa.select(branch_heads).where(branch_heads.c.project == project)).mappings()
            recorded = {(r["branch"], r["commit_id"]) for r in known}
            for branch, head in now.items():
                if (branch, head) not in recorded:
                    row = {"project": project, "branch": branch, "commit_id": head, "seen_at": clock.now()}
                    connection.execute(branch_heads.insert().values(row))
            for branch, head in moved.items():
                self._emit(connection, "git.pushed", project, {"branch": branch, "commit": head, "before": before.get(branch)})
        return moved

    def _keep(self, connection: sa.Connection, project: str, **values: str | None) -> None:
        row = connection.execute(sa.select(remotes).where(remotes.c.project == project)).mappings().first()
        connection.execute(remotes.delete().where(remotes.c.project == project))
        connection.execute(remotes.insert().values({**(row or {}), "project": project, **values}))

    def _unsealed(self, project: str, what: str) -> str | None:
        with self._database.reading() as connection:
            sealed = connection.execute(sa.select(remotes.c[what]).where(remotes.c.project == project)).scalar()
        return unseal(self._key, sealed) if sealed else None
