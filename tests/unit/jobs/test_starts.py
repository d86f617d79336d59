"""What starts jobs by itself: each reason once, through restarts, on two servers, whatever the clock does."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boathouse.database import Database
from boathouse.errors import InvalidInput
from boathouse.jobs import Ports, Runs, Startable, Starts
from boathouse.jobs.queue import Queue


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2013-07-01 {text}").replace(tzinfo=UTC)


class Desk:
    """Starts over a real database; a run that is started has succeeded at once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.runs = Runs(database)
        self.job: dict[str, Any] = {}
        self.newest = ("", 0)
        self.heads = self.commit = "c1"
        self.release, self.changed = "1.0", [True]
        self.refuse = False
        self.started: list[tuple[str, str]] = []
        self.server = self.another()

    def another(self) -> Starts:
        ports = Ports(self._jobs, self._submit, lambda _e, _p: self.newest, lambda _p, _b: self.heads,
                      lambda _p, _c: self.release, lambda _job: self.changed.pop())  # fmt: skip
        return Starts(self.database, self.runs, Queue(self.database), ports)

    def tick(self, moment: str, server: Starts | None = None) -> list[tuple[str, str]]:
        """What one look starts: (trigger, hour and minute of as_of)."""
        before = len(self.started)
        asked = server or self.server
        asked._looked = float("-inf")
        asked.tick(at(moment))
        return self.started[before:]

    def event(self, number: int, kind: str, subject: str, data: Mapping[str, Any] | None = None, when: str = "07:00") -> None:
        self.server.on_event(number, kind, subject, data or {}, at(when))

    def _jobs(self) -> list[Startable]:
        return [Startable("dev", "p", "j", self.job, self.commit)]

    def _submit(self, job: Startable, parameters: Mapping[str, str], trigger: str, start_key: str) -> str:
        if self.refuse:
            raise InvalidInput("its definition is wrong")
        row = {"id": f"run{len(self.started)}", "environment": "dev", "project": "p", "job": job.name, "scratch": "",
               "source": ".", "definition": {}, "parameters": dict(parameters), "trigger": trigger, "principal": "dev-jobs",
               "submitted_by": "dev-jobs", "state": "SUCCESS", "start_key": start_key}  # fmt: skip
        made = self.runs.add(row, ["t"])
        if made == row["id"]:
            self.started.append((trigger, parameters.get("as_of", "")[11:16]))
        return made


@pytest.fixture
def desk(database: Database) -> Desk:
    return Desk(database)


def test_a_due_time_starts_one_run_on_two_servers_and_after_a_restart(desk: Desk) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    other = desk.another()
    assert desk.tick("06:59") == desk.tick("06:59", other) == []
    assert desk.tick("07:00") == [("schedule", "07:00")]
    assert desk.tick("07:00", other) == desk.tick("07:00", desk.another()) == []
    assert desk.tick("08:00", other) == [("schedule", "08:00")]
    assert desk.tick("08:01") == []


def test_two_servers_that_saw_the_same_due_time_start_one_run(desk: Desk) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    desk.tick("06:59")
    row = desk.server._row(desk._jobs()[0], "schedule", desk.job["schedule"])
    desk.tick("07:00")
    desk.server._keep(desk._jobs()[0], "schedule", desk.job["schedule"], next_due=row.next_due)
    assert desk.tick("07:00", desk.another()) == []


@pytest.mark.parametrize(
    ("policy", "hours"), [("latest", ["10:00"]), ("all", ["07:00", "08:00", "09:00", "10:00"]), ("skip", [])]
)
def test_what_fell_due_while_no_server_ran_is_made_up_for_as_it_says(desk: Desk, policy: str, hours: list[str]) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *", "missed_runs": policy}}
    desk.tick("06:59")
    assert desk.tick("10:30", desk.another()) == [("schedule", hour) for hour in hours]
    assert desk.tick("10:31") == []
    assert desk.tick("11:00") == [("schedule", "11:00")]


def test_a_clock_that_is_set_back_starts_nothing_twice_and_stops_nothing(desk: Desk) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    for moment in ("06:59", "07:00", "08:00"):
        desk.tick(moment)
    desk.server._clocks = (1e12, 0.0)
    assert desk.tick("06:30") == desk.tick("07:00") == desk.tick("08:00") == []
    assert desk.tick("09:00") == [("schedule", "09:00")]


@pytest.mark.parametrize(
    "job",
    [{"schedule": {"cron": "0 * * * *"}}, {"trigger": {"periodic": {"interval": 1, "unit": "HOURS"}}}, {"continuous": {}},
     {"trigger": {"table_update": {"table_names": ["raw.a"], "min_time_between_triggers_seconds": 60}}}],
    ids=["schedule", "periodic", "continuous", "table_update"],
)  # fmt: skip
def test_a_server_that_starts_after_the_clock_stood_far_ahead_waits_for_no_such_time(desk: Desk, job: dict[str, Any]) -> None:
    desk.job = job
    for day in (1, 2):
        desk.server.on_event(day, "table.updated", "dev.raw.a", {}, at("06:00") + timedelta(days=365 + day))
        desk.server.tick(at("06:00") + timedelta(days=365 + day))
    started, fresh = len(desk.started), desk.another()
    assert started > 0
    fresh.tick(at("06:30"))
    fresh.on_event(9, "table.updated", "dev.raw.a", {}, at("06:31"))
    fresh.tick(at("07:40"))
    assert len(desk.started) == started + (2 if "continuous" in job else 1)


def test_a_paused_job_starts_only_after_it_is_resumed(desk: Desk) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    desk.tick("06:59")
    desk.server.pause(("dev", "p", "j"), "ada")
    desk.server.pause(("dev", "p", "j"), "ada")
    assert desk.tick("07:00") == []
    desk.server.resume(("dev", "p", "j"), "ann")
    assert desk.tick("07:30") == []
    assert desk.tick("08:00") == [("schedule", "08:00")]
    desk.job = {"schedule": {"cron": "0 * * * *", "pause_status": "PAUSED"}}
    assert desk.tick("09:00") == []


def test_a_job_that_its_bundle_pauses_starts_once_it_is_resumed_until_it_is_paused_by_hand(desk: Desk) -> None:
    job = ("dev", "p", "j")
    desk.job = {"schedule": {"cron": "0 * * * *", "pause_status": "PAUSED"}}
    assert desk.tick("06:59") == desk.tick("07:00") == []
    desk.server.resume(job, "ada", desk.job)
    assert desk.server.by_itself(job, desk.job)["schedule"]["pause_status"] == "UNPAUSED"
    assert desk.tick("07:30") == []
    assert desk.another().is_paused(job) is False
    assert desk.tick("08:00") == [("schedule", "08:00")]
    desk.server.pause(job, "ada")
    assert desk.tick("09:00") == []


def test_a_refusal_is_kept_for_people_to_see_and_not_tried_again(desk: Desk) -> None:
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    desk.tick("06:59")
    desk.refuse = True
    desk.tick("07:00")
    assert desk.server.error(("dev", "p", "j")) == "schedule: its definition is wrong"
    desk.refuse = False
    assert desk.tick("07:01") == []
    desk.tick("08:00")
    assert desk.server.error(("dev", "p", "j")) is None


def test_a_new_version_of_a_table_starts_one_run_however_often_it_is_told(desk: Desk) -> None:
    desk.job = {"trigger": {"table_update": {"table_names": ["raw.flights"]}}}
    for subject in ("dev.raw.flights", "dev.raw.flights", "prod.raw.flights", "dev.raw.planes"):
        desk.event(1, "table.updated", subject)
    assert desk.started == [("table dev.raw.flights", "")]
    desk.event(2, "table.updated", "dev.raw.flights", when="08:00")
    assert len(desk.started) == 2


def test_a_trigger_can_wait_for_all_tables_and_for_quiet(desk: Desk) -> None:
    rule = {"table_names": ["raw.a", "raw.b"], "condition": "ALL_UPDATED", "wait_after_last_change_seconds": 600}
    desk.job = {"trigger": {"table_update": rule}}
    desk.event(1, "table.updated", "dev.raw.a")
    assert desk.tick("07:30") == []
    desk.event(2, "table.updated", "dev.raw.b", when="07:30")
    assert desk.tick("07:35") == []
    assert desk.tick("07:40") == [("table dev.raw.b", "")]
    assert desk.tick("07:41") == []


@pytest.mark.parametrize(
    ("trigger", "kind", "subject", "data", "words"),
    [
        ({"model": {"name": "flights.delay"}}, "model_version.created", "dev.flights.delay", {"version": 3},
         "model dev.flights.delay version 3"),
        ({"model": {"name": "flights.delay", "stage": "Production"}}, "model_version.transitioned", "dev.flights.delay",
         {"version": 3, "to_stage": "Production"}, "model dev.flights.delay version 3"),
        ({"model": {"name": "flights.delay", "stage": "Production"}}, "model_version.transitioned", "dev.flights.delay",
         {"version": 3, "to_stage": "Staging"}, None),
        ({"alert": "quality"}, "alert.fired", "dev.quality", {}, "alert quality"),
        ({"alert": "quality"}, "alert.fired", "prod.quality", {}, None),
    ],
)  # fmt: skip
def test_events_of_models_and_alerts_start_jobs(
    desk: Desk, trigger: dict[str, Any], kind: str, subject: str, data: dict[str, Any], words: str | None
) -> None:
    desk.job = {"trigger": trigger}
    desk.event(1, kind, subject, data)
    desk.event(1, kind, subject, data)
    assert desk.started == ([(words, "")] if words else [])


def test_new_files_start_a_run_and_files_that_go_do_not(desk: Desk) -> None:
    desk.job = {"trigger": {"file_arrival": {"url": "/Volumes/dev/raw/in"}}}
    for newest, count, runs in (("1", 1, 0), ("2", 2, 1), ("2", 2, 0), ("2", 1, 0), ("2", 2, 1)):
        desk.newest = (newest, count)
        assert len(desk.tick(f"07:0{len(desk.started)}")) == runs, (newest, count)


def test_a_push_and_a_release_start_one_run_each(desk: Desk) -> None:
    desk.job = {"trigger": {"git_push": {"branch": "main"}, "release": True}}
    assert desk.tick("07:00") == [("release 1.0", "")]
    desk.heads = "c2"
    assert desk.tick("07:01") == [("push to main", "")]
    assert desk.tick("07:02") == []


def test_a_release_that_changes_nothing_of_a_job_starts_it_not_and_is_compared_once(desk: Desk) -> None:
    desk.job = {"trigger": {"release": True}}
    assert desk.tick("07:00") == [("release 1.0", "")]
    desk.commit, desk.release, desk.changed = "c2", "1.1", [False]
    assert desk.tick("07:01") == desk.tick("07:02") == []
    assert desk.changed == []
    desk.commit, desk.release, desk.changed = "c3", "1.2", [True]
    assert desk.tick("07:03") == [("release 1.2", "")]
    assert desk.tick("07:04") == desk.tick("07:04", desk.another()) == []


def test_a_periodic_job_keeps_its_beat(desk: Desk) -> None:
    desk.job = {"trigger": {"periodic": {"interval": 10, "unit": "MINUTES"}}}
    assert desk.tick("07:00") == desk.tick("07:09") == []
    assert desk.tick("07:10") == [("periodic", "07:10")]
    assert desk.tick("07:45") == [("periodic", "07:20")]
    assert desk.tick("07:49") == []
    assert desk.tick("07:50") == [("periodic", "07:50")]


def test_a_continuous_job_goes_on_and_rests_after_failures(desk: Desk) -> None:
    desk.job = {"continuous": {}}
    assert desk.tick("07:00") == desk.tick("07:01") == [("continuous", "")]
    for n, run in enumerate(["run0", "run1"]):
        desk.runs.update(run, state="FAILED", ended_at=at("07:02") + timedelta(seconds=n))
    assert desk.tick("07:02") == []
    assert desk.tick("07:03") == [("continuous", "")]
    desk.runs.update("run2", state="RUNNING")
    assert desk.tick("07:30") == []


def test_what_is_kept_survives_in_the_database(database: Database, tmp_path: Path) -> None:
    desk = Desk(database)
    desk.job = {"schedule": {"cron": "0 * * * *"}}
    desk.tick("06:59")
    reopened = Desk(Database(database.url))
    reopened.job = desk.job
    assert reopened.tick("07:00") == [("schedule", "07:00")]
    reopened.database.close()
