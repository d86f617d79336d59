"""Feature specs under a name of their own, for training sets and for endpoints that serve features without a model."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock, names
from boathouse.catalog import Catalog
from boathouse.database import Database
from boathouse.errors import AlreadyExists, NotFound
from boathouse.features.specs import FeatureSpec
from boathouse.features.store import feature_specs
from boathouse.identity import Identity


@dataclass(frozen=True)
class FeatureSpecInfo:
    """A registered spec; `spec` is its YAML, `id` a number that no later spec of the same name has."""

    name: str
    id: int
    spec: str
    owner: str
    created_at: datetime

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "created_at": self.created_at.isoformat()}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "FeatureSpecInfo":
        """From `to_dict`."""
        return cls(**{**body, "created_at": datetime.fromisoformat(body["created_at"])})


class FeatureSpecs:
    """Specs under `environment.schema.spec`: functions to the grants, as Unity Catalog has them."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def create(self, identity: Identity, name: str, text: str) -> FeatureSpecInfo:
        """Register a spec; needs CREATE FUNCTION on the schema and SELECT on its tables. Raises AlreadyExists."""
        name = str(names.parse(name))
        spec = FeatureSpec.from_yaml(text)
        for table in spec.tables:
            self._catalog.access.authorize(identity, "SELECT", "table", str(names.parse(table, name.partition(".")[0])))
        if any(s.name == name for s in self._catalog.securables("function", parent=name.rpartition(".")[0])):
            raise AlreadyExists(f"a function or feature spec {name} exists already")
        with self._database.writing() as connection:
            self._catalog.register(identity, "function", name, "CREATE FUNCTION")
            row = {"name": name, "spec": text, "created_at": clock.now(), "created_by": identity.principal}
            connection.execute(feature_specs.insert().values(row))
            self._catalog.audit.write(connection, identity.principal, "create feature spec", name)
        return self.spec(identity, name)

    def spec(self, identity: Identity, name: str) -> FeatureSpecInfo:
        """A spec; needs EXECUTE. Raises NotFound."""
        self._catalog.access.authorize(identity, "EXECUTE", "function", name)
        return self.known(name)

    def known(self, name: str) -> FeatureSpecInfo:
        """A spec for the platform's own use. Raises NotFound."""
        if (found := self.find(name)) is None:
            told = f"no feature spec is named {name}; `boathouse features specs` shows those there are"
            raise NotFound(told, kind="feature_spec", name=name)
        return found

    def find(self, name: str) -> FeatureSpecInfo | None:
        """A spec for the platform's own use, or None."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(feature_specs).where(feature_specs.c.name == name)).mappings().first()
        return self._info(row) if row else None

    def everyone(self) -> list[FeatureSpecInfo]:
        """All specs, for the platform's own use."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(feature_specs).order_by(feature_specs.c.name)).mappings().all()
        return [self._info(row) for row in rows]

    def specs(self, identity: Identity, environment: str | None = None) -> list[FeatureSpecInfo]:
        """The specs that the identity may use, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(feature_specs).order_by(feature_specs.c.name)).mappings().all()
        return [
            self._info(row) for row in rows
            if environment in (None, row["name"].partition(".")[0])
            and self._catalog.access.allows(identity, "EXECUTE", "function", row["name"])
        ]  # fmt: skip

    def drop(self, identity: Identity, name: str, force: bool = False) -> None:
        """Forget a spec; needs MANAGE. Raises Conflict for one in use, unless forced."""
        self._catalog.access.authorize(identity, "MANAGE", "function", name)
        self.spec(identity, name)
        self._catalog.protection.check(identity, "drop feature spec", "function", name, force=force)
        with self._database.writing() as connection:
            self._catalog.unregister(identity, "function", name)
            connection.execute(feature_specs.delete().where(feature_specs.c.name == name))

    def _info(self, row: Any) -> FeatureSpecInfo:
        owner = self._catalog.require("function", row["name"]).owner
        return FeatureSpecInfo(row["name"], row["id"], row["spec"], owner, clock.parse_instant(row["created_at"]))
