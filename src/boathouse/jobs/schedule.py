"""Schedules: cron and Quartz expressions in a time zone, right over daylight saving."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from boathouse import clock
from boathouse.errors import InvalidInput

_log = logging.getLogger(__name__)
_QUARTZ_FIELDS = (6, 7)


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


class Schedules:
    """Starts jobs when they are due; what was missed while nothing ran is not made up for."""

    def __init__(
        self, jobs: Callable[[], Iterable[tuple[str, Mapping[str, Any]]]], start: Callable[[str, datetime], None]
    ) -> None:
        self._jobs = jobs
        self._start = start
        self._due: dict[tuple[str, str], datetime] = {}
        self._stop = threading.Event()

    def start(self) -> None:
        """Watch the clock in the background."""
        threading.Thread(target=self._watch, name="schedules", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()

    def tick(self, now: datetime) -> None:
        """Start what fell due since the last tick."""
        wanted = {}
        for name, schedule in self._jobs():
            if str(schedule.get("pause_status", "UNPAUSED")).upper() == "PAUSED":
                continue
            key = (name, str(sorted(schedule.items())))
            try:
                due = self._due.get(key) or next_due(schedule, now)
                wanted[key] = next_due(schedule, now) if due <= now else due
                if due <= now:
                    self._start(name, due)
            except Exception:
                _log.exception("%s could not be started by its schedule", name)
        self._due = wanted

    def _watch(self) -> None:
        while not self._stop.wait(1.0):
            try:
                self.tick(clock.now())
            except Exception:
                _log.exception("a schedule could not be followed")
