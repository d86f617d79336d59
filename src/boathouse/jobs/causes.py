"""Why a job starts by itself: what an event means to a trigger, and when a trigger that waits has waited enough. Pure."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from boathouse import clock

_STARTS = ("schedule", "trigger", "continuous")
_UNITS = {"MINUTES": "minutes", "HOURS": "hours", "DAYS": "days", "WEEKS": "weeks"}


def rests(definition: Mapping[str, Any]) -> bool:
    """Whether a job's definition pauses something of what starts it."""
    return any(paused(definition.get(start)) for start in _STARTS)


def awakened(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A job's definition with nothing of what starts it paused."""
    own = {k: {**v, "pause_status": "UNPAUSED"} for k in _STARTS if (v := definition.get(k)) is not None}
    return {**definition, **own}


def paused(start: Mapping[str, Any] | None) -> bool:
    """Whether a schedule, a trigger or `continuous` is set to rest."""
    return str((start or {}).get("pause_status") or "UNPAUSED").upper() == "PAUSED"


def touched_table(trigger: Mapping[str, Any], environment: str, kind: str, subject: str) -> str | None:
    """The table of a trigger that an event tells of."""
    if kind != "table.updated":
        return None
    names = (trigger.get("table_update") or {}).get("table_names") or ()
    return subject if subject in {completed(n, environment) for n in names} else None


def reason(trigger: Mapping[str, Any], environment: str, kind: str, subject: str, data: Mapping[str, Any]) -> str | None:
    """Why an event starts the job at once, in words; None where it does not."""
    if wanted := trigger.get("model"):
        stage = wanted.get("stage")
        moved = kind == "model_version.transitioned" and stage is not None and data.get("to_stage") == stage
        made = kind == "model_version.created" and stage in (None, "None")
        if (moved or made) and subject == completed(wanted["name"], environment):
            return f"model {subject} version {data.get('version')}"
    if (alert := trigger.get("alert")) and kind == "alert.fired" and subject == f"{environment}.{alert}":
        return f"alert {alert}"
    return None


def completed(name: str, environment: str) -> str:
    """A name of two levels, in its environment."""
    return f"{environment}.{name}" if name.count(".") == 1 else name


def with_change(seen: Mapping[str, Any], what: str, at: datetime) -> dict[str, Any]:
    """What a trigger has seen, with one more change."""
    waiting = {**(seen.get("waiting") or {}), what: at.isoformat()}
    return {**seen, "waiting": waiting}


def ripe(rule: Mapping[str, Any], seen: Mapping[str, Any], now: datetime, names: set[str]) -> bool:
    """Whether the changes that wait start a run now: enough of them, long enough ago, long enough after the last start."""
    waiting = {k: clock.parse_instant(v) for k, v in (seen.get("waiting") or {}).items()}
    if not waiting or (rule.get("condition") == "ALL_UPDATED" and not names <= set(waiting)):
        return False
    rest = timedelta(seconds=int(rule.get("wait_after_last_change_seconds") or 0))
    apart = timedelta(seconds=int(rule.get("min_time_between_triggers_seconds") or 0))
    started = seen.get("started")
    return passed(rest, max(waiting.values()), now) and (started is None or passed(apart, clock.parse_instant(started), now))


def passed(span: timedelta, since: datetime, now: datetime) -> bool:
    """Whether so much time went by since a moment; one far ahead was noted before the clock was set back, and is past."""
    return abs(now - since) >= span


def interval(periodic: Mapping[str, Any]) -> timedelta:
    """The time between two runs of a periodic trigger."""
    return timedelta(**{_UNITS[str(periodic["unit"]).upper()]: int(periodic["interval"])})


def pause_after_failures(failures: int) -> timedelta:
    """How long a continuous job rests after so many failures in a row: five seconds, doubled, five minutes at most."""
    return timedelta(seconds=min(300, 5 * 2 ** (failures - 1))) if failures else timedelta(0)
