"""How a version does behind endpoints: requests, errors, and latencies in bins that can be added up."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_GROWTH = 1.05
"""A bin is so much wider than the one before: quantiles are off by 2.5 % at most."""
_STEP = math.log(_GROWTH)
Role = str
"""`served`, `canary` or `shadow`."""


def bin_of(milliseconds: float) -> int:
    """The bin of a latency: bin n ends at 1.05^n milliseconds."""
    return math.ceil(math.log(max(milliseconds, 0.001)) / _STEP - 1e-9)


@dataclass(frozen=True)
class Health:
    """Requests, errors among them, and how many of them took how long, by bin."""

    requests: int = 0
    errors: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)

    @property
    def error_rate(self) -> float | None:
        """The share of requests that failed; None without requests."""
        return self.errors / self.requests if self.requests else None

    def quantile(self, share: float) -> float | None:
        """The latency in milliseconds that `share` of the requests stay within; None without requests."""
        count, seen = sum(self.latencies.values()), 0
        for number in sorted(self.latencies):
            seen += self.latencies[number]
            if seen >= share * count - 1e-9:
                return float(_GROWTH ** (number - 0.5))
        return None

    def to_dict(self) -> dict[str, float | int | None]:
        """Counts, rate and the usual quantiles."""
        at = {f"p{q}_ms": self.quantile(q / 100) for q in (50, 95, 99)}
        rounded = {name: None if ms is None else float(f"{ms:.3g}") for name, ms in at.items()}
        return {"requests": self.requests, "errors": self.errors, "error_rate": self.error_rate, **rounded}


@dataclass(frozen=True)
class Reading:
    """What one endpoint saw of one version in one role since `opened_at` (milliseconds of the epoch)."""

    environment: str
    endpoint: str
    model: str
    version: int
    role: Role
    opened_at: int
    health: Health


def total(parts: Iterable[Health]) -> Health:
    """All of it together."""
    requests = errors = 0
    latencies: dict[int, int] = {}
    for part in parts:
        requests, errors = requests + part.requests, errors + part.errors
        for number, count in part.latencies.items():
            latencies[number] = latencies.get(number, 0) + count
    return Health(requests, errors, latencies)
