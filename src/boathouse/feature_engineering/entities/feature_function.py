"""The published client's other place of FeatureFunction."""

from boathouse.features import FeatureFunction

__all__ = ["FeatureFunction"]
