"""Whether a new model version may follow the champion: a pure function over evidence."""

from collections.abc import Iterator, Mapping
from math import isfinite

from boathouse.delivery.evidence import Check, Evidence, Verdict
from boathouse.delivery.threshold import Threshold, direction_of

# Two metrics computed in another order differ in their last bits.
_ROUNDING = 1e-9


def decide(
    evidence: Evidence,
    thresholds: Mapping[str, Threshold],
    *,
    min_rows: int = 100,
    max_latency_ms: float | None = None,
    approval_required: bool = False,
) -> Verdict:
    """Pass, hold or fail, with every check and its reason.

    On fewer than `min_rows` rows the metrics are not judged at all: they would be noise, so the verdict is
    hold. A metric that is missing, infinite or not a number never passes.
    """
    checks = tuple(_checks(evidence, thresholds, min_rows, max_latency_ms, approval_required))
    outcomes = {check.outcome for check in checks}
    return Verdict("fail" if "fail" in outcomes else "hold" if "hold" in outcomes else "pass", checks)


def _checks(
    evidence: Evidence,
    thresholds: Mapping[str, Threshold],
    min_rows: int,
    max_latency_ms: float | None,
    approval_required: bool,
) -> Iterator[Check]:
    if not evidence.loads:
        yield Check(
            "loads", "fail", f"the version does not load: {evidence.load_error or 'no reason was given'}"
        )
        return
    yield Check("loads", "pass", "the version loads")
    yield _signature(evidence)
    yield _features(evidence)
    yield (rows := _rows(evidence, min_rows))
    if rows.outcome == "pass":
        for metric, threshold in thresholds.items():
            yield from _limits(metric, threshold, evidence)
            yield from _comparison(metric, thresholds, evidence)
        yield from _slices(thresholds, evidence)
    if max_latency_ms is not None:
        yield _latency(evidence.latency_ms, max_latency_ms)
    yield from evidence.custom
    if approval_required:
        yield Check("approval", "hold", "the project asks for an approval, and none was given yet")


def _signature(evidence: Evidence) -> Check:
    if evidence.has_signature:
        return Check("signature", "pass", "the version declares its inputs and outputs")
    return Check(
        "signature", "fail", "the version has no signature: log it with an input example or a training set"
    )


def _features(evidence: Evidence) -> Check:
    if not evidence.missing_features:
        return Check("features", "pass", "every feature the version asks for is there")
    names = ", ".join(evidence.missing_features)
    return Check(
        "features", "fail", f"{len(evidence.missing_features)} features are not in this environment: {names}"
    )


def _rows(evidence: Evidence, min_rows: int) -> Check:
    missing = min_rows - evidence.rows
    if missing <= 0:
        return Check("rows", "pass", f"it was measured on {evidence.rows} rows, and {min_rows} are needed")
    reason = f"it was measured on {evidence.rows} rows, and {min_rows} are needed: {missing} are missing"
    return Check("rows", "hold", reason)


def _limits(metric: str, threshold: Threshold, evidence: Evidence) -> Iterator[Check]:
    if threshold.min is None and threshold.max is None:
        return
    value = evidence.candidate.get(metric)
    if value is None or not isfinite(value):
        yield Check(metric, "fail", _absent(metric, value))
    elif threshold.min is not None and value < threshold.min:
        shown, limit = _apart(value, threshold.min)
        yield Check(metric, "fail", f"{metric} {shown} is below the minimum {limit}")
    elif threshold.max is not None and value > threshold.max:
        shown, limit = _apart(value, threshold.max)
        yield Check(metric, "fail", f"{metric} {shown} is above the maximum {limit}")
    else:
        limits = {"minimum": threshold.min, "maximum": threshold.max}
        stated = " and ".join(
            f"the {name} {limit:.4g}" for name, limit in limits.items() if limit is not None
        )
        yield Check(metric, "pass", f"{metric} {value:.4g} keeps {stated}")


def _comparison(metric: str, thresholds: Mapping[str, Threshold], evidence: Evidence) -> Iterator[Check]:
    tolerance = thresholds[metric].not_worse_than_champion_by
    if tolerance is None:
        return
    name, value = f"{metric} against the champion", evidence.candidate.get(metric)
    if value is None or not isfinite(value):
        yield Check(name, "fail", _absent(metric, value))
    elif evidence.champion is None:
        yield Check(name, "pass", f"there is no champion yet, so {metric} {value:.4g} is not compared")
    else:
        who = f"champion {evidence.champion_version}" if evidence.champion_version else "the champion"
        spread = _spread(evidence.differences.get(metric))
        champion = evidence.champion.get(metric)
        yield _compare(
            name, metric, thresholds, (value, champion), tolerance=tolerance, owner=f"of {who}{spread}"
        )


def _slices(thresholds: Mapping[str, Threshold], evidence: Evidence) -> Iterator[Check]:
    if evidence.champion is None:
        return
    for key, metrics in evidence.slices.items():
        for metric, pair in metrics.items():
            tolerance = thresholds[metric].slice_tolerance if metric in thresholds else None
            if tolerance is not None:
                name = f"{metric} where {key}"
                yield _compare(
                    name, name, thresholds, pair, tolerance=tolerance, owner="of the champion", metric=metric
                )


def _compare(
    name: str,
    subject: str,
    thresholds: Mapping[str, Threshold],
    pair: tuple[float, float | None],
    *,
    tolerance: float,
    owner: str,
    metric: str | None = None,
) -> Check:
    """One pair (candidate, champion) against how far the candidate may fall behind."""
    value, champion = pair
    direction = direction_of(metric or subject, thresholds)
    if not isfinite(value):
        return Check(name, "fail", _absent(subject, value))
    if champion is None or not isfinite(champion):
        return Check(name, "hold", f"{subject} {value:.4g} cannot be compared: there is no number {owner}")
    if direction is None:
        reason = f"{subject} {value:.4g} cannot be compared: say whether higher or lower is better"
        return Check(name, "fail", reason)
    behind = champion - value if direction == "higher" else value - champion
    shown, other = _apart(value, champion)
    if behind > tolerance + _ROUNDING:
        gap, allowed = _apart(behind, tolerance)
        reason = f"{subject} {shown} is {gap} worse than the {other} {owner}, and {allowed} is allowed"
        return Check(name, "fail", reason)
    return Check(name, "pass", f"{subject} {shown} against the {other} {owner} is within {tolerance:.4g}")


def _latency(measured: float | None, limit: float) -> Check:
    if measured is None or not isfinite(measured):
        return Check("latency", "fail", f"latency was not measured, and the limit is {limit:.4g} ms")
    shown, stated = _apart(measured, limit)
    if measured > limit:
        return Check("latency", "fail", f"latency {shown} ms is above the limit {stated} ms")
    return Check("latency", "pass", f"latency {shown} ms keeps the limit {stated} ms")


def _absent(metric: str, value: float | None) -> str:
    if value is None:
        return f"{metric} was not measured, and it has a threshold"
    return f"{metric} is {value}, which is no number to judge by"


def _spread(interval: tuple[float, float, float] | None) -> str:
    if interval is None or not all(isfinite(value) for value in interval):
        return ""
    difference, low, high = interval
    return f" (difference {difference:+.4g}, 95 % between {low:+.4g} and {high:+.4g})"


def _apart(first: float, second: float) -> tuple[str, str]:
    """Two numbers as texts, with as many digits as it takes to see that they differ."""
    texts = (f"{first:.4g}", f"{second:.4g}")
    for digits in range(5, 18):
        if texts[0] != texts[1] or first == second:
            break
        texts = (f"{first:.{digits}g}", f"{second:.{digits}g}")
    return texts
