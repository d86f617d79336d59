"""What a deployment brings besides definitions: schemas, volumes, and who may do what with a project's resources.

A project takes back what it gave and nothing else, and what holds data stays when it leaves the bundle.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import sqlalchemy as sa

from boathouse.catalog import Catalog, SecurableKind, Securables, Volumes
from boathouse.database import Database
from boathouse.environments.permissions import Permit, Resource, permits, securable_of
from boathouse.environments.store import bundle_permits, bundle_places
from boathouse.errors import Conflict
from boathouse.identity import EVERYBODY, Identities, Identity

_PLACES = ("schema", "volume", "model")
Place = tuple[SecurableKind, str]


class Declared:
    """Makes the catalog be as the deployed bundles say."""

    def __init__(self, database: Database, catalog: Catalog, securables: Securables, volumes: Volumes,
                 identities: Identities) -> None:  # fmt: skip
        self._database = database
        self._catalog = catalog
        self._securables = securables
        self._volumes = volumes
        self._identities = identities

    def together(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: a deployment and what it declares come both or not at all."""
        return self._database.writing()

    def sync(self, identity: Identity, environment: str, project: str, wanted: Sequence[Resource]) -> list[str]:
        """Make what is missing, give and take back; texts about what could not be given or was kept.

        Raises NotPermitted for a grant on a schema, volume or model that the project did not make and whose grants the
        deploying identity may not change.
        """
        owner = self._owner(environment)
        places = [(place, r[2]) for r in wanted if (place := securable_of(environment, r)) and place[0] in _PLACES]
        for place, body in places:
            self._make(owner, environment, project, place, str(body.get("comment") or ""))
        notes = self._give(identity, environment, project, permits(environment, wanted))
        return notes + self._leave(owner, environment, project, {place for place, _ in places})

    def _owner(self, environment: str) -> Identity:
        name = self._catalog.require("catalog", environment).owner
        return Identity(name, frozenset({name}), environment)

    def _make(self, owner: Identity, environment: str, project: str, place: Place, comment: str) -> None:
        kind, name = place
        if not self._catalog.exists(kind, name):
            if kind == "volume":
                self._volumes.create(owner, name, comment)
            elif kind == "schema":
                self._catalog.create_schema(owner, name, comment)
            self._note_place(environment, project, place)
        elif comment and kind != "model" and self._made_by(kind, name) == project:
            self._securables.alter(owner, kind, name, comment=comment)

    def _note_place(self, environment: str, project: str, place: Place) -> None:
        row = {"kind": place[0], "name": place[1], "environment": environment, "project": project}
        with self._database.writing() as connection:
            connection.execute(bundle_places.delete().where(*_at(bundle_places, kind=place[0], name=place[1])))
            connection.execute(bundle_places.insert().values(row))

    def _made_by(self, kind: str, name: str) -> str | None:
        with self._database.reading() as connection:
            query = sa.select(bundle_places.c.project).where(*_at(bundle_places, kind=kind, name=name))
            return connection.execute(query).scalar()

    def _give(self, identity: Identity, environment: str, project: str, wanted: Sequence[Permit]) -> list[str]:
        here = {p: self._known(p) for p in {w.principal for w in wanted}}
        strangers = sorted(p for p, name in here.items() if name is None)
        now = {replace(w, principal=name) for w in wanted if (name := here[w.principal])}
        with self._database.writing() as connection:
            place = {"environment": environment, "project": project}
            own = _at(bundle_permits, **place)
            columns = (bundle_permits.c[c] for c in ("kind", "securable", "principal", "privilege"))
            before = {Permit(*row) for row in connection.execute(sa.select(*columns).where(*own))}
            for permit in sorted(before - now):
                self._catalog.access.revoke(identity.principal, permit.principal, permit.privilege, permit.kind, permit.securable)
                connection.execute(bundle_permits.delete().where(*own, *_at(bundle_permits, **permit.__dict__)))
            for permit in sorted(now):
                if self._gives(identity, project, permit, anew=permit not in before):
                    connection.execute(bundle_permits.insert().values(**place, **permit.__dict__))
        return [f"{p} is no principal here, so nothing was granted to it: create it and deploy again" for p in strangers]

    def _known(self, principal: str) -> str | None:
        """A principal of a bundle as it is called here: `users` is everybody, unless a group of that name was made."""
        if self._identities.find(principal):
            return principal
        return EVERYBODY if principal == "users" else None

    def _gives(self, identity: Identity, project: str, permit: Permit, anew: bool) -> bool:
        """Grant; whether it is now the bundle's to take back, which what was granted by hand before is not."""
        kind, name = permit.kind, permit.securable
        if anew and kind in _PLACES and self._made_by(kind, name) != project:
            self._catalog.access.authorize_grant(identity, kind, name)
        held = self._catalog.access.grants(kind, name, permit.principal)
        if any(grant.privilege == permit.privilege for grant in held):
            return False
        self._catalog.access.grant(identity.principal, [permit.principal], [permit.privilege], kind, name)
        return anew

    def _leave(self, owner: Identity, environment: str, project: str, wanted: set[Place]) -> list[str]:
        """Drop the places that left the bundle and are empty; texts about those that hold something."""
        with self._database.writing() as connection:
            query = sa.select(bundle_places.c.kind, bundle_places.c.name).where(
                *_at(bundle_places, environment=environment, project=project)
            )
            gone = [(kind, name) for kind, name in connection.execute(query) if (kind, name) not in wanted]
            kept = []
            for kind, name in sorted(gone, key=lambda place: place[0] == "schema"):  # a schema goes after its volumes
                connection.execute(bundle_places.delete().where(*_at(bundle_places, kind=kind, name=name)))
                if kind != "model" and self._catalog.exists(kind, name) and not self._dropped(owner, kind, name):
                    kept.append(f"the {kind} {name} is not empty and stays: `boathouse {kind}s drop {name}` removes it")
        return kept

    def _dropped(self, owner: Identity, kind: SecurableKind, name: str) -> bool:
        if kind == "volume":
            if self._volumes.files(owner, name, limit=1).files:
                return False
            self._volumes.drop(owner, name)
            return True
        try:
            self._catalog.drop_schema(owner, name)
        except Conflict:
            return False
        return True


def _at(table: sa.Table, **values: str) -> list[sa.ColumnElement[bool]]:
    return [table.c[column] == value for column, value in values.items()]
