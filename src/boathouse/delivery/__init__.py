"""Delivery of models: evidence about a new version, and the gate that decides over it."""

from boathouse.delivery.again import compare_versions
from boathouse.delivery.asked import MODES, Fairness, Limits, Plan, ReplayAsked
from boathouse.delivery.bootstrap import paired_bootstrap
from boathouse.delivery.evaluate import gather
from boathouse.delivery.evidence import Check, Evidence, Outcome, Replay, Verdict
from boathouse.delivery.fairness import FAIRNESS, fairness
from boathouse.delivery.gates import decide
from boathouse.delivery.held import Held, held, touched
from boathouse.delivery.pickles import Import, unsafe
from boathouse.delivery.requirements import check_requirements
from boathouse.delivery.service import Delivery
from boathouse.delivery.threshold import HIGHER_IS_BETTER, LOWER_IS_BETTER, Threshold, direction_of
from boathouse.delivery.trial import Trial, try_out

__all__ = [
    "FAIRNESS", "HIGHER_IS_BETTER", "LOWER_IS_BETTER", "MODES", "Check", "Delivery", "Evidence", "Fairness", "Held", "Import",
    "Limits",
    "Outcome", "Plan", "Replay", "ReplayAsked", "Threshold", "Trial", "Verdict", "check_requirements",
    "compare_versions", "decide", "direction_of",
    "fairness", "gather", "held", "paired_bootstrap", "touched", "try_out", "unsafe",
]  # fmt: skip
