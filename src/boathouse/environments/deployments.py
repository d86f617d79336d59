"""What is deployed where: an environment is a set of pointers to definitions, each from one commit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Catalog
from boathouse.database import Database
from boathouse.environments import entrusted
from boathouse.environments.resource_names import JOB, Wanted, chosen, key_of, told_apart
from boathouse.environments.run_as import named_principal
from boathouse.environments.store import deployments, resources
from boathouse.errors import Conflict, NotFound
from boathouse.identity import Identity

BY_HAND = "by hand"
"""Stands for the project of what was made one by one, through the API or the command line."""


@dataclass(frozen=True)
class Deployment:
    """One project's code in one environment (or in a throw-away place of it); `notes` tell what it could not do."""

    id: int
    environment: str
    project: str
    scratch: str
    commit_id: str | None
    dirty: bool
    source: str
    deployed_by: str
    deployed_at: datetime
    notes: tuple[str, ...] = ()
    place: str | None = None
    """The home whose server saw its working tree, where it is one."""


@dataclass(frozen=True)
class Resource:
    """Something a bundle declares, as it is deployed."""

    environment: str
    scratch: str
    kind: str
    name: str
    project: str
    definition: dict[str, Any]
    deployment: int

    @property
    def key(self) -> str:
        """Its key in the project's bundle."""
        return key_of(self)


class Deployments:
    """Deploys all of a bundle or nothing."""

    def __init__(self, database: Database, catalog: Catalog, place: str | None = None) -> None:
        """`place` is the home whose machine this is."""
        self._place = place
        self._database = database
        self._catalog = catalog
        self._audit = catalog.audit

    def replace(self, identity: Identity, *, environment: str, project: str, wanted: Sequence[tuple[str, str, Mapping[str, Any]]],
                source: str, commit: str | None, dirty: bool, scratch: str = "") -> Deployment:  # fmt: skip
        """Make (kind, name, definition) what the project has there; what left the bundle goes.

        Raises Conflict when another project owns a name.
        """
        place = (resources.c.environment == environment) & (resources.c.scratch == scratch)
        with self._database.writing() as connection:
            taken = connection.execute(
                sa.select(resources).where(place, resources.c.project != project)
            ).mappings()
            owners = {(r["kind"], r["name"]): r["project"] for r in taken}
            if clash := [(k, n) for k, n, _ in wanted if (k, n) in owners]:
                raise Conflict(
                    f"{clash[0][0]} {clash[0][1]!r} in {environment} belongs to the project {owners[clash[0]]!r}"
                )
            inserted = connection.execute(
                deployments.insert().values(
                    environment=environment,
                    project=project,
                    scratch=scratch,
                    commit_id=commit,
                    dirty=dirty,
                    source=source,
                    place=self._place,
                    deployed_by=identity.principal,
                    deployed_at=clock.now(),
                )
            )
            number = int(inserted.inserted_primary_key[0])  # type: ignore[index]
            own = (place, resources.c.project == project)
            before = connection.execute(sa.select(resources.c.kind, resources.c.name).where(*own)).all()
            connection.execute(resources.delete().where(*own))
            for kind, name, definition in wanted:
                connection.execute(
                    resources.insert().values(
                        environment=environment,
                        scratch=scratch,
                        kind=kind,
                        name=name,
                        project=project,
                        definition=dict(definition),
                        deployment=number,
                    )
                )
            if not scratch:
                entrusted.sync(self._catalog, identity, environment, project, [(k, n) for k, n in before], wanted)
            facts = {"commit": commit, "dirty": dirty, "scratch": scratch, "resources": len(wanted), **_lent(wanted)}
            self._audit.write(connection, identity.principal, "deploy", f"{environment}/{project}", facts)
        return self.deployment(number)

    def put(self, identity: Identity, environment: str, kind: str, name: str, definition: Mapping[str, Any]) -> Resource:
        """Make or change one resource by hand, outside any project. Raises Conflict when a project owns the name."""
        here = {"environment": environment, "scratch": "", "kind": kind, "name": name}
        with self._database.writing() as connection:
            self._check_by_hand(connection, here)
            made = deployments.insert().values(
                environment=environment, project=BY_HAND, scratch="", commit_id=None, dirty=False, source="",
                deployed_by=identity.principal, deployed_at=clock.now(),
            )  # fmt: skip
            number = connection.execute(made).inserted_primary_key[0]  # type: ignore[index]
            connection.execute(resources.delete().where(*(resources.c[k] == v for k, v in here.items())))
            row = {**here, "project": BY_HAND, "definition": dict(definition), "deployment": number}
            connection.execute(resources.insert().values(row))
            if kind in entrusted.SECURABLES:
                self._catalog.adopt(entrusted.SECURABLES[kind], f"{environment}.{name}", identity.principal)
            self._audit.write(connection, identity.principal, f"put {kind}", f"{environment}.{name}")
        return self.resource(kind, environment, name)

    def remove(self, identity: Identity, environment: str, kind: str, name: str) -> None:
        """Remove a resource that was made by hand. Raises NotFound, and Conflict when a project owns it."""
        self.resource(kind, environment, name)
        here = {"environment": environment, "scratch": "", "kind": kind, "name": name}
        with self._database.writing() as connection:
            self._check_by_hand(connection, here)
            connection.execute(resources.delete().where(*(resources.c[k] == v for k, v in here.items())))
            if kind in entrusted.SECURABLES:
                self._catalog.unregister(identity, entrusted.SECURABLES[kind], f"{environment}.{name}")
            self._audit.write(connection, identity.principal, f"delete {kind}", f"{environment}.{name}")

    def _check_by_hand(self, connection: sa.Connection, here: Mapping[str, str]) -> None:
        query = sa.select(resources.c.project).where(*(resources.c[k] == v for k, v in here.items()))
        owner = connection.execute(query).scalar()
        if owner not in (None, BY_HAND):
            raise Conflict(
                f"{here['kind']} {here['name']!r} of {here['environment']} belongs to the project {owner!r}: change it there"
            )

    def deployment(self, number: int) -> Deployment:
        """One deployment. Raises NotFound."""
        with self._database.reading() as connection:
            row = (
                connection.execute(sa.select(deployments).where(deployments.c.id == number))
                .mappings()
                .first()
            )
        if row is None:
            raise NotFound(f"there is no deployment {number}")
        return Deployment(**row)

    def current(
        self, environment: str | None = None, project: str | None = None, scratch: str = ""
    ) -> list[Deployment]:
        """The newest deployment of each project that has resources in an environment."""
        used = sa.select(resources.c.deployment).where(resources.c.scratch == scratch)
        query = (
            sa.select(deployments)
            .where(deployments.c.id.in_(used))
            .order_by(deployments.c.environment, deployments.c.project)
        )
        with self._database.reading() as connection:
            rows = [Deployment(**row) for row in connection.execute(query).mappings()]
        return [d for d in rows if environment in (None, d.environment) and project in (None, d.project)]

    def pointed_at(self) -> list[Deployment]:
        """Every deployment that something deployed comes from, in throw-away places too."""
        used = sa.select(deployments).where(deployments.c.id.in_(sa.select(resources.c.deployment)))
        with self._database.reading() as connection:
            return [Deployment(**row) for row in connection.execute(used).mappings()]

    def history(self, environment: str | None = None, limit: int = 100, before: int | None = None) -> list[Deployment]:
        """Deployments, newest first; those that are older than deployment `before`."""
        query = sa.select(deployments).order_by(deployments.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(deployments.c.id < before)
        if environment:
            query = query.where(deployments.c.environment == environment)
        with self._database.reading() as connection:
            return [Deployment(**row) for row in connection.execute(query).mappings()]

    def resources(self, kind: str | None = None, environment: str | None = None, project: str | None = None,
                  scratch: str | None = "") -> list[Resource]:  # fmt: skip
        """What is deployed, by environment, kind and name."""
        query = sa.select(resources).order_by(resources.c.environment, resources.c.kind, resources.c.name)
        for column, value in (
            ("kind", kind),
            ("environment", environment),
            ("project", project),
            ("scratch", scratch),
        ):
            if value is not None:
                query = query.where(resources.c[column] == value)
        with self._database.reading() as connection:
            return [Resource(**row) for row in connection.execute(query).mappings()]

    def resource(self, kind: str, environment: str, name: str, scratch: str = "") -> Resource:
        """One deployed resource. Raises NotFound."""
        there = self.resources(kind, environment, scratch=scratch)
        for resource in there:
            if resource.name == name:
                return resource
        known = ", ".join(r.name for r in there) or "none"
        raise NotFound(
            f"{environment} has no {kind} {name!r} (there: {known}); `boathouse deploy -t {environment}` deploys a project"
        )

    def job(self, environment: str, name: str, project: str | None = None, scratch: str = "") -> Resource:
        """The job of a name or of `project.name`; of several, the project's. Raises NotFound, Conflict."""
        return chosen(self.resources(JOB, environment, scratch=scratch), name, project) or self.resource(
            JOB, environment, name, scratch
        )

    def told_apart(self, environment: str, project: str, wanted: Sequence[Wanted], scratch: str = "") -> list[Wanted]:
        """What a project wants to have there, under names that no other project has."""
        return told_apart(project, wanted, self.resources(None, environment, scratch=scratch))

    def forget(self, environment: str, scratch: str) -> None:
        """Remove all that was deployed in a throw-away place."""
        with self._database.writing() as connection:
            connection.execute(
                resources.delete().where(
                    resources.c.environment == environment, resources.c.scratch == scratch
                )
            )

    def destroy(self, identity: Identity, environment: str, project: str) -> int:
        """Remove a project's resources from an environment; how many there were."""
        own = (resources.c.environment == environment, resources.c.project == project, resources.c.scratch == "")
        with self._database.writing() as connection:
            before = connection.execute(sa.select(resources.c.kind, resources.c.name).where(*own)).all()
            if not before:
                return 0
            connection.execute(resources.delete().where(*own))
            entrusted.sync(self._catalog, identity, environment, project, [(k, n) for k, n in before], [])
            self._audit.write(connection, identity.principal, "destroy", f"{environment}/{project}", {"resources": len(before)})
        return len(before)


def _lent(wanted: Sequence[tuple[str, str, Mapping[str, Any]]]) -> dict[str, Any]:
    """For the audit log: job -> the principal that it names."""
    named = {name: principal[1] for kind, name, body in wanted if kind == JOB and (principal := named_principal(body))}
    return {"run_as": named} if named else {}
