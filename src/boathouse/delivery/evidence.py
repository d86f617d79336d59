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
class Replay:
    """Logged traffic of some days through both models. `problem` says why there was none to replay.

    `shift` is how far the predictions moved, see `delivery.replay`; metrics are over the `labelled` of the `rows`.
    """

    rows: int = 0
    labelled: int = 0
    candidate: Mapping[str, float] = field(default_factory=dict)
    champion: Mapping[str, float] | None = None
    differences: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    shift: float | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rows": self.rows, "labelled": self.labelled, "shift": _out(self.shift), "problem": self.problem,
            "candidate": _numbers(self.candidate),
            "champion": None if self.champion is None else _numbers(self.champion),
            "differences": {metric: [_out(v) for v in three] for metric, three in self.differences.items()},
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Replay":
        """Back from JSON."""
        return cls(
            int(body["rows"]), int(body["labelled"]), _floats(body["candidate"]),
            None if body["champion"] is None else _floats(body["champion"]),
            {metric: _three(values) for metric, values in body["differences"].items()}, _float(body["shift"]), body["problem"],
        )  # fmt: skip


@dataclass(frozen=True)
class Evidence:
    """Everything a gate looks at. Both models were measured on the same `rows`.

    `slices` maps a slice to its metrics as (candidate, champion), `slice_rows` to its number of rows. `differences` maps a
    metric to (candidate - champion, low, high), a 95 % interval as `paired_bootstrap` makes it; it decides where a
    threshold is to be `confident`, else it explains.
    `latency_ms` is the time of one scored row, p99; `memory_mb` what loading and one prediction took. `missing_features` are
    features the model asks for that its environment does not have, `denied` tables it may not read, `stale` the
    seconds since each feature table was written last. `unsafe` are imports of the artifact's pickles that no ordinary model
    needs. `fairness` maps a Boolean slice to its metrics, `fairness_rows` to the rows inside and outside. `tables` are the
    versions that were read. `custom` holds what the project's own checks found, `requirements` what a resolver said.
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
    unsafe: tuple[str, ...] = ()
    requirements: Check | None = None
    example: str | None = None
    denied: tuple[str, ...] = ()
    stale: Mapping[str, float] = field(default_factory=dict)
    memory_mb: float | None = None
    slice_rows: Mapping[str, int] = field(default_factory=dict)
    fairness: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    fairness_rows: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    replay: Replay | None = None
    tables: Mapping[str, int] = field(default_factory=dict)

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
            "unsafe": list(self.unsafe), "denied": list(self.denied), "example": self.example,
            "requirements": self.requirements.to_dict() if self.requirements else None,
            "stale": _numbers(self.stale), "memory_mb": _out(self.memory_mb), "slice_rows": dict(self.slice_rows),
            "fairness": {key: _numbers(metrics) for key, metrics in self.fairness.items()},
            "fairness_rows": {key: list(two) for key, two in self.fairness_rows.items()},
            "replay": self.replay.to_dict() if self.replay else None, "tables": dict(self.tables),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Evidence":
        """Back from JSON."""
        champion, required, replay = body["champion"], body.get("requirements"), body.get("replay")
        return cls(
            **{name: body[name] for name in _PLAIN},
            candidate=_floats(body["candidate"]),
            champion=None if champion is None else _floats(champion),
            missing_features=tuple(body["missing_features"]),
            slices={key: {m: _pair(p) for m, p in s.items()} for key, s in body["slices"].items()},
            differences={metric: _three(values) for metric, values in body["differences"].items()},
            latency_ms=_float(body["latency_ms"]),
            custom=tuple(Check.from_dict(check) for check in body["custom"]),
            unsafe=tuple(body.get("unsafe") or ()), denied=tuple(body.get("denied") or ()), example=body.get("example"),
            requirements=Check.from_dict(required) if required else None,
            stale=_floats(body.get("stale") or {}), memory_mb=_float(body.get("memory_mb")),
            slice_rows={key: int(n) for key, n in (body.get("slice_rows") or {}).items()},
            fairness={key: _floats(metrics) for key, metrics in (body.get("fairness") or {}).items()},
            fairness_rows={key: (int(two[0]), int(two[1])) for key, two in (body.get("fairness_rows") or {}).items()},
            replay=Replay.from_dict(replay) if replay else None,
            tables={name: int(version) for name, version in (body.get("tables") or {}).items()},
        )  # fmt: skip


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


def _floats(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {metric: float(value) for metric, value in metrics.items()}


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _pair(values: list[Any]) -> tuple[float, float | None]:
    candidate, champion = values
    return float(candidate), None if champion is None else float(champion)


def _three(values: list[Any]) -> tuple[float, float, float]:
    difference, low, high = values
    return float(difference), float(low), float(high)
