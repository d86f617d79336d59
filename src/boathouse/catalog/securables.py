"""Catalogs beside the environments, and what holds for securables of every kind: comment and owner."""

from collections.abc import Collection, Mapping

import sqlalchemy as sa

from boathouse import names
from boathouse.catalog.held import note_change
from boathouse.catalog.privileges import METASTORE
from boathouse.catalog.quarantine import guarded_alike
from boathouse.catalog.service import Catalog
from boathouse.catalog.store import securables
from boathouse.catalog.values import Securable, SecurableKind
from boathouse.database import Database
from boathouse.errors import Conflict, InvalidInput, NotFound
from boathouse.identity import Identities, Identity


class Securables:
    """Makes and drops catalogs, describes securables, hands them to other owners."""

    def __init__(self, database: Database, catalog: Catalog, identities: Identities, environments: Collection[str]) -> None:
        self._database = database
        self._catalog = catalog
        self._identities = identities
        self._environments = environments

    def create_catalog(self, identity: Identity, name: str, comment: str = "") -> Securable:
        """A catalog for data alone: no jobs run in it. Needs CREATE CATALOG on the metastore. Raises AlreadyExists."""
        names.check_level(name)
        self._catalog.access.authorize(identity, "CREATE CATALOG", "metastore", METASTORE)
        return self._catalog.create_catalog(name, identity.principal, comment)

    def drop_catalog(self, identity: Identity, name: str, cascade: bool = False, force: bool = False) -> None:
        """Remove a catalog, with `cascade` its schemas and all in them; needs MANAGE.

        Raises Conflict for an environment's catalog, and for one that is not empty.
        """
        self._catalog.access.authorize(identity, "MANAGE", "catalog", name)
        self._catalog.require("catalog", name)
        if name in self._environments:
            raise Conflict(f"{name} is an environment; its catalog stays as long as the installation")
        inside = self._catalog.securables("schema", parent=name)
        if inside and not cascade:
            raise Conflict(f"{name} holds {len(inside)} schemas, {inside[0].name} among them; drop them first")
        for schema in inside:
            self._catalog.drop_schema(identity, schema.name, cascade=True, force=force)
        self._catalog.unregister(identity, "catalog", name)

    def find(self, identity: Identity, name: str, kind: SecurableKind | None = None) -> Securable:
        """What has a name, among all that the identity may know of.

        Raises NotFound, and InvalidInput when securables of several kinds have it and none is asked for.
        """
        query = sa.select(securables.c.kind).where(securables.c.name == name).order_by(securables.c.kind)
        with self._database.reading() as connection:
            kinds = connection.execute(query.where(securables.c.kind == kind) if kind else query).scalars().all()
        seen = [k for k in kinds if self._catalog.visible(identity, k, name)]
        if not seen:
            raise NotFound(f"nothing is named {name} that you may see")
        if len(seen) > 1:
            raise InvalidInput(f"{' and '.join(f'a {k}' for k in seen)} are named {name}: say which kind you mean")
        return self._catalog.require(seen[0], name)

    def alter(self, identity: Identity, kind: SecurableKind, name: str, *, comment: str | None = None,
              owner: str | None = None) -> Securable:  # fmt: skip
        """Change the comment, which needs MANAGE, or the owner, who must exist.

        Owners of the securable or of anything above hand it over, and holders of MANAGE. Raises NotFound, NotPermitted.
        """
        if owner is not None:
            self._catalog.access.authorize_grant(identity, kind, name)
            self._identities.get(owner)
        if comment is not None:
            self._catalog.access.authorize(identity, "MANAGE", kind, name)
        found = self._catalog.require(kind, name)
        changes: Mapping[str, str] = {
            k: v for k, v in (("comment", comment), ("owner", owner)) if v is not None and v != getattr(found, k)
        }
        if changes:
            with self._database.writing() as connection:
                which = (securables.c.kind == kind, securables.c.name == name)
                connection.execute(sa.update(securables).where(*which).values(**changes))
                note_change(connection, kind, name)
                beside = [n for n in guarded_alike(self._database, kind, name) if n != name and owner is not None]
                for table in beside:
                    same = (securables.c.kind == kind, securables.c.name == table)
                    connection.execute(sa.update(securables).where(*same).values(owner=owner))
                    note_change(connection, kind, table)
                former = {f"former_{k}": getattr(found, k) for k in changes}
                self._catalog.audit.write(connection, identity.principal, f"alter {kind}", name, {**changes, **former})
        return self._catalog.require(kind, name)
