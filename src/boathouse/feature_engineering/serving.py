"""Feature specs and the endpoints that serve them, for the client's methods of these names."""

from collections.abc import Sequence
from typing import Any

from boathouse.context import Context
from boathouse.errors import Unavailable
from boathouse.feature_engineering.entities import EndpointCoreConfig, FeatureServingEndpoint
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpec, FeatureSpecInfo, as_asked, resolve_alone
from boathouse.training import facts_of


def create_spec(context: Context, name: str, features: Sequence[FeatureLookup | FeatureFunction],
                exclude_columns: Sequence[str]) -> FeatureSpecInfo:  # fmt: skip
    """Resolve and register a spec."""
    tables, functions = facts_of(context, features)
    spec = resolve_alone(features, tables, exclude_columns, function_facts=functions)
    made = context.call("POST", f"/api/v1/feature-specs/{context.complete(name)}", {"spec": spec.to_yaml()})
    return FeatureSpecInfo.from_dict(made)


def find_spec(context: Context, name: str) -> FeatureSpec:
    """A registered spec. Raises NotFound, NotPermitted."""
    found = context.call("GET", f"/api/v1/feature-specs/{context.complete(name)}")
    return FeatureSpec.from_yaml(found["spec"])


def features_of(context: Context, spec_name: str) -> tuple[list[FeatureLookup | FeatureFunction], list[str]]:
    """What a registered spec looks up and computes, and the columns it leaves out."""
    return as_asked(find_spec(context, spec_name))


def create_endpoint(context: Context, name: str, config: EndpointCoreConfig) -> FeatureServingEndpoint:
    """An endpoint that serves the features of a spec. Raises NotFound where there is no such spec."""
    entity = config.entity
    find_spec(context, entity.feature_spec_name)
    served = {"name": entity.name or "features", "entity_name": context.complete(entity.feature_spec_name)}
    body = {"name": name, "config": {"served_entities": [served]}}
    context.call("PUT", _address(context, name), body)
    return endpoint(context, name)


def endpoint(context: Context, name: str) -> FeatureServingEndpoint:
    """An endpoint as it is. Raises NotFound."""
    try:
        found: dict[str, Any] = context.call("GET", _address(context, name))
    except Unavailable:  # it is on its way up
        return FeatureServingEndpoint(name, "STARTING", "")
    return FeatureServingEndpoint(name, found["state"], found["model"], found)


def delete_endpoint(context: Context, name: str) -> None:
    """End an endpoint and forget it."""
    context.call("DELETE", _address(context, name))


def _address(context: Context, name: str) -> str:
    return f"/api/v1/endpoints/{context.environment}/{name}"
