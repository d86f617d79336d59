"""The published feature-engineering client's names, over this lakehouse."""

from boathouse.feature_engineering.client import FeatureEngineeringClient, FeatureTable, PublishedTable
from boathouse.feature_engineering.entities import (
    AutoCaptureConfig,
    EndpointCoreConfig,
    FeatureServingEndpoint,
    ServedEntity,
)
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpec, FeatureSpecInfo, LeakReport
from boathouse.training import TrainingSet

__all__ = [
    "AutoCaptureConfig",
    "EndpointCoreConfig",
    "FeatureEngineeringClient",
    "FeatureFunction",
    "FeatureLookup",
    "FeatureServingEndpoint",
    "FeatureSpec",
    "FeatureSpecInfo",
    "FeatureTable",
    "LeakReport",
    "PublishedTable",
    "ServedEntity",
    "TrainingSet",
]
