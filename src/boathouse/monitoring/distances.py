"""Distances between pairs of distributions given as counts, for many pairs at once.

`p` and `q` have shape (pairs, categories): rows of each side in each category. A category that neither
side of a pair has is none of its categories. A pair without rows on one side gives NaN.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_GROUPS = 10
_SMOOTHING = 0.5


def population_stability(p: Floats, q: Floats) -> tuple[Floats, Floats]:
    """PSI, and its noise floor: what it stays under 99 times of 100 without drift."""
    from scipy.special import chdtri

    used = (p + q) > 0
    k, n, m = used.sum(1), p.sum(1), q.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        smooth_p = (p + _SMOOTHING) / (n + _SMOOTHING * k)[:, None]
        smooth_q = (q + _SMOOTHING) / (m + _SMOOTHING * k)[:, None]
        terms = (smooth_p - smooth_q) * np.log(smooth_p / smooth_q)
        floor = np.where(k > 1, (1 / n + 1 / m) * chdtri(np.maximum(k - 1, 1), 0.01), 0.0)
    both = (n > 0) & (m > 0)
    return np.where(both, np.where(used, terms, 0).sum(1), np.nan), np.where(both, floor, np.nan)


def jensen_shannon(p: Floats, q: Floats) -> Floats:
    """The square root of the Jensen-Shannon divergence in base 2, 0 to 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        x, y = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
        middle = (x + y) / 2
        halves = [np.where(side > 0, side * np.log2(side / middle), 0).sum(1) for side in (x, y)]
    both = (p.sum(1) > 0) & (q.sum(1) > 0)
    return np.where(both, np.sqrt(np.maximum(0, (halves[0] + halves[1]) / 2)), np.nan)


def kolmogorov_smirnov(p: Floats, q: Floats) -> tuple[Floats, Floats]:
    """Statistic over ordered bins (a lower bound, exact up to what happens inside a bin) and its p-value."""
    from scipy.special import kolmogorov

    n, m = p.sum(1), q.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(np.cumsum(p, 1) / n[:, None] - np.cumsum(q, 1) / m[:, None]).max(1)
        return statistic, kolmogorov(statistic * np.sqrt(n * m / (n + m)))


def wasserstein(lo: Floats, hi: Floats, p: Floats, p_sums: Floats, q: Floats, q_sums: Floats) -> Floats:
    """The area between the distribution functions, which count and sum give exactly for each bin [lo, hi).

    Over a bin the integral of F is F(lo) (hi - lo) + (count hi - sum) / n. `lo` and `hi` have shape (bins,).
    """
    n, m = p.sum(1, keepdims=True), q.sum(1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share, total = p / n - q / m, p_sums / n - q_sums / m
    before = np.cumsum(share, 1) - share
    edge = np.where(np.isfinite(hi), hi, np.where(np.isfinite(lo), lo, 0))
    inner = np.isfinite(lo) & np.isfinite(hi)
    width = np.subtract(hi, lo, out=np.zeros_like(lo), where=inner)
    area: Floats = np.abs(before * width + share * edge - total).sum(1)
    return area


def pooled(p: Floats, q: Floats) -> tuple[Floats, Floats]:
    """About ten groups of neighbouring bins, of equal count in `q`; a bin heavier than that stays alone."""
    share = q / np.maximum(q.sum(1, keepdims=True), 1)
    group = np.minimum((np.cumsum(share, 1) - share / 2) * _GROUPS, _GROUPS - 1).astype(int)
    both = [np.stack([np.where(group == g, side, 0).sum(1) for g in range(_GROUPS)], 1) for side in (p, q)]
    return both[0], both[1]


def known(value: Any) -> float | None:
    """A number, or None for NaN."""
    return None if np.isnan(value) else float(value)
