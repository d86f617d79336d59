"""A model made again beside the one that was recorded: how far they are apart. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Likeness = Literal["bit-equal", "within tolerance", "different"]
TOLERANCE = 1e-6
_OF_TIME = re.compile(r"seconds|duration|time|latency|_ms$", re.IGNORECASE)
"""Names of metrics that measure the run and not the model."""


@dataclass(frozen=True)
class Comparison:
    """Both sides as (recorded, made again). `largest` is the largest difference of predictions on the same `rows`.

    `surroundings` are differences of packages, interpreter and processor, in words.
    """

    parameters: Mapping[str, tuple[str | None, str | None]]
    metrics: Mapping[str, tuple[float | None, float | None]]
    rows: int
    largest: float | None
    scale: float
    surroundings: tuple[str, ...] = ()

    def likeness(self, tolerance: float = TOLERANCE) -> Likeness:
        """bit-equal where nothing differs; within tolerance where numbers differ by no more, relative to their size."""
        exact = all(_same(a, b) for a, b in self.metrics.values()) and not self.largest
        if exact and not self.differing_parameters:
            return "bit-equal"
        near = all(_near(a, b, tolerance) for a, b in self.metrics.values())
        close = self.largest is None or self.largest <= tolerance * max(1.0, self.scale)
        return "within tolerance" if near and close and not self.differing_parameters else "different"

    @property
    def differing_parameters(self) -> dict[str, tuple[str | None, str | None]]:
        """Parameters that are not the same."""
        return {k: v for k, v in self.parameters.items() if v[0] != v[1]}

    def to_dict(self) -> dict[str, Any]:
        """As JSON; NaN as its name."""
        numbers = {k: [_out(a), _out(b)] for k, (a, b) in self.metrics.items()}
        return {**asdict(self), "metrics": numbers, "largest": _out(self.largest)}

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> "Comparison":
        """Back from JSON."""
        return cls(
            {k: (v[0], v[1]) for k, v in body["parameters"].items()},
            {k: (_in(v[0]), _in(v[1])) for k, v in body["metrics"].items()},
            int(body["rows"]), _in(body["largest"]), float(body["scale"]), tuple(body["surroundings"]),
        )  # fmt: skip


def sides(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> dict[str, Any]:
    """Name -> (recorded, made again), of all names of both, without measures of time."""
    names = sorted({*recorded, *again})
    return {name: (recorded.get(name), again.get(name)) for name in names if not _OF_TIME.search(name)}


def apart(recorded: Any, again: Any) -> tuple[float, float]:
    """The largest difference of two columns of numbers, and the largest size; NaN beside NaN is no difference."""
    import numpy as np

    one, other = np.asarray(recorded, dtype=float), np.asarray(again, dtype=float)
    if one.size == 0:
        return 0.0, 0.0
    both = np.isnan(one) & np.isnan(other)
    difference = np.where(both, 0.0, np.abs(one - other))
    return float(np.nanmax(np.where(np.isnan(difference), np.inf, difference))), float(np.nanmax(np.abs(one), initial=0.0))


def changed_packages(recorded: str, now: str) -> tuple[str, ...]:
    """Lists of `name==version`, compared: what changed, in words."""
    before, after = (dict(line.split("==", 1) for line in text.split() if "==" in line) for text in (recorded, now))
    names = sorted(name for name in {*before, *after} if before.get(name) != after.get(name))
    return tuple(f"{name} {before.get(name, 'none')} -> {after.get(name, 'none')}" for name in names if name != "boathouse")


def _same(one: float | None, other: float | None) -> bool:
    return one == other or (one is not None and other is not None and math.isnan(one) and math.isnan(other))


def _near(one: float | None, other: float | None, tolerance: float) -> bool:
    if _same(one, other):
        return True
    return one is not None and other is not None and abs(one - other) <= tolerance * max(1.0, abs(one))


def _out(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else str(value)


def _in(value: Any) -> float | None:
    return None if value is None else float(value)
