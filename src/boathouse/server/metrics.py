"""`/metrics` in Prometheus' text format, 0.0.4: what endpoints answer, what runs, and what waits."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse

from boathouse.platform import Platform
from boathouse.server.auth import Served, identity_of, is_near
from boathouse.serving import BOUNDS

router = APIRouter()
_STATES = ("READY", "LOADING", "WAITING", "FAILED", "STARTING")


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, platform: Served) -> PlainTextResponse:
    """Metrics: without a token for who asks from this machine itself, with any token from elsewhere or through a proxy."""
    if not is_near(request) or "authorization" in request.headers:
        identity_of(request)
    return PlainTextResponse("\n".join(exposition(platform)) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


def exposition(platform: Platform) -> Iterator[str]:
    """Every metric family, its help and type before its samples."""
    series = sorted(platform.endpoints.tally.series().items())
    yield from _family("boathouse_endpoint_requests_total", "counter", "Requests to endpoints since the server started.", (
        _sample("boathouse_endpoint_requests_total", {**_labels(key), "status": status}, count)
        for key, one in series for status, count in sorted(one.statuses.items())
    ))  # fmt: skip
    name = "boathouse_endpoint_latency_seconds"
    yield from _family(name, "histogram", "How long model servers took to answer.", (
        line for key, one in series for line in _histogram(name, _labels(key), one.buckets, one.seconds)
    ))  # fmt: skip
    states = [s.state for s in platform.endpoints.states()]
    yield from _family("boathouse_endpoints", "gauge", "Endpoints by state.", (
        _sample("boathouse_endpoints", {"state": state}, states.count(state)) for state in _STATES
    ))  # fmt: skip
    rollouts = [r.mode for r in platform.delivery.rollouts.running()]
    yield from _family("boathouse_rollouts", "gauge", "Rollouts that go on.", (
        _sample("boathouse_rollouts", {"mode": mode}, rollouts.count(mode)) for mode in ("canary", "shadow")
    ))  # fmt: skip
    yield from _family("boathouse_runs", "gauge", "Runs of jobs by state.", (
        _sample("boathouse_runs", {"state": state}, count) for state, count in sorted(platform.runs.by_state().items())
    ))  # fmt: skip
    waiting, lag = platform.outbox.lag()
    for gauge, told, value in (
        ("boathouse_outbox_waiting", "Events that are not delivered yet.", waiting),
        ("boathouse_outbox_lag_seconds", "How long the oldest of them has waited.", lag),
        ("boathouse_outbox_set_aside", "Events that were given up.", len(platform.outbox.set_aside())),
    ):
        yield from _family(gauge, "gauge", told, [_sample(gauge, {}, value)])


def _labels(key: tuple[str, str, int, str]) -> dict[str, Any]:
    return dict(zip(("environment", "endpoint", "version", "role"), key, strict=True))


def _family(name: str, kind: str, told: str, samples: Iterable[str]) -> Iterator[str]:
    yield f"# HELP {name} {told}"
    yield f"# TYPE {name} {kind}"
    yield from samples


def _histogram(name: str, labels: Mapping[str, Any], buckets: list[int], seconds: float) -> Iterator[str]:
    for bound, count in zip((*BOUNDS, "+Inf"), accumulate(buckets), strict=True):
        yield _sample(f"{name}_bucket", {**labels, "le": bound}, count)
    yield _sample(f"{name}_sum", labels, seconds)
    yield _sample(f"{name}_count", labels, sum(buckets))


def _sample(name: str, labels: Mapping[str, Any], value: float) -> str:
    told = ",".join(f'{key}="{_escaped(str(label))}"' for key, label in labels.items())
    return f"{name}{{{told}}} {value:.10g}" if labels else f"{name} {value:.10g}"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
