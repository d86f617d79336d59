"""Declared features under names of their own: definitions as code, for whoever may use them."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from boathouse import clock, names
from boathouse.catalog import Catalog
from boathouse.database import Database
from boathouse.errors import AlreadyExists, NotFound
from boathouse.features.declared import Feature
from boathouse.features.store import declared_features
from boathouse.identity import Identity


class RegisteredFeatures:
    """Features under `environment.schema.feature`: functions to the grants. Whoever computes one needs its source too."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def create(self, identity: Identity, name: str, definition: Mapping[str, Any]) -> dict[str, Any]:
        """Register a feature; needs CREATE FUNCTION on the schema and SELECT on its source. Raises AlreadyExists."""
        name = str(names.parse(name))
        feature = Feature.from_dict({**definition, "full_name": name, "name": name.rpartition(".")[2]}).to_dict()
        source = feature["source"]
        table = ".".join((source["catalog_name"] or name.partition(".")[0], source["schema_name"], source["table_name"]))
        self._catalog.access.authorize(identity, "SELECT", "table", table)
        if any(s.name == name for s in self._catalog.securables("function", parent=name.rpartition(".")[0])):
            raise AlreadyExists(f"a function, feature or feature spec {name} exists already")
        with self._database.writing() as connection:
            self._catalog.register(identity, "function", name, "CREATE FUNCTION", feature["description"])
            row = {"name": name, "definition": json.dumps(feature), "created_at": clock.now(), "created_by": identity.principal}
            connection.execute(declared_features.insert().values(row))
            self._catalog.audit.write(connection, identity.principal, "create feature", name)
        return feature

    def feature(self, identity: Identity, name: str) -> dict[str, Any]:
        """A feature's definition; needs EXECUTE. Raises NotFound."""
        self._catalog.access.authorize(identity, "EXECUTE", "function", name)
        with self._database.reading() as connection:
            found = connection.execute(
                sa.select(declared_features.c.definition).where(declared_features.c.name == name)
            ).scalar()  # fmt: skip
        if found is None:
            told = f"no declared feature is named {name}; `boathouse features declared` shows those there are"
            raise NotFound(told, kind="declared_feature", name=name)
        return dict(json.loads(found))

    def features(self, identity: Identity, schema: str | None = None) -> list[dict[str, Any]]:
        """The features that the identity may use, by name; of one environment or `environment.schema`, where given."""
        query = sa.select(declared_features).order_by(declared_features.c.name)
        if schema:
            query = query.where(declared_features.c.name.startswith(f"{schema}.", autoescape=True))
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return [
            json.loads(row["definition"]) for row in rows
            if self._catalog.access.allows(identity, "EXECUTE", "function", row["name"])
        ]  # fmt: skip

    def everyone(self) -> list[tuple[str, dict[str, Any]]]:
        """Names and definitions of all features, for the platform's own use."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(declared_features).order_by(declared_features.c.name)).all()
        return [(row.name, json.loads(row.definition)) for row in rows]

    def drop(self, identity: Identity, name: str, force: bool = False) -> None:
        """Forget a feature; needs MANAGE. Tables that hold its values stay. Raises Conflict for one in use, unless forced."""
        self._catalog.access.authorize(identity, "MANAGE", "function", name)
        self.feature(identity, name)
        self._catalog.protection.check(identity, "drop feature", "function", name, force=force)
        with self._database.writing() as connection:
            self._catalog.unregister(identity, "function", name)
            connection.execute(declared_features.delete().where(declared_features.c.name == name))
