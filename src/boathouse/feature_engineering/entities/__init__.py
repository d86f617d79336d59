"""The published client's value classes, under the names of its modules."""

from boathouse.feature_engineering.entities.feature_serving_endpoint import (
    AutoCaptureConfig,
    EndpointCoreConfig,
    FeatureServingEndpoint,
    ServedEntity,
)
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpecInfo

__all__ = [
    "AutoCaptureConfig",
    "EndpointCoreConfig",
    "FeatureFunction",
    "FeatureLookup",
    "FeatureServingEndpoint",
    "FeatureSpecInfo",
    "ServedEntity",
]
