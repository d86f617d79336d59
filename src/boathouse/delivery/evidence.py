"""What was measured of a candidate and of the champion it would replace, and what a gate made of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from boathouse.errors import InvalidInput

Outcome = Literal["pass", "hold", "fail"]
SliceMetrics = Mapping[str, tuple[float, float | None]]


@dataclass(frozen=True)
class Check:
    """One question, its answer, and the sentence that explains it."""

    name: str
    outcome: Outcome
    reason: str

    def __post_init__(self) -> None:
        if self.outcome not in get_args(Outcome):
            raise InvalidInput(f"check {self.name!r} ended in {self.outcome!r}: use pass, hold or fail")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Check":
        """Back from JSON."""
        return cls(str(body["name"]), body["outcome"], str(body["reason"]))


@dataclass(frozen=True)
class Evidence:
    """Everything a gate looks at. Both models were measured on the same `rows`.

    `slices` maps a slice to its metrics as (candidate, champion). `differences` maps a metric to (candidate -
    champion, low, high), a 95 % interval as `paired_bootstrap` makes it; it explains and decides nothing.
    `latency_ms` is the time of one scored request, p99. `missing_features` are features the model asks for
    that its environment does not have. `custom` holds what the project's own checks found.
    """

    candidate: Mapping[str, float]
    champion: Mapping[str, float] | None = None
    champion_version: str | None = None
    rows: int = 0
    loads: bool = True
    load_error: str | None = None
    has_signature: bool = True
    missing_features: tuple[str, ...] = ()
    slices: Mapping[str, SliceMetrics] = field(default_factory=dict)
    differences: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    latency_ms: float | None = None
    custom: tuple[Check, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON; a number that is none (NaN, infinity) is written as its name."""
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "candidate": _numbers(self.candidate),
            "champion": None if self.champion is None else _numbers(self.champion),
            "missing_features": list(self.missing_features),
            "slices": {
                key: {m: [_out(v) for v in pair] for m, pair in s.items()} for key, s in self.slices.items()
            },
            "differences": {
                metric: [_out(value) for value in three] for metric, three in self.differences.items()
            },
            "latency_ms": _out(self.latency_ms),
            "custom": [check.to_dict() for check in self.custom],
        }

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Evidence":
        """Back from JSON."""
        champion, latency = body["champion"], body["latency_ms"]
        return cls(
            **{name: body[name] for name in _PLAIN},
            candidate={metric: float(value) for metric, value in body["candidate"].items()},
            champion=None
            if champion is None
            else {metric: float(value) for metric, value in champion.items()},
            missing_features=tuple(body["missing_features"]),
            slices={key: {m: _pair(p) for m, p in s.items()} for key, s in body["slices"].items()},
            differences={metric: _three(values) for metric, values in body["differences"].items()},
            latency_ms=None if latency is None else float(latency),
            custom=tuple(Check.from_dict(check) for check in body["custom"]),
        )


@dataclass(frozen=True)
class Verdict:
    """What the checks amount to: fail when one failed, else hold when one holds, else pass."""

    outcome: Outcome
    checks: tuple[Check, ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it did not pass; where it passed, why it did."""
        decisive = tuple(check.reason for check in self.checks if check.outcome == self.outcome)
        held = tuple(check.reason for check in self.checks if check.outcome == "hold")
        return decisive + held if self.outcome == "fail" else decisive

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        checks = [check.to_dict() for check in self.checks]
        return {"outcome": self.outcome, "checks": checks, "reasons": list(self.reasons)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Verdict":
        """Back from JSON."""
        return cls(body["outcome"], tuple(Check.from_dict(check) for check in body["checks"]))


_PLAIN = ("champion_version", "rows", "loads", "load_error", "has_signature")


def _out(value: float | None) -> float | str | None:
    """JSON has no NaN and no infinity; `float` reads their names back."""
    if value is None:
        return None
    number = float(value)
    return number if number - number == 0 else str(number)


def _numbers(metrics: Mapping[str, float]) -> dict[str, Any]:
    return {metric: _out(value) for metric, value in metrics.items()}


def _pair(values: list[Any]) -> tuple[float, float | None]:
    candidate, champion = values
    return float(candidate), None if champion is None else float(champion)


def _three(values: list[Any]) -> tuple[float, float, float]:
    difference, low, high = values
    return float(difference), float(low), float(high)
