"""Endpoints that people make by hand."""

from collections.abc import Callable, Mapping
from typing import Any

from boathouse.catalog import AccessControl
from boathouse.environments import Deployments, served_entities
from boathouse.errors import InvalidInput
from boathouse.features import FeatureSpecs
from boathouse.identity import Identity
from boathouse.project import definition, parse_resource
from boathouse.serving import Endpoints, served_entity


class HandMadeEndpoints:
    """Beside those of projects, under the same names."""

    def __init__(self, access: AccessControl, deployments: Deployments, feature_specs: FeatureSpecs, endpoints: Endpoints,
                 flush: Callable[[str, str], int]) -> None:  # fmt: skip
        """`flush` moves what an endpoint has logged into its table."""
        self._access = access
        self._deployments = deployments
        self._feature_specs = feature_specs
        self._endpoints = endpoints
        self._flush = flush

    def put(self, identity: Identity, environment: str, name: str, body: Mapping[str, Any]) -> None:
        """Make or change an endpoint by hand, for a model or a feature spec. Raises Conflict, InvalidInput, NotPermitted."""
        wanted = definition(parse_resource("model_serving_endpoint", {**body, "name": name}))
        self._access.authorize(identity, "MANAGE ENDPOINT", "endpoint", f"{environment}.{name}")
        if len(named := {e.model for e in served_entities(environment, wanted)}) > 1:
            raise InvalidInput(f"an endpoint serves versions of one model, not of {' and '.join(sorted(named))}")
        entity = served_entity(environment, wanted)[0]
        self._access.authorize(identity, "EXECUTE", "function" if self._feature_specs.find(entity) else "model", entity)
        if any(r.name == name for r in self._deployments.resources("model_serving_endpoint", environment)):
            self._flush(environment, name)  # what was asked of another model goes to that model's table
        self._deployments.put(identity, environment, "model_serving_endpoint", name, wanted)
        self._endpoints.wake()
