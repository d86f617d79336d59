"""Whether a new model version may follow the champion: a pure function over evidence."""

from collections.abc import Iterator, Mapping
from math import ceil, isfinite

from boathouse.delivery.asked import Limits, ReplayAsked
from boathouse.delivery.evidence import Check, Evidence, Outcome, Replay, Verdict
from boathouse.delivery.threshold import Threshold, direction_of

# Two metrics computed in another order differ in their last bits.
_ROUNDING = 1e-9
_SHOWN = 5
# Beyond a million million times the rows, a number says no more.
_HOPELESS = 1e6


def decide(
    evidence: Evidence,
    thresholds: Mapping[str, Threshold],
    *,
    min_rows: int = 100,
    max_latency_ms: float | None = None,
    approval_required: bool = False,
    limits: Limits | None = None,
) -> Verdict:
    """Pass, hold or fail, with every check and its reason.

    On fewer than `min_rows` rows the metrics are not judged at all: they would be noise, so the verdict is
    hold. A metric that is missing, infinite or not a number never passes. `limits`, where given, hold all else that is
    asked, `min_rows` and `max_latency_ms` too.
    """
    limits = limits or Limits(min_rows=min_rows, max_latency_ms=max_latency_ms)
    checks = tuple(_checks(evidence, thresholds, limits, approval_required))
    outcomes = {check.outcome for check in checks}
    return Verdict("fail" if "fail" in outcomes else "hold" if "hold" in outcomes else "pass", checks)


def _checks(
    evidence: Evidence, thresholds: Mapping[str, Threshold], limits: Limits, approval_required: bool
) -> Iterator[Check]:
    yield (artifact := _artifact(evidence.unsafe, limits.pickles))
    if artifact.outcome == "fail":
        return  # nothing of it was loaded
    if evidence.requirements:
        yield evidence.requirements
    if not evidence.loads:
        yield Check(
            "loads", "fail", f"the version does not load: {evidence.load_error or 'no reason was given'}"
        )
        return
    yield Check("loads", "pass", "the version loads")
    yield _signature(evidence)
    if evidence.example:
        yield Check("input example", "fail", f"its own input example does not go through: {evidence.example}")
    yield from _features(evidence, limits.max_feature_age)
    yield (rows := _rows("rows", evidence.rows, limits.min_rows))
    if rows.outcome == "pass":
        for metric, threshold in thresholds.items():
            yield from _limits(metric, threshold, evidence)
            yield from _comparison(metric, thresholds, evidence)
        yield from _slices(thresholds, evidence, limits.slice_min_rows)
        yield from _fairness(evidence, limits)
    if limits.max_latency_ms is not None:
        yield _budget("latency", evidence.latency_ms, limits.max_latency_ms, "ms")
    if limits.max_memory_mb is not None:
        yield _budget("memory", evidence.memory_mb, limits.max_memory_mb, "MB")
    if limits.replay is not None:
        yield from _replayed(evidence.replay or Replay(problem="it was not replayed"), limits.replay, evidence)
    yield from evidence.custom
    if approval_required:
        yield Check("approval", "hold", "the project asks for an approval, and none was given yet")


def _artifact(unsafe: tuple[str, ...], policy: str) -> Check:
    if not unsafe:
        return Check("artifact", "pass", "its pickles import nothing that a model does not need")
    shown = ", ".join(unsafe[:_SHOWN]) + (f" and {len(unsafe) - _SHOWN} more" if len(unsafe) > _SHOWN else "")
    if policy == "warn":
        return Check("artifact", "pass", f"its pickles import {shown}: only warned of, as the bundle says")
    reason = (
        f"its pickles import {shown}, and nothing of it was loaded; save the model without pickles, put its code into a "
        "module (code_paths), or name what you trust in delivery.artifact.trusted"
    )
    return Check("artifact", "fail", reason)


def _signature(evidence: Evidence) -> Check:
    if evidence.has_signature:
        return Check("signature", "pass", "the version declares its inputs and outputs")
    return Check(
        "signature", "fail", "the version has no signature: log it with an input example or a training set"
    )


def _features(evidence: Evidence, max_age: float | None) -> Iterator[Check]:
    if evidence.denied:
        names = ", ".join(evidence.denied)
        yield Check("features", "fail", f"{len(evidence.denied)} feature tables are not granted to this environment: {names}")
    if evidence.missing_features:
        names = ", ".join(evidence.missing_features)
        yield Check(
            "features", "fail", f"{len(evidence.missing_features)} features are not in this environment: {names}"
        )
    if not evidence.denied and not evidence.missing_features:
        yield Check("features", "pass", "every feature the version asks for is there")
    if max_age is None:
        return
    late = {name: age for name, age in evidence.stale.items() if age > max_age}
    if late:
        told = ", ".join(f"{name} {_ago(age)} ago" for name, age in late.items())
        yield Check("features fresh", "hold", f"feature tables must have been written within {_ago(max_age)}: {told}")
    else:
        yield Check("features fresh", "pass", f"every feature table was written within {_ago(max_age)}")


def _ago(seconds: float) -> str:
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _rows(name: str, rows: int, min_rows: int, what: str = "it was measured on", short: Outcome = "hold") -> Check:
    missing = min_rows - rows
    if min_rows == 0:
        return Check(name, "pass", "the bundle asks for no evaluation")
    if missing <= 0:
        return Check(name, "pass", f"{what} {rows} rows, and {min_rows} are needed")
    return Check(name, short, f"{what} {rows} rows, and {min_rows} are needed: {missing} are missing")


def _limits(metric: str, threshold: Threshold, evidence: Evidence | Replay, subject: str = "") -> Iterator[Check]:
    if threshold.min is not None or threshold.max is not None:
        yield _between(subject or metric, evidence.candidate.get(metric), threshold.min, threshold.max)


def _between(subject: str, value: float | None, least: float | None, most: float | None) -> Check:
    if value is None or not isfinite(value):
        return Check(subject, "fail", _absent(subject, value))
    if least is not None and value < least:
        shown, limit = _apart(value, least)
        return Check(subject, "fail", f"{subject} {shown} is below the minimum {limit}")
    if most is not None and value > most:
        shown, limit = _apart(value, most)
        return Check(subject, "fail", f"{subject} {shown} is above the maximum {limit}")
    limits = {"minimum": least, "maximum": most}
    stated = " and ".join(f"the {name} {limit:.4g}" for name, limit in limits.items() if limit is not None)
    return Check(subject, "pass", f"{subject} {value:.4g} keeps {stated}")


def _comparison(
    metric: str, thresholds: Mapping[str, Threshold], evidence: Evidence | Replay, subject: str = "", version: str | None = None,
    rows: int | None = None,
) -> Iterator[Check]:  # fmt: skip
    tolerance = thresholds[metric].not_worse_than_champion_by
    if tolerance is None:
        return
    subject = subject or metric
    name, value = f"{subject} against the champion", evidence.candidate.get(metric)
    version = evidence.champion_version if isinstance(evidence, Evidence) else version
    if value is None or not isfinite(value):
        yield Check(name, "fail", _absent(subject, value))
    elif evidence.champion is None:
        yield Check(name, "pass", f"there is no champion yet, so {subject} {value:.4g} is not compared")
    elif thresholds[metric].confident:
        yield _confident(name, metric, thresholds, evidence.differences.get(metric), tolerance, rows or evidence.rows)
    else:
        who = f"champion {version}" if version else "the champion"
        spread = _spread(evidence.differences.get(metric))
        champion = evidence.champion.get(metric)
        yield _compare(
            name, subject, thresholds, (value, champion), tolerance=tolerance, owner=f"of {who}{spread}", metric=metric
        )


def _confident(
    name: str, metric: str, thresholds: Mapping[str, Threshold], interval: tuple[float, float, float] | None,
    tolerance: float, rows: int,
) -> Check:  # fmt: skip
    """By the interval of the difference: beyond the tolerance as a whole, within it as a whole, or undecided."""
    direction = direction_of(metric, thresholds)
    if direction is None:
        return Check(name, "fail", f"{metric} cannot be compared: say whether higher or lower is better")
    if interval is None or not all(isfinite(value) for value in interval):
        return Check(name, "hold", f"{metric} has no interval of its difference on these {rows} rows: more rows are needed")
    worse, least, most = interval if direction == "lower" else (-interval[0], -interval[2], -interval[1])
    told = f"{worse:+.4g} worse than the champion, 95 % between {least:+.4g} and {most:+.4g}, and {tolerance:.4g} is allowed"
    if least > tolerance + _ROUNDING:
        return Check(name, "fail", f"{metric} is {told}")
    if most <= tolerance + _ROUNDING:
        return Check(name, "pass", f"{metric} is {told}")
    # The interval's half on the side of the tolerance shrinks with the root of the number of rows.
    gap, half = abs(tolerance - worse), (most - worse) if worse <= tolerance else (worse - least)
    if gap <= _ROUNDING:
        return Check(name, "hold", f"{metric} is {told}: undecided, and it lies on the limit, so more rows may not decide it")
    missing = max(1, ceil(rows * (min(half / gap, _HOPELESS) ** 2 - 1)))
    return Check(name, "hold", f"{metric} is {told}: undecided on {rows} rows, about {missing} are missing")


def _slices(thresholds: Mapping[str, Threshold], evidence: Evidence, min_rows: int) -> Iterator[Check]:
    small = 0
    for key, metrics in evidence.slices.items():
        if evidence.slice_rows.get(key, min_rows) < min_rows:
            small += 1
            continue
        for metric, pair in metrics.items():
            threshold = thresholds.get(metric, Threshold())
            name = f"{metric} where {key}"
            if threshold.slices_min is not None or threshold.slices_max is not None:
                yield _between(name, pair[0], threshold.slices_min, threshold.slices_max)
            if evidence.champion is not None and threshold.slice_tolerance is not None:
                yield _compare(
                    name, name, thresholds, pair, tolerance=threshold.slice_tolerance, owner="of the champion", metric=metric
                )
    if small:
        reason = f"{small} of {len(evidence.slices)} slices have fewer than {min_rows} rows and were not judged"
        yield Check("small slices", "pass", reason)


def _fairness(evidence: Evidence, limits: Limits) -> Iterator[Check]:
    for asked in limits.fairness:
        inside, outside = evidence.fairness_rows.get(asked.slice, (0, 0))
        measured = evidence.fairness.get(asked.slice, {})
        if (least := min(inside, outside)) < limits.slice_min_rows:
            reason = f"{inside} rows are inside and {outside} outside, and {limits.slice_min_rows} are needed"
            yield Check(f"fairness where {asked.slice}", "hold", f"{reason}: {limits.slice_min_rows - least} are missing")
            continue
        for metric, limit in asked.limits.items():
            name, value = f"{metric} where {asked.slice}", measured.get(metric)
            if value is None or not isfinite(value):
                yield Check(name, "hold", f"{name} has no value: no row counts on one of the two sides")
                continue
            shown, stated = _apart(abs(value), limit)
            kept = abs(value) <= limit + _ROUNDING
            verb = "keeps" if kept else "is beyond"
            reason = f"{name} differs by {value:+.4g} ({shown}), which {verb} the limit {stated}"
            yield Check(name, "pass" if kept else "fail", reason)


def _replayed(replay: Replay, asked: ReplayAsked, evidence: Evidence) -> Iterator[Check]:
    short: Outcome = "hold" if asked.when_missing == "hold" else "pass"
    if replay.problem:
        yield Check("replay", short, f"the last {asked.days:g} days of traffic were not replayed: {replay.problem}")
        return
    yield _rows("replay", replay.rows, asked.min_rows, f"the last {asked.days:g} days of traffic have", short)
    if replay.rows < asked.min_rows:
        return
    if asked.max_prediction_shift is not None and replay.champion is not None:
        if replay.shift is None:
            yield Check("replay shift", "hold", "how far the predictions moved was not measured")
        else:
            yield _between("replay shift", replay.shift, None, asked.max_prediction_shift)
    if not asked.thresholds:
        return
    yield _rows("replay labels", replay.labelled, asked.min_rows, "labels have come for", short)
    if replay.labelled < asked.min_rows:
        return
    for metric, threshold in asked.thresholds.items():
        subject = f"replayed {metric}"
        yield from _limits(metric, threshold, replay, subject)
        yield from _comparison(metric, asked.thresholds, replay, subject, evidence.champion_version, replay.labelled)


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


def _budget(name: str, measured: float | None, limit: float, unit: str) -> Check:
    if measured is None or not isfinite(measured):
        return Check(name, "fail", f"{name} was not measured, and the limit is {limit:.4g} {unit}")
    shown, stated = _apart(measured, limit)
    if measured > limit:
        return Check(name, "fail", f"{name} {shown} {unit} is above the limit {stated} {unit}")
    return Check(name, "pass", f"{name} {shown} {unit} keeps the limit {stated} {unit}")


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
