"""Measures of probabilities for every group of a cube: AUC, log loss, Brier score, calibration error.

In NumPy, as ranking every slice's rows by SQL window functions took ten times as long. The formulas are
those of `measures`, which the tests hold these to.
"""

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boathouse.monitoring.cube import Members
from boathouse.monitoring.measures import CALIBRATION_BINS

_EPS = float(np.finfo(np.float64).eps)

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


def scored(con: duckdb.DuckDBPyConnection, groups: Members, labelled: str) -> pa.Table:
    """Group `g`, `position` -1 and the measures, null where undefined.

    `labelled` is a relation of the rows that count: their cell `__k`, score `s` and whether positive, `pos`.
    """
    rows = con.sql(f"SELECT __k, s, pos FROM {labelled}").to_arrow_table()
    s, pos = (rows[name].to_numpy().astype(float) for name in ("s", "pos"))
    order = np.argsort(s)
    s, pos, cell = s[order], pos[order], rows["__k"].to_numpy()[order]
    parts = []
    for group_of in groups.maps():
        group = group_of[cell]
        inside = group >= 0
        parts.append(_measures(s[inside], pos[inside], group[inside], len(groups.g)))
    # Each group is in one grouping set, so at most one part knows it.
    found = {name: np.fmax.reduce([part[name] for part in parts]) for name in parts[0]}
    columns = {name: pa.array(values, from_pandas=True) for name, values in found.items()}
    return pa.table({"g": groups.g, "position": pa.repeat(-1, len(groups.g)), **columns})


def _measures(s: _Floats, pos: _Floats, group: _Ints, total: int) -> dict[str, _Floats]:
    """The measures of each of `total` groups from rows sorted by score; NaN where undefined."""

    def summed(values: _Floats) -> _Floats:
        return np.bincount(group, values, total).astype(float)

    n = summed(np.ones(len(s)))
    clipped = np.clip(s, _EPS, 1 - _EPS)
    bins = np.clip((s * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(group * CALIBRATION_BINS + bins, s - pos, total * CALIBRATION_BINS)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "roc_auc_score": _auc(s, pos, group, total),
            "log_loss": -summed(np.log(np.where(pos == 1, clipped, 1 - clipped))) / n,
            "brier": summed((s - pos) ** 2) / n,
            "calibration_error": np.abs(gaps.reshape(total, -1)).sum(axis=1) / n,
            "mean_prediction": summed(s) / n,
        }


def _auc(s: _Floats, pos: _Floats, group: _Ints, total: int) -> _Floats:
    """Mann-Whitney for each group, a tie counting half, from rows sorted by score."""
    if not len(s):
        return np.full(total, np.nan)
    # Few groups fit 16 bits, which NumPy sorts by radix.
    by = np.argsort(group.astype(np.int16 if total < 2**15 else np.int64), kind="stable")
    s, pos, group = s[by], pos[by], group[by]
    new = np.append(True, (group[1:] != group[:-1]) | (s[1:] != s[:-1]))
    starts = np.flatnonzero(new)
    group = group[starts]
    positive = np.add.reduceat(pos, starts)
    negative = np.diff(np.append(starts, len(s))) - positive
    positives, negatives = np.bincount(group, positive, total), np.bincount(group, negative, total)
    below = np.cumsum(negative) - negative / 2 - (np.cumsum(negatives) - negatives)[group]
    return np.bincount(group, positive * below, total) / (positives * negatives)
