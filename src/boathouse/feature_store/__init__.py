"""The published client's older package: its class, and what stands beside it in scripts."""

from boathouse.feature_engineering import FeatureFunction, FeatureLookup, FeatureStoreClient

__all__ = ["FeatureFunction", "FeatureLookup", "FeatureStoreClient"]
