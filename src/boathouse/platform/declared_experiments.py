"""Experiments that bundles declare: made by a deployment with description and tags, and never deleted by one."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from boathouse.catalog import Catalog
from boathouse.environments import Deployments, experiment_securable
from boathouse.identity import Identity
from boathouse.registry import Registry, declare_experiment, declared_name, declared_tags

EXPERIMENT = "experiment"
_log = logging.getLogger(__name__)
Definitions = Iterable[Mapping[str, Any]]


class DeclaredExperiments:
    """Makes MLflow's experiments be as the deployed bundle says."""

    def __init__(self, registry: Registry, catalog: Catalog, deployments: Deployments) -> None:
        self._registry = registry
        self._catalog = catalog
        self._deployments = deployments
        registry.on_ready = self.make_all

    def make_all(self) -> None:
        """Make what was deployed before MLflow's tables were there."""
        for resource in self._deployments.resources(EXPERIMENT):
            try:
                deployed_by = self._deployments.deployment(resource.deployment).deployed_by
                self.sync(Identity(deployed_by), resource.environment, [], [resource.definition])
            except Exception:  # MLflow answers without it, too
                _log.exception("the experiment %s of %s could not be made", resource.name, resource.environment)

    def sync(self, identity: Identity, environment: str, before: Definitions, wanted: Definitions) -> list[str]:
        """Make what is missing and change tags; texts about what could not be."""
        declared = list(wanted)
        if not declared:
            return []
        owner = self._catalog.require("catalog", environment).owner
        for body in declared:
            self._catalog.adopt("experiment", experiment_securable(environment, body["name"]), owner)
        if not self._registry.ready():
            return []  # `make_all` makes them as soon as MLflow is there
        former = {declared_name(environment, b["name"]): _tags(b) for b in before}
        notes = []
        with self._registry.database.writing() as connection:
            for body in declared:
                name = declared_name(environment, body["name"])
                found = declare_experiment(connection, environment, name, identity.principal, _tags(body), former.get(name, ()))
                if found == "made":
                    self._catalog.audit.write(connection, identity.principal, "create experiment", name)
                elif found == "deleted":
                    notes.append(f"the experiment {name} was deleted in MLflow and stays so: restore it there")
        return notes


def _tags(body: Mapping[str, Any]) -> dict[str, str]:
    return declared_tags(str(body.get("description") or ""), body.get("tags") or {})
