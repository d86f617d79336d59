"""A rollout, and the one question of it: go on, finish or roll back. Pure: rows and clocks are elsewhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from boathouse.delivery.health import Health
from boathouse.delivery.store import RUNNING

MIN_REQUESTS = 20
"""So many requests a version must have answered before anything is concluded, unless the bundle says another number."""
Course = Literal["go_on", "finish", "roll_back"]


@dataclass(frozen=True)
class RolloutAsked:
    """How a bundle wants a new version to take over: a share of the requests for so many seconds, within limits."""

    mode: str = "canary"
    percent: float = 10.0
    seconds: float = 600.0
    error_rate: float | None = None
    p99_ms: float | None = None
    min_requests: int = MIN_REQUESTS

    @property
    def limits(self) -> dict[str, Any]:
        """As a row keeps them."""
        return {"error_rate": self.error_rate, "p99_ms": self.p99_ms, "min_requests": self.min_requests}


@dataclass(frozen=True)
class Rollout:
    """A version that takes over, or tried to. `served_seconds` is how long it has been there to answer."""

    id: int
    model: str
    version: int
    champion: int
    mode: str
    percent: float
    seconds: float
    principal: str
    why: str
    state: str
    started_at: datetime
    served_seconds: float = 0.0
    limits: Mapping[str, Any] = field(default_factory=dict)
    fault: str | None = None
    ended_at: datetime | None = None
    reason: str | None = None

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return self.state == RUNNING


def judge(rollout: Rollout, health: Health) -> tuple[Course, str]:
    """What follows from how the version did since the rollout began, and why.

    A version that does not load is rolled back. Else nothing follows from fewer requests than `min_requests`; a broken
    limit rolls back at once, and a rollout finishes when the version has been served for `seconds` within its limits.
    """
    if rollout.fault:
        return "roll_back", rollout.fault
    least = int(rollout.limits.get("min_requests") or MIN_REQUESTS)
    if health.requests < least:
        return "go_on", f"{health.requests} of the {least} requests that a verdict takes"
    if broken := _broken(rollout.limits, health):
        return "roll_back", broken
    if rollout.served_seconds < rollout.seconds:
        return "go_on", f"within its limits after {health.requests} requests and {rollout.served_seconds:.0f} s"
    rate, p99 = health.error_rate or 0.0, health.quantile(0.99) or 0.0
    return "finish", f"{health.requests} requests in {rollout.served_seconds:.0f} s, {rate:.2%} failed, p99 {p99:.3g} ms"


def _broken(limits: Mapping[str, Any], health: Health) -> str:
    most, slowest = limits.get("error_rate"), limits.get("p99_ms")
    rate, p99 = health.error_rate or 0.0, health.quantile(0.99) or 0.0
    if most is not None and rate > most:
        return f"{health.errors} of {health.requests} requests failed ({rate:.1%}), and {most:.3g} is the limit of error_rate"
    if slowest is not None and p99 > slowest:
        return f"p99 of {health.requests} requests is {p99:.3g} ms, and {slowest:g} is the limit of p99_ms"
    return ""
