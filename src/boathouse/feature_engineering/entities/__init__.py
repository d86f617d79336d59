"""The published client's value classes, under the names of its modules."""

from boathouse.feature_engineering.entities import declared, feature_serving_endpoint, materializing
from boathouse.feature_engineering.entities.declared import *  # noqa: F403
from boathouse.feature_engineering.entities.feature_serving_endpoint import *  # noqa: F403
from boathouse.feature_engineering.entities.materializing import *  # noqa: F403
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpecInfo

__all__ = ["FeatureFunction", "FeatureLookup", "FeatureSpecInfo"]
__all__ += declared.__all__
__all__ += feature_serving_endpoint.__all__
__all__ += materializing.__all__
