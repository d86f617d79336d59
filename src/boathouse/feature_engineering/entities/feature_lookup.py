"""The published client's other place of FeatureLookup."""

from boathouse.features import FeatureLookup

__all__ = ["FeatureLookup"]
