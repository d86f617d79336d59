"""Expectations that bundles declare of tables: set by a deployment, or when a job makes the table."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from boathouse import names
from boathouse.catalog import Catalog, declared
from boathouse.environments import Deployments, service_principal
from boathouse.identity import Identity
from boathouse.project import Table

TABLE = "table"
Definitions = Iterable[Mapping[str, Any]]


class DeclaredTables:
    """Makes what is expected of tables be as the deployed bundle says, and leaves all else of them alone."""

    def __init__(self, catalog: Catalog, deployments: Deployments) -> None:
        self._catalog = catalog
        self._deployments = deployments
        catalog.awaited = self.awaited

    def awaited(self, name: str, schema: pa.Schema) -> dict[str, Any]:
        """What is deployed about a table that is being made. Raises InvalidInput for what its rows cannot be asked."""
        place = names.parse(name)
        scratch = place.schema.rpartition(names.SCRATCH_MARK)[0] if names.is_scratch(name) else ""
        rules, lag = dict[str, Any](), None
        for resource in self._deployments.resources(TABLE, place.catalog, scratch=scratch):
            table = Table.model_validate(resource.definition)
            if f"{table.schema_name}.{table.name}" == place.short:
                rules |= declared(table.rules, schema, name)
                lag = table.lag or lag
        return {"expectations": rules, "freshness": lag}

    def sync(self, identity: Identity, environment: str, before: Definitions, wanted: Definitions) -> None:
        """Set what is new and take back what left the bundle, of tables that are there.

        Needs MANAGE, but on tables of the environment's own jobs. Raises NotPermitted, InvalidInput.
        """
        former, now = ({f"{environment}.{t.schema_name}.{t.name}": t for t in map(Table.model_validate, bodies)}
                       for bodies in (before, wanted))  # fmt: skip
        for name in sorted(former.keys() | now.keys()):
            if self._catalog.exists("table", name):
                self._set(identity, environment, name, former.get(name), now.get(name))

    def _set(self, identity: Identity, environment: str, name: str, former: Table | None, now: Table | None) -> None:
        info, gone = self._catalog.table(name), former.rules if former else {}
        rules = declared(now.rules, self._catalog.folder(info).schema(), name) if now and now.rules else {}
        kept = {n: rule for n, rule in info.expectations.items() if n in rules or gone.get(n) != rule}
        lag = now.lag if now and now.lag else None if former and former.lag == info.freshness else info.freshness
        wanted = {"expectations": {**kept, **rules}, "freshness": lag}
        if changes := {k: v for k, v in wanted.items() if v != getattr(info, k)}:
            jobs = service_principal(environment)
            self._catalog.describe(Identity(jobs) if info.owner == jobs else identity, name, changes)
