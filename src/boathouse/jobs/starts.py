"""Starts jobs by the clock, on events and over and over. What it knows is in rows, so nothing is forgotten by a restart.

Every start has a key made of the job and its reason (a due time, an event, a commit): two servers that see one reason, or
one that sees it again after a crash, start one run.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from boathouse import clock
from boathouse.database import Database
from boathouse.errors import BoathouseError
from boathouse.jobs import causes
from boathouse.jobs.queue import Queue
from boathouse.jobs.runs import Runs
from boathouse.jobs.schedule import missed, next_due
from boathouse.jobs.store import pauses, starts

_log = logging.getLogger(__name__)
_JUMP_SECONDS = 60.0
_LOOK_SECONDS = 10.0
"""How often places that tell of nothing by themselves (files, branches) are looked at."""


@dataclass(frozen=True)
class Startable:
    """A deployed job that may start by itself, or something else of that kind; its name then is no job's."""

    environment: str
    project: str
    name: str
    definition: Mapping[str, Any]
    commit: str | None = None
    kind: str = "job"

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others."""
        return self.environment, self.project, self.name


Submit = Callable[[Startable, Mapping[str, str], str, str], str]
"""(job, parameters, trigger in words, start key) -> the run's id."""


@dataclass(frozen=True)
class Ports:
    """What the starts need of the platform."""

    jobs: Callable[[], Iterable[Startable]]
    submit: Submit
    files: Callable[[str, str], tuple[str, int]]
    """(environment, place) -> when its newest file came, and how many there are."""
    head: Callable[[str, str], str | None]
    """(project, branch) -> the commit at its head."""
    release: Callable[[str, str], str | None]
    """(project, commit) -> the release that is this commit."""
    changed: Callable[["Startable"], bool] = lambda _job: True
    """Whether a release holds other code for a job than the last one that the job ran."""


class Starts:
    """Watches the clock and what happens."""

    def __init__(self, database: Database, runs: Runs, queue: Queue, ports: Ports) -> None:
        self._database = database
        self._runs = runs
        self._queue = queue
        self._ports = ports
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = float("-inf")
        self._clocks: tuple[float, float] | None = None

    def start(self) -> None:
        """Watch the clock in the background."""
        self._thread = threading.Thread(target=self._watch, name="starts", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread:
            self._thread.join(10)

    # pauses by hand

    def pause(self, job: tuple[str, str, str], by: str) -> None:
        """Let a job start by hand only, until it is resumed; deploying it again does not change that."""
        if not self.is_paused(job):
            self._say(job, by, resumed=False)

    def resume(self, job: tuple[str, str, str], by: str = "", definition: Mapping[str, Any] | None = None) -> None:
        """Let it start by itself again, also where its definition pauses it; what was due meanwhile is not made up for."""
        with self._database.writing() as connection:
            connection.execute(pauses.delete().where(*_here(pauses, job)))
            connection.execute(starts.delete().where(*_here(starts, job)))
            if causes.rests(definition or {}):
                self._say(job, by, resumed=True)

    def _say(self, job: tuple[str, str, str], by: str, *, resumed: bool) -> None:
        row = dict(zip(("environment", "project", "job"), job, strict=True))
        with self._database.writing() as connection:
            connection.execute(pauses.delete().where(*_here(pauses, job)))
            connection.execute(pauses.insert().values(**row, paused_by=by, paused_at=clock.now(), resumed=resumed))

    def is_paused(self, job: tuple[str, str, str]) -> bool:
        """Whether it was paused by hand."""
        return self._by_hand().get(job) is False

    def by_itself(self, job: tuple[str, str, str], definition: Mapping[str, Any]) -> Mapping[str, Any]:
        """What starts a job by itself, as its bundle says it and people said by hand since."""
        return causes.awakened(definition) if self._by_hand().get(job) else definition

    def _by_hand(self) -> dict[tuple[str, str, str], bool]:
        """Job -> whether it was resumed by hand, or else paused."""
        query = sa.select(pauses.c.environment, pauses.c.project, pauses.c.job, pauses.c.resumed)
        with self._database.reading() as connection:
            return {(r[0], r[1], r[2]): bool(r[3]) for r in connection.execute(query)}

    def error(self, job: tuple[str, str, str]) -> str | None:
        """Why the last start by itself failed."""
        query = sa.select(starts.c.error).where(*_here(starts, job), starts.c.error.is_not(None))
        with self._database.reading() as connection:
            return connection.execute(query).scalar()

    # events

    def on_event(self, number: int, kind: str, subject: str, data: Mapping[str, Any], at: datetime) -> None:
        """Take in something that happened; it may come twice."""
        if not kind.startswith(("table.updated", "model_version.", "alert.fired")):
            return
        for job in self._awake():
            trigger = job.definition.get("trigger") or {}
            if causes.paused(trigger):
                continue
            if table := causes.touched_table(trigger, job.environment, kind, subject):
                self._note(job, "table_update", trigger["table_update"], table, at)
                self._start_if_ripe(job, "table_update", trigger["table_update"], at)
            if why := causes.reason(trigger, job.environment, kind, subject, data):
                self._submit(job, {}, why, f"event {number}", "event")

    # the clock

    def tick(self, now: datetime) -> None:
        """Start what is due."""
        before = self._clocks
        if self._clock_was_set():
            _log.warning("the clock was set; schedules go on from %s", now.isoformat(timespec="seconds"))
            with self._database.writing() as connection:
                connection.execute(starts.delete().where(starts.c.next_due > now))
        looking = time.monotonic() - self._looked >= _LOOK_SECONDS
        if looking:
            self._looked = time.monotonic()
        later = self._later(now) if before else set()  # at the first look each is asked: the clock was set, maybe, meanwhile
        for job in self._awake():
            try:
                if not _only_scheduled(job) or (*job.key, _print(job.definition["schedule"])) not in later:
                    self._tick(job, now, looking)
            except Exception:
                _log.exception("%s.%s could not be started by itself", job.environment, job.name)

    def _tick(self, job: Startable, now: datetime, looking: bool) -> None:
        schedule, trigger = job.definition.get("schedule"), job.definition.get("trigger") or {}
        if schedule:
            self._by_schedule(job, schedule, now)
        if job.definition.get("continuous") is not None and not causes.paused(job.definition["continuous"]):
            self._over_and_over(job, now)
        if not trigger or causes.paused(trigger):
            return
        if periodic := trigger.get("periodic"):
            self._by_interval(job, periodic, now)
        if rule := trigger.get("table_update"):
            self._start_if_ripe(job, "table_update", rule, now)
        if rule := trigger.get("file_arrival"):
            if looking:
                self._look_for_files(job, rule, now)
            self._start_if_ripe(job, "file_arrival", rule, now)
        if looking and (rule := trigger.get("git_push")):
            self._look_at_branch(job, rule)
        if looking and job.commit and (wanted := trigger.get("release")):
            self._look_at_release(job, {"release": wanted})

    def _by_schedule(self, job: Startable, schedule: Mapping[str, Any], now: datetime) -> None:
        if causes.paused(schedule):
            self._forget(job, "schedule")
            return
        row = self._row(job, "schedule", schedule)
        if row is None:
            self._keep(job, "schedule", schedule, next_due=next_due(schedule, now))
            return
        first = clock.parse_instant(row.next_due)
        if first > now:
            if first > (true := next_due(schedule, now)):  # it was found while the clock stood too far ahead
                self._keep(job, "schedule", schedule, next_due=true, error=self.error(job.key))
            return
        for due in missed(schedule, first, now):
            self._submit(job, {"as_of": due.isoformat()}, "schedule", f"due {due.isoformat()}", "schedule")
        self._keep(job, "schedule", schedule, next_due=next_due(schedule, now), error=self.error(job.key))

    def _by_interval(self, job: Startable, periodic: Mapping[str, Any], now: datetime) -> None:
        row = self._row(job, "periodic", periodic)
        latest = now + causes.interval(periodic)
        due = min(clock.parse_instant(row.next_due), latest) if row else latest
        if row is not None and due <= now:
            self._submit(job, {"as_of": due.isoformat()}, "periodic", f"period {due.isoformat()}", "periodic")
            behind = (now - due) // causes.interval(periodic)
            due += (behind + 1) * causes.interval(periodic)
        if row is None or due != clock.parse_instant(row.next_due):
            self._keep(job, "periodic", periodic, next_due=due)

    def _over_and_over(self, job: Startable, now: datetime) -> None:
        if self._queue.open_runs(*job.key):
            return
        newest = self._runs.newest(job.environment, job.name, limit=8, project=job.project)
        failures = next((n for n, run in enumerate(newest) if run.state == "SUCCESS"), len(newest))
        last = newest[0] if newest else None
        pause = causes.pause_after_failures(failures)
        if last and last.ended_at and not causes.passed(pause, clock.parse_instant(last.ended_at), now):
            return
        self._submit(job, {}, "continuous", f"after {last.id}" if last else "the first of its runs", "continuous")

    def _look_for_files(self, job: Startable, rule: Mapping[str, Any], now: datetime) -> None:
        newest, count = self._ports.files(job.environment, str(rule["url"]))
        row = self._row(job, "file_arrival", rule)
        if row is None:
            self._keep(job, "file_arrival", rule, seen={"newest": newest, "count": count})
        elif newest > row.seen.get("newest", "") or count > row.seen.get("count", 0):
            seen = causes.with_change(row.seen, str(rule["url"]), now)
            self._keep(job, "file_arrival", rule, seen={**seen, "newest": newest, "count": count})
        elif count < row.seen.get("count", 0):
            self._keep(job, "file_arrival", rule, seen={**row.seen, "count": count})

    def _look_at_branch(self, job: Startable, rule: Mapping[str, Any]) -> None:
        branch = str(rule.get("branch") or "main")
        head = self._ports.head(job.project, branch)
        row = self._row(job, "git_push", rule)
        if head is None or (row and row.seen.get("head") == head):
            return
        if row is not None:
            self._submit(job, {}, f"push to {branch}", f"push {head}", "git_push")
        self._keep(job, "git_push", rule, seen={"head": head})

    def _look_at_release(self, job: Startable, rule: Mapping[str, Any]) -> None:
        row = self._row(job, "release", rule)
        if (row and row.seen.get("commit") == job.commit) or not (version := self._ports.release(job.project, str(job.commit))):
            return
        changed = self._ports.changed(job)
        error = self._submit(job, {}, f"release {version}", f"release {version}", "release") if changed else None
        self._keep(job, "release", rule, seen={"commit": job.commit, "changed": changed}, error=error)

    # changes that wait

    def _note(self, job: Startable, cause: str, rule: Mapping[str, Any], what: str, at: datetime) -> None:
        with self._database.writing():
            row = self._row(job, cause, rule)
            self._keep(job, cause, rule, seen=causes.with_change(row.seen if row else {}, what, at))

    def _start_if_ripe(self, job: Startable, cause: str, rule: Mapping[str, Any], now: datetime) -> None:
        row = self._row(job, cause, rule)
        names = {causes.completed(n, job.environment) for n in rule.get("table_names") or ()}
        if row is None or not causes.ripe(rule, row.seen, now, names):
            return
        waiting = row.seen["waiting"]
        newest = max(waiting, key=lambda name: str(waiting[name]))
        word = "table" if cause == "table_update" else "files in"
        self._submit(job, {}, f"{word} {newest}", f"{cause} {max(waiting.values())}", cause)
        with self._database.writing():
            fresh = self._row(job, cause, rule)
            left = {k: v for k, v in (fresh.seen.get("waiting") or {}).items() if waiting.get(k) != v} if fresh else {}
            self._keep(job, cause, rule, seen={**row.seen, "waiting": left, "started": now.isoformat()})

    # rows

    def _awake(self) -> list[Startable]:
        said = self._by_hand()
        awake = (job for job in self._ports.jobs() if said.get(job.key) is not False)
        return [replace(job, definition=causes.awakened(job.definition)) if said.get(job.key) else job for job in awake]

    def _submit(self, job: Startable, parameters: Mapping[str, str], trigger: str, reason: str, cause: str) -> str | None:
        """Start a run. A refusal is kept for people to see, and is not tried again for the same reason; its words."""
        key = f"{'.'.join(job.key)} {reason}"
        if self._runs.started_as(key):
            return None
        try:
            self._ports.submit(job, parameters, trigger, key)
            error = None
        except BoathouseError as refusal:
            _log.warning("%s.%s could not be started (%s): %s", job.environment, job.name, trigger, refusal)
            error = f"{trigger}: {refusal}"
        with self._database.writing() as connection:
            connection.execute(starts.update().where(*_here(starts, job.key), starts.c.cause == cause).values(error=error))
        return error

    def _later(self, now: datetime) -> set[tuple[str, str, str, str]]:
        """Schedules whose time has not come, with their jobs: one question for all of them."""
        query = sa.select(starts.c.environment, starts.c.project, starts.c.job, starts.c.fingerprint).where(
            starts.c.cause == "schedule", starts.c.next_due > now
        )
        with self._database.reading() as connection:
            return {(r[0], r[1], r[2], r[3]) for r in connection.execute(query)}

    def _row(self, job: Startable, cause: str, rule: Mapping[str, Any]) -> Any:
        """What is kept for a cause, unless its rule has changed since."""
        query = sa.select(starts).where(*_here(starts, job.key), starts.c.cause == cause, starts.c.fingerprint == _print(rule))
        with self._database.reading() as connection:
            return connection.execute(query).first()

    def _keep(self, job: Startable, cause: str, rule: Mapping[str, Any], **values: Any) -> None:
        row = dict(zip(("environment", "project", "job"), job.key, strict=True)) | {"cause": cause}
        with self._database.writing() as connection:
            connection.execute(starts.delete().where(*_here(starts, job.key), starts.c.cause == cause))
            connection.execute(starts.insert().values({**row, "fingerprint": _print(rule), "seen": {}, **values}))

    def _forget(self, job: Startable, cause: str) -> None:
        with self._database.reading() as connection:
            there = connection.execute(sa.select(starts.c.job).where(*_here(starts, job.key), starts.c.cause == cause)).first()
        if there:
            with self._database.writing() as connection:
                connection.execute(starts.delete().where(*_here(starts, job.key), starts.c.cause == cause))

    def _clock_was_set(self) -> bool:
        """Whether the wall clock moved otherwise than time did, since the last look."""
        before, self._clocks = self._clocks, (time.time(), time.monotonic())
        if before is None:
            return False
        return abs((self._clocks[0] - before[0]) - (self._clocks[1] - before[1])) > _JUMP_SECONDS

    def _watch(self) -> None:
        while not self._stop.wait(1.0 - time.time() % 1.0):  # due times are whole seconds
            try:
                self.tick(clock.now())
            except Exception:
                _log.exception("starts wait: the database did not answer as it should")


def _here(table: sa.Table, job: tuple[str, str, str]) -> tuple[sa.ColumnElement[bool], ...]:
    return tuple(table.c[name] == value for name, value in zip(("environment", "project", "job"), job, strict=True))


def _only_scheduled(job: Startable) -> bool:
    """Whether a running clock alone starts it."""
    schedule, others = job.definition.get("schedule"), ("trigger", "continuous")
    return bool(schedule) and not causes.paused(schedule) and not any(job.definition.get(o) is not None for o in others)


def _print(rule: Mapping[str, Any]) -> str:
    return json.dumps({k: v for k, v in rule.items() if k != "pause_status"}, sort_keys=True, default=str)
