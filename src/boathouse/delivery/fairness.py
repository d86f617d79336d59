"""Whether a classifier treats the rows inside a Boolean slice as those outside: pure functions over labels and predictions.

Each metric is a rate inside minus the same rate outside, for one class taken as the favourable outcome: 0 is equal treatment.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Flags = NDArray[np.bool_]

FAIRNESS = ("statistical_parity", "equal_opportunity", "predictive_equality", "predictive_parity")


def fairness(y: ArrayLike, predicted: ArrayLike, inside: ArrayLike, positive: Any = 1) -> dict[str, float]:
    """Metric -> difference over n rows; NaN where one side has no row that counts.

    `y` holds true classes, `predicted` predicted ones, `inside` (n,) whether a row is in the slice.

    statistical_parity: P(predicted) — Dwork et al., Fairness through Awareness, 2012.
    equal_opportunity: P(predicted | true), the true positive rate — Hardt, Price, Srebro, Equality of Opportunity in
    Supervised Learning, 2016.
    predictive_equality: P(predicted | not true), the false positive rate — Corbett-Davies et al., Algorithmic Decision
    Making and the Cost of Fairness, 2017.
    predictive_parity: P(true | predicted), the precision — Chouldechova, Fair Prediction with Disparate Impact, 2017.
    """
    true, chosen = np.asarray(y) == positive, np.asarray(predicted) == positive
    side = np.asarray(inside, dtype=bool)
    every = np.ones(true.size, dtype=bool)
    return {
        "statistical_parity": _gap(chosen, every, side), "equal_opportunity": _gap(chosen, true, side),
        "predictive_equality": _gap(chosen, ~true, side), "predictive_parity": _gap(true, chosen, side),
    }  # fmt: skip


def _gap(event: Flags, given: Flags, side: Flags) -> float:
    """The rate of `event` among rows that are `given`, inside minus outside."""
    within, without = given & side, given & ~side
    if not within.any() or not without.any():
        return float("nan")
    return float(event[within].mean() - event[without].mean())
