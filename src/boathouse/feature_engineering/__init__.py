"""The published feature-engineering client's names, over this lakehouse."""

from boathouse.feature_engineering.client import FeatureEngineeringClient, FeatureTable, PublishedTable
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpec
from boathouse.training import TrainingSet

__all__ = [
    "FeatureEngineeringClient", "FeatureFunction", "FeatureLookup", "FeatureSpec", "FeatureTable", "PublishedTable",
    "TrainingSet",
]  # fmt: skip
