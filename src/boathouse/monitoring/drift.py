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

from bisect import bisect_left
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from boathouse.monitoring.distances import (
    jensen_shannon,
    known,
    kolmogorov_smirnov,
    pooled,
    population_stability,
    wasserstein,
)
from boathouse.monitoring.gold import QUALITY, TABLE, drift_schema
from boathouse.monitoring.windows import Window, parse_granularity

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
    references = {_group(side.row, model_id_col): side for side in _sides(baseline)} if baseline else {}
    at = {(_group(side.row, model_id_col), side.granularity, side.start): side for side in sides}
    snapshots = sorted({side.start for side in sides if side.start and not side.granularity})
    kept = None if windows is None else set(_with_next(windows))
    pairs = []
    for side in sides:
        if kept is not None and (side.granularity, side.start) not in kept:
            continue
        group = _group(side.row, model_id_col)
        before = at.get((group, side.granularity, _previous(side, snapshots)))
        reference = references.get(group) or references.get((*group[:-1], "*"))
        pairs += [_Pair(side, before, "CONSECUTIVE")] if before else []
        pairs += [_Pair(side, reference, "BASELINE")] if reference else []
    numeric = _numeric(pairs)
    rows = [_row(pair, model_id_col) | numeric.get(i, {}) for i, pair in enumerate(pairs)]
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


@dataclass(frozen=True)
class _Pair:
    """A window's column and what it is compared with."""

    side: _Side
    other: _Side
    kind: str


def _row(pair: _Pair, model_id_col: str | None) -> _Row:
    row = {name: pair.side.row[name] for name in _CARRIED} | _compare(pair.side.row, pair.other.row)
    row |= {"drift_type": pair.kind, "window_cmp": pair.other.row["window"] if pair.kind == "CONSECUTIVE" else None}
    return row | ({model_id_col: pair.side.row[model_id_col]} if model_id_col else {})


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


def _compare(a: _Row, b: _Row) -> _Row:
    deltas = ("count", "avg", "percent_null", "percent_zeros", "percent_distinct")
    found: _Row = {
        f"{name}_delta": a[name] - b[name] if a[name] is not None and b[name] is not None else None for name in deltas
    }
    found |= {"n_window": a["count"], "n_baseline": b["count"]}
    if a["column_name"] == TABLE:
        new, old = set(a["non_null_columns"] or ()), set(b["non_null_columns"] or ())
        found["non_null_columns_delta"] = {"added": len(new - old), "missing": len(old - new)}
    if a["frequent_items"] is not None and b["frequent_items"] is not None:
        found |= _categorical(a, b)
    return found


def _numeric(pairs: Sequence[_Pair]) -> dict[int, _Row]:
    """The distances of all pairs that have the same bins, one array operation for each set of bins."""
    alike: dict[bytes, list[int]] = {}
    for i, pair in enumerate(pairs):
        a, b = pair.side.bins, pair.other.bins
        if a and b and np.array_equal(a.lo, b.lo):
            alike.setdefault(a.lo.tobytes() + a.hi.tobytes(), []).append(i)
    found: dict[int, _Row] = {}
    for chosen in alike.values():
        found |= dict(zip(chosen, _distances([pairs[i] for i in chosen]), strict=True))
    return found


def _distances(pairs: Sequence[_Pair]) -> list[_Row]:
    sides = [[cast("_Bins", s.bins) for s in of] for of in ([p.side for p in pairs], [p.other for p in pairs])]
    p, q = (np.stack([b.counts for b in of]) for of in sides)
    p_sums, q_sums = (np.stack([b.sums for b in of]) for of in sides)
    rows = np.array([[pair.side.row["count"], pair.other.row["count"]] for pair in pairs], float)
    grouped_p, grouped_q = pooled(p, q)
    grouped_p = np.column_stack([grouped_p, rows[:, 0] - p.sum(1)])  # missing values are a category of their own
    grouped_q = np.column_stack([grouped_q, rows[:, 1] - q.sum(1)])
    stability, floor = population_stability(grouped_p, grouped_q)
    distance = jensen_shannon(grouped_p, grouped_q)
    statistic, pvalue = kolmogorov_smirnov(p, q)
    area = wasserstein(sides[0][0].lo, sides[0][0].hi, p, p_sums, q, q_sums)
    both = (p.sum(1) > 0) & (q.sum(1) > 0)
    return [
        {
            "population_stability_index": known(stability[i]), "noise_floor": known(floor[i]),
            "js_distance_binned": known(distance[i]),
            "ks_test": {"statistic": float(statistic[i]), "pvalue": float(pvalue[i])} if both[i] else None,
            "wasserstein_distance": float(area[i]) if both[i] else None,
        }
        for i in range(len(pairs))
    ]  # fmt: skip


def _categorical(a: _Row, b: _Row) -> _Row:
    from scipy.special import chdtrc

    listed = _aligned(a, b)
    p, q = (np.append(counts, row["num_nulls"]) for counts, row in zip(listed, (a, b), strict=True))
    used = (p + q) > 0
    p, q = p[used], q[used]
    n, m = p.sum(), q.sum()
    if not n or not m:
        return {}
    expected = (p + q) / (n + m)
    statistic = float(np.sum((p - n * expected) ** 2 / (n * expected) + (q - m * expected) ** 2 / (m * expected)))
    difference = np.abs(p / n - q / m)
    stability, floor = population_stability(p[None], q[None])
    pvalue = float(chdtrc(len(p) - 1, statistic)) if len(p) > 1 else 1.0
    return {
        "population_stability_index": float(stability[0]), "noise_floor": float(floor[0]),
        "chi_squared_test": {"statistic": statistic, "pvalue": pvalue},
        "tv_distance": float(difference.sum() / 2), "l_infinity_distance": float(difference.max()),
        "js_distance": float(jensen_shannon(p[None], q[None])[0]),
    }  # fmt: skip


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
