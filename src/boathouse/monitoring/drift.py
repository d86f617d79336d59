"""Drift between profiles: every measure comes from profile rows alone, no data are read.

A column's distribution is its bins or its frequent values, plus "other" and, where a side has any, the
rows without a usable value (null, NaN) as a category of their own.

- PSI and `js_distance_binned` of numbers are over about ten groups of the bins, of equal count on the
  reference's side: the published thresholds (0.1, 0.2) are meant for deciles. PSI adds half a row to each
  group so that an empty one stays finite.
- `ks_test` and `wasserstein_distance` use all bins. Both are lower bounds, exact to what happens inside a
  bin: the statistic at the edges, and the area between the distribution functions from counts and sums.
- Values are compared where both sides know their count: a value outside the listed ones of a side that
  has others is pooled with "other".
- `chi_squared_test` is the test of homogeneity of two samples; JS distances are the square root of the
  divergence in base 2, 0 to 1.
- `noise_floor` is what PSI stays under 99 times of 100 without drift, by the chi-squared approximation
  PSI ~ (1/n + 1/m) chi2(k - 1) (B. Yurdakul, Statistical properties of population stability index, 2018).
"""

import math
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boathouse.monitoring.gold import QUALITY, TABLE, drift_schema
from boathouse.monitoring.windows import Window, parse_granularity

_GROUPS = 10
_SMOOTHING = 0.5

_Floats = NDArray[np.float64]
_Row = dict[str, Any]
_Key = tuple[Any, ...]


def drift(
    profiles: pa.Table, baseline: pa.Table | None = None, *, windows: Collection[Window] | None = None
) -> pa.Table:
    """Compare each window with the one before it (CONSECUTIVE) and with the baseline (BASELINE).

    `profiles` are INPUT rows of `profile`, those of the windows before included; `baseline` its BASELINE
    rows. A window whose predecessor is not there, and a slice the baseline lacks, give no row; a model the
    baseline does not know is compared with the baseline of all models. `windows` keeps to those windows and
    the ones right after, which changed with them. Deltas are the window minus what it is compared with.
    The columns are those of `drift_schema` for the model column of `profiles`.
    """
    model_id_col = _model_id_col(profiles)
    sides = list(_sides(profiles))
    known = {_group(side.row, model_id_col): side for side in _sides(baseline)} if baseline else {}
    at = {(_group(side.row, model_id_col), side.granularity, side.start): side for side in sides}
    snapshots = sorted({side.start for side in sides if side.start and not side.granularity})
    kept = None if windows is None else set(_with_next(windows))
    rows = []
    for side in sides:
        if kept is not None and (side.granularity, side.start) not in kept:
            continue
        group = _group(side.row, model_id_col)
        before = at.get((group, side.granularity, _previous(side, snapshots)))
        reference = known.get(group) or known.get((*group[:-1], "*"))
        for kind, other in (("CONSECUTIVE", before), ("BASELINE", reference)):
            if other:
                row = {name: side.row[name] for name in _CARRIED} | _compare(side, other)
                row |= {"drift_type": kind, "window_cmp": other.row["window"] if other is before else None}
                rows.append(row | ({model_id_col: group[-1]} if model_id_col else {}))
    return pa.Table.from_pylist(rows, schema=drift_schema(model_id_col))


_CARRIED = (
    "window",
    "granularity",
    "monitor_version",
    "slice_key",
    "slice_value",
    "column_name",
    "data_type",
)


@dataclass(frozen=True)
class _Bins:
    """Bins `[lo, hi)`, shape (k,) each: rows in them and the sum of their values."""

    lo: _Floats
    hi: _Floats
    counts: _Floats
    sums: _Floats


@dataclass(frozen=True)
class _Side:
    """One profile row; its bins apart, as arrays."""

    row: _Row
    bins: _Bins | None

    @property
    def granularity(self) -> str | None:
        return cast("str | None", self.row["granularity"])

    @property
    def start(self) -> datetime | None:
        window = self.row["window"]
        return window["start"] if window else None


def _with_next(windows: Collection[Window]) -> Iterator[Window]:
    for text, moment in windows:
        granularity = parse_granularity(text)
        start = granularity.start(moment)
        yield from ((str(granularity), start), (str(granularity), granularity.end(start)))


def _model_id_col(profiles: pa.Table) -> str | None:
    """The column between `slice_value` and `column_name`, where the published tables have the model."""
    names = profiles.column_names
    between = names[names.index("slice_value") + 1]
    return None if between == "column_name" else str(between)


def _sides(profiles: pa.Table) -> Iterator[_Side]:
    columns = [name for name in profiles.column_names if name not in ("bins", *QUALITY)]
    bins = profiles["bins"].combine_chunks()
    offsets, valid = bins.offsets.to_numpy(), bins.is_valid().to_numpy(zero_copy_only=False)
    names = ("lo", "hi", "count", "sum")
    flat = [bins.values.field(name).to_numpy(zero_copy_only=False).astype(float) for name in names]
    for i, row in enumerate(profiles.select(columns).to_pylist()):
        one = _Bins(*(values[offsets[i] : offsets[i + 1]] for values in flat)) if valid[i] else None
        yield _Side(row, one)


def _group(row: _Row, model_id_col: str | None) -> _Key:
    model = row.get(model_id_col, "*") if model_id_col else "*"
    return (row["slice_key"], row["slice_value"], row["column_name"], model)


def _previous(side: _Side, snapshots: list[datetime]) -> datetime | None:
    if not side.start:
        return None
    if side.granularity:
        return parse_granularity(side.granularity).previous(side.start)
    earlier = snapshots[: bisect_left(snapshots, side.start)]
    return earlier[-1] if earlier else None


def _compare(side: _Side, other: _Side) -> _Row:
    a, b = side.row, other.row
    deltas = ("count", "avg", "percent_null", "percent_zeros", "percent_distinct")
    found: _Row = {
        f"{name}_delta": a[name] - b[name] if a[name] is not None and b[name] is not None else None
        for name in deltas
    }
    found |= {"n_window": a["count"], "n_baseline": b["count"]}
    if a["column_name"] == TABLE:
        new, old = set(a["non_null_columns"] or ()), set(b["non_null_columns"] or ())
        found["non_null_columns_delta"] = {"added": len(new - old), "missing": len(old - new)}
    if side.bins and other.bins and np.array_equal(side.bins.lo, other.bins.lo):
        found |= _numeric(side, side.bins, other, other.bins)
    if a["frequent_items"] is not None and b["frequent_items"] is not None:
        found |= _categorical(a, b)
    return found


def _numeric(side: _Side, a: _Bins, other: _Side, b: _Bins) -> _Row:
    n, m = a.counts.sum(), b.counts.sum()
    pooled = _pool(a.counts, b.counts)
    p, q = _with_missing(*pooled, side.row["count"] - n, other.row["count"] - m)
    found: _Row = _stability(p, q) | {"js_distance_binned": _js_distance(p, q)}
    if n and m:
        found["ks_test"] = _ks_test(a.counts, b.counts)
        found["wasserstein_distance"] = _wasserstein(a, b)
    return found


def _pool(a: _Floats, b: _Floats) -> tuple[_Floats, _Floats]:
    """About ten groups of neighbouring bins, of equal count in `b`; a bin heavier than that stays alone."""
    share = b / max(b.sum(), 1)
    group = np.minimum((np.cumsum(share) - share / 2) * _GROUPS, _GROUPS - 1).astype(int)
    return np.bincount(group, a, _GROUPS).astype(float), np.bincount(group, b, _GROUPS).astype(float)


def _with_missing(a: _Floats, b: _Floats, missing_a: float, missing_b: float) -> tuple[_Floats, _Floats]:
    p, q = np.append(a, missing_a), np.append(b, missing_b)
    used = (p + q) > 0
    return p[used], q[used]


def _stability(p: _Floats, q: _Floats) -> _Row:
    from scipy.special import chdtri

    k, n, m = len(p), p.sum(), q.sum()
    if not n or not m:
        return {}
    smooth_p = (p + _SMOOTHING) / (n + _SMOOTHING * k)
    smooth_q = (q + _SMOOTHING) / (m + _SMOOTHING * k)
    return {
        "population_stability_index": float(np.sum((smooth_p - smooth_q) * np.log(smooth_p / smooth_q))),
        "noise_floor": float((1 / n + 1 / m) * chdtri(k - 1, 0.01)) if k > 1 else 0.0,
    }


def _js_distance(p: _Floats, q: _Floats) -> float | None:
    if not p.sum() or not q.sum():
        return None
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    halves = [float(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0]))) for x in (p, q)]
    return math.sqrt(max(0.0, sum(halves) / 2))


def _ks_test(a: _Floats, b: _Floats) -> _Row:
    from scipy.special import kolmogorov

    n, m = a.sum(), b.sum()
    statistic = float(np.max(np.abs(np.cumsum(a) / n - np.cumsum(b) / m)))
    return {"statistic": statistic, "pvalue": float(kolmogorov(statistic * (n * m / (n + m)) ** 0.5))}


def _wasserstein(a: _Bins, b: _Bins) -> float:
    """The area between the distribution functions, which count and sum give exactly for each bin.

    Over [lo, hi) the integral of F is F(lo) (hi - lo) + (count hi - sum) / n.
    """
    share = a.counts / a.counts.sum() - b.counts / b.counts.sum()
    total = a.sums / a.counts.sum() - b.sums / b.counts.sum()
    before = np.cumsum(share) - share
    edge = np.where(np.isfinite(a.hi), a.hi, np.where(np.isfinite(a.lo), a.lo, 0))
    inner = np.isfinite(a.lo) & np.isfinite(a.hi)
    width = np.subtract(a.hi, a.lo, out=np.zeros_like(a.lo), where=inner)
    return float(np.sum(np.abs(before * width + share * edge - total)))


def _categorical(a: _Row, b: _Row) -> _Row:
    from scipy.special import chdtrc

    p, q = _with_missing(*_aligned(a, b), a["num_nulls"], b["num_nulls"])
    n, m = p.sum(), q.sum()
    if not n or not m:
        return {}
    expected = (p + q) / (n + m)
    statistic = float(
        np.sum((p - n * expected) ** 2 / (n * expected) + (q - m * expected) ** 2 / (m * expected))
    )
    difference = np.abs(p / n - q / m)
    return _stability(p, q) | {
        "chi_squared_test": {
            "statistic": statistic,
            "pvalue": float(chdtrc(len(p) - 1, statistic)) if len(p) > 1 else 1.0,
        },
        "tv_distance": float(difference.sum() / 2),
        "l_infinity_distance": float(difference.max()),
        "js_distance": _js_distance(p, q),
    }


def _aligned(a: _Row, b: _Row) -> tuple[_Floats, _Floats]:
    """Counts of the values whose count both sides know, then of all others."""
    x, y = ({item["item"]: item["count"] for item in row["frequent_items"]} for row in (a, b))
    # A side without others knows that what it does not list never occurred.
    known = [
        v
        for v in dict.fromkeys((*x, *y))
        if (v in x or not a["other_count"]) and (v in y or not b["other_count"])
    ]
    pairs = []
    for counts, row in ((x, a), (y, b)):
        listed = [counts.get(value, 0) for value in known]
        rest = sum(counts.values()) + (row["other_count"] or 0) - sum(listed)
        pairs.append(np.array([*listed, rest], float))
    return pairs[0], pairs[1]
