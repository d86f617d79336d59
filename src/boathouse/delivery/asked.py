"""What a bundle asks of new versions of a model in one environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from boathouse.delivery.rollout import RolloutAsked
from boathouse.delivery.threshold import Threshold
from boathouse.errors import InvalidInput

Mode = Literal["automatic", "partly_automatic", "manual", "external"]
MODES: tuple[Mode, ...] = get_args(Mode)
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Fairness:
    """A Boolean slice (SQL over the evaluation's rows) and how far each metric may lie from equal treatment."""

    slice: str
    limits: Mapping[str, float]
    positive: Any = 1


@dataclass(frozen=True)
class ReplayAsked:
    """What the last `days` of logged traffic must show. `when_missing` says what too little of it means."""

    days: float = 7
    min_rows: int = 100
    thresholds: Mapping[str, Threshold] = field(default_factory=dict)
    max_prediction_shift: float | None = None
    when_missing: Literal["hold", "pass"] = "hold"
    labels: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Limits:
    """What is asked besides thresholds; where no evaluation is asked for, 0 rows are.

    `pickles` is refuse or warn; ages are in seconds, memory in MB, latency in ms.
    """

    min_rows: int = 100
    slice_min_rows: int = 30
    pickles: str = "refuse"
    max_latency_ms: float | None = None
    max_memory_mb: float | None = None
    max_feature_age: float | None = None
    fairness: tuple[Fairness, ...] = ()
    replay: ReplayAsked | None = None


@dataclass(frozen=True)
class Plan:
    """How a new version becomes Production, and what it must show before."""

    evaluation: Mapping[str, Any]
    thresholds: Mapping[str, Threshold]
    approvers: tuple[str, ...]
    separation_of_duties: bool
    mode: str
    limits: Limits = Limits()
    artifact: Mapping[str, Any] = field(default_factory=dict)
    rollout: RolloutAsked | None = None

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Plan":
        """From `delivery:` of a registered model."""
        evaluation = body.get("evaluation") or {}
        asked = body.get("approval")
        approval: Mapping[str, Any] = asked if isinstance(asked, Mapping) else {}
        named = approval.get("by") or ()
        by, duties = (named,) if isinstance(named, str) else tuple(named), bool(approval.get("separation_of_duties"))
        return cls(evaluation, thresholds(evaluation), by, duties, str(body.get("mode") or "automatic"),
                   _limits(body, evaluation), body.get("artifact") or {},
                   rollout_asked(body["rollout"]) if isinstance(body.get("rollout"), Mapping) else None)  # fmt: skip


def thresholds(body: Mapping[str, Any]) -> dict[str, Threshold]:
    """The `metrics` of an evaluation or a replay."""
    return {metric: Threshold(**(limits or {})) for metric, limits in (body.get("metrics") or {}).items()}


def seconds(duration: str) -> float:
    """`10m`, `2d` as seconds. Raises InvalidInput."""
    try:
        return float(duration[:-1]) * _UNITS[duration[-1]]
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidInput(f"{duration!r} is no duration: write a number and s, m, h or d, such as 2d") from error


def rollout_asked(body: Mapping[str, Any]) -> RolloutAsked:
    """From `delivery.rollout`; `shadow_percent` or `mode: shadow` let the new version answer unseen."""
    shadow = body.get("mode") == "shadow" or body.get("shadow_percent") is not None
    percent = (body.get("shadow_percent") or 100.0) if shadow else (body.get("canary_percent") or 10.0)
    on = body.get("rollback_on") or {}
    least = {} if body.get("min_requests") is None else {"min_requests": int(body["min_requests"])}
    return RolloutAsked("shadow" if shadow else "canary", float(percent), seconds(str(body.get("for") or "10m")),
                        on.get("error_rate"), on.get("p99_ms"), **least)  # fmt: skip


def replay_asked(body: Mapping[str, Any]) -> ReplayAsked:
    """From `delivery.replay`."""
    names = ("days", "min_rows", "max_prediction_shift", "when_missing", "labels")
    plain = {name: body[name] for name in names if body.get(name) is not None}
    return ReplayAsked(**plain, thresholds=thresholds(body))


def _limits(body: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Limits:
    age = (body.get("features") or {}).get("max_age")
    positive = evaluation.get("positive")
    fair = tuple(
        Fairness(f["slice"], {m: v for m, v in f.items() if m != "slice" and v is not None}, 1 if positive is None else positive)
        for f in evaluation.get("fairness") or ()
    )
    return Limits(
        int(evaluation.get("min_rows") or 100) if evaluation else 0, int(evaluation.get("slice_min_rows") or 30),
        (body.get("artifact") or {}).get("pickles") or "refuse", evaluation.get("max_latency_ms"),
        evaluation.get("max_memory_mb"), None if age is None else seconds(age), fair,
        replay_asked(body["replay"]) if body.get("replay") else None,
    )  # fmt: skip
