"""Feature specs and the endpoints that serve them, for the client's methods of these names."""

from collections.abc import Iterable, Sequence
from typing import Any

from boathouse.context import Context
from boathouse.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from boathouse.feature_engineering.entities import EndpointCoreConfig, FeatureServingEndpoint
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpec, FeatureSpecInfo, as_asked, resolve_alone
from boathouse.training import facts_of


def create_spec(context: Context, name: str, features: Any,
                exclude_columns: Sequence[str]) -> FeatureSpecInfo:  # fmt: skip
    """Resolve and register a spec of lookups and functions, of one at least. Raises InvalidInput."""
    asked = list(features) if isinstance(features, Iterable) and not isinstance(features, str) else [features]
    for one in asked:
        if not isinstance(one, FeatureLookup | FeatureFunction):
            raise InvalidInput(f"features of {name} holds {one!r}: it takes FeatureLookup and FeatureFunction")
    if not asked:
        raise InvalidInput(f"the feature spec {name} has no features: give at least one FeatureLookup or FeatureFunction")
    tables, functions = facts_of(context, asked)
    spec = resolve_alone(asked, tables, exclude_columns, function_facts=functions)
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
    """An endpoint that serves the features of a spec.

    Raises NotFound where there is no such spec, AlreadyExists for an endpoint's name: another may ask that one.
    """
    if not isinstance(config, EndpointCoreConfig):
        raise InvalidInput(f"the config of the endpoint {name} is {config!r}: give EndpointCoreConfig(served_entities=…)")
    entity = config.entity
    find_spec(context, entity.feature_spec_name)
    if _is_there(context, name):
        raise AlreadyExists(f"{context.environment} has an endpoint {name!r} already: delete_feature_serving_endpoint ends it")
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


def _is_there(context: Context, name: str) -> bool:
    try:
        endpoint(context, name)
    except NotFound:
        return False
    return True


def delete_endpoint(context: Context, name: str) -> None:
    """End an endpoint and forget it."""
    context.call("DELETE", _address(context, name))


def _address(context: Context, name: str) -> str:
    return f"/api/v1/endpoints/{context.environment}/{name}"
