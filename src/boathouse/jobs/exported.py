"""Runs that have ended as rows of `system.job_runs`, in the order in which they ended."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from boathouse import clock
from boathouse.catalog import Exported
from boathouse.jobs.store import runs

_TIME = pa.timestamp("us", tz="UTC")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SETTLED = timedelta(seconds=10)  # a run that ended a moment ago may be written after one that ended later


def _after(number: int) -> sa.ColumnElement[bool]:
    since = _EPOCH + timedelta(microseconds=number)
    return (runs.c.ended_at > since) & (runs.c.ended_at < clock.now() - _SETTLED)


def _number(row: Mapping[str, Any]) -> int:
    return (clock.parse_instant(row["ended_at"]) - _EPOCH) // timedelta(microseconds=1)


def _seconds(row: Mapping[str, Any]) -> float | None:
    """How long it ran; None for a run that never began."""
    begun, ended = row["started_at"], row["ended_at"]
    return (clock.parse_instant(ended) - clock.parse_instant(begun)).total_seconds() if begun and ended else None


JOB_RUNS = Exported(
    "job_runs", "Runs of jobs that have ended: what ran, why, as whom, how long and how it ended",
    pa.schema([
        ("id", pa.string()), ("environment", pa.string()), ("project", pa.string()), ("job", pa.string()), ("state", pa.string()),
        ("reason", pa.string()), ("trigger", pa.string()), ("principal", pa.string()), ("submitted_by", pa.string()),
        ("commit_id", pa.string()), ("submitted_at", _TIME), ("started_at", _TIME), ("ended_at", _TIME),
        ("seconds", pa.float64()),
    ]),
    sa.select(runs, runs.c.environment.label("subject")).where(runs.c.scratch == "").order_by(runs.c.ended_at),
    _after, _number, {"seconds": _seconds},
)  # fmt: skip
