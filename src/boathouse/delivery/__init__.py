"""Delivery of models: evidence about a new version, and the gate that decides over it."""

from boathouse.delivery.again import compare_versions
from boathouse.delivery.asked import MODES, Fairness, Limits, Plan, ReplayAsked
from boathouse.delivery.bootstrap import paired_bootstrap
from boathouse.delivery.evaluate import gather
from boathouse.delivery.evidence import Check, Evidence, Outcome, Replay, Verdict
from boathouse.delivery.fairness import FAIRNESS, fairness
from boathouse.delivery.gates import decide
from boathouse.delivery.health import Health, Reading, bin_of, total
from boathouse.delivery.held import Held, held, touched
from boathouse.delivery.pickles import Import, unsafe
from boathouse.delivery.requirements import check_requirements
from boathouse.delivery.rollout import MIN_REQUESTS, Rollout, RolloutAsked, judge
from boathouse.delivery.rollouts import Rollouts
from boathouse.delivery.service import Delivery
from boathouse.delivery.threshold import METRICS, SYNONYMS, Threshold, direction_of
from boathouse.delivery.trial import Trial, try_out

__all__ = [
    "FAIRNESS", "METRICS", "MIN_REQUESTS", "MODES", "SYNONYMS", "Check", "Delivery", "Evidence", "Fairness",
    "Health", "Held", "Import", "Limits", "Outcome", "Plan", "Reading", "Replay", "ReplayAsked", "Rollout", "RolloutAsked",
    "Rollouts", "Threshold", "Trial", "Verdict", "bin_of", "check_requirements", "compare_versions", "decide", "direction_of",
    "fairness", "gather", "held", "judge", "paired_bootstrap", "total", "touched", "try_out", "unsafe",
]  # fmt: skip
