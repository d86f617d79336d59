"""Schedules: cron and Quartz expressions in a time zone, right over daylight saving."""

from collections import deque
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from boathouse import clock
from boathouse.errors import InvalidInput

_QUARTZ_FIELDS = (6, 7)
_ON_TIME = timedelta(minutes=1)


def next_due(schedule: Mapping[str, Any], after: datetime) -> datetime:
    """The next moment after `after` (UTC) of {quartz_cron_expression | cron, timezone_id}. Raises InvalidInput."""
    expression = str(schedule.get("quartz_cron_expression") or schedule.get("cron") or "")
    try:
        zone = ZoneInfo(str(schedule.get("timezone_id") or "UTC"))
        return next(CronSim(as_cron(expression), after.astimezone(zone))).astimezone(clock.now().tzinfo)
    except ZoneInfoNotFoundError as error:
        raise InvalidInput(f"no time zone is named {schedule.get('timezone_id')!r}") from error
    except (CronSimError, StopIteration) as error:
        raise InvalidInput(f"{expression!r} is no schedule: {error}") from error


def as_cron(expression: str) -> str:
    """A Quartz expression (seconds first, `?`, Sunday = 1) as cron (Sunday = 0); cron stays as it is."""
    fields = expression.split()
    if len(fields) not in _QUARTZ_FIELDS:
        return expression
    _, minute, hour, day, month, weekday = fields[:6]
    numbers = "".join(str(int(c) - 1) if c.isdigit() and "#" not in weekday else c for c in weekday)
    return " ".join(["*" if f == "?" else f for f in (minute, hour, day, month)] + ["*" if weekday == "?" else numbers])


def dues(schedule: Mapping[str, Any], since: datetime, until: datetime, most: int = 1_000) -> list[datetime]:
    """Due times after `since`, up to and with `until`, oldest first; the newest `most` of them. Raises InvalidInput."""
    found: deque[datetime] = deque(maxlen=most)
    moment = since
    while (moment := next_due(schedule, moment)) <= until:
        found.append(moment)
    return list(found)


def missed(schedule: Mapping[str, Any], first: datetime, now: datetime) -> list[datetime]:
    """Of the due times from `first` (one itself) to now, those that start a run.

    `missed_runs` decides where several fell due while no server ran: `latest` (the default) starts the last of them,
    `all` each, `skip` none that is older than a minute.
    """
    policy = str(schedule.get("missed_runs") or "latest")
    found = [first, *dues(schedule, first, now)]
    if policy == "all":
        return found
    return [due for due in found[-1:] if policy == "latest" or now - due <= _ON_TIME]
