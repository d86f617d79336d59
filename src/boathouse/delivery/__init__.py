"""Delivery of models: evidence about a new version, and the gate that decides over it."""

from boathouse.delivery.bootstrap import paired_bootstrap
from boathouse.delivery.evaluate import gather
from boathouse.delivery.evidence import Check, Evidence, Outcome, Verdict
from boathouse.delivery.gates import decide
from boathouse.delivery.service import Delivery, Plan
from boathouse.delivery.threshold import HIGHER_IS_BETTER, LOWER_IS_BETTER, Threshold, direction_of

__all__ = [
    "HIGHER_IS_BETTER",
    "LOWER_IS_BETTER",
    "Check",
    "Delivery",
    "Evidence",
    "Outcome",
    "Plan",
    "Threshold",
    "Verdict",
    "decide",
    "direction_of",
    "gather",
    "paired_bootstrap",
]
