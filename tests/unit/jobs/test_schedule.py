"""When a job is due."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.jobs import Schedules, next_due
from boathouse.jobs.schedule import as_cron


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("quartz", "cron"),
    [
        ("0 30 6 * * ?", "30 6 * * *"),
        ("0 0 12 ? * MON-FRI", "0 12 * * MON-FRI"),
        ("0 0 12 ? * 2-6", "0 12 * * 1-5"),
        ("0 0 0 1 * ?", "0 0 1 * *"),
        ("0 0/15 * * * ? 2030", "0/15 * * * *"),
        ("*/5 * * * *", "*/5 * * * *"),
    ],
)
def test_quartz_becomes_cron(quartz: str, cron: str) -> None:
    assert as_cron(quartz) == cron


def test_the_next_moment_is_in_utc() -> None:
    schedule = {"quartz_cron_expression": "0 30 6 * * ?", "timezone_id": "America/New_York"}
    assert next_due(schedule, at("2013-07-01 00:00")) == at("2013-07-01 10:30")
    assert next_due(schedule, at("2013-12-01 00:00")) == at("2013-12-01 11:30")
    assert next_due(schedule, at("2013-07-01 10:30")) == at("2013-07-02 10:30")


def test_an_hour_that_daylight_saving_skips_or_repeats_gives_one_start_a_day() -> None:
    schedule = {"cron": "30 2 * * *", "timezone_id": "Europe/Berlin"}
    for night in ("2024-03-30", "2024-10-26"):
        moment, starts = at(f"{night} 12:00"), []
        while (moment := next_due(schedule, moment)) < at(f"{night} 12:00") + timedelta(days=2):
            starts.append(moment)
        assert len(starts) == 2, starts


@pytest.mark.parametrize(
    ("schedule", "reason"),
    [
        ({"cron": "every day"}, "'every day' is no schedule"),
        ({}, "'' is no schedule"),
        ({"cron": "0 0 31 2 *"}, "is no schedule"),
        ({"cron": "0 6 * * *", "timezone_id": "Mars/Base"}, "no time zone is named 'Mars/Base'"),
    ],
)
def test_what_is_no_schedule_is_refused(schedule: Mapping[str, Any], reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        next_due(schedule, at("2013-07-01 00:00"))


def test_a_job_starts_once_when_due_and_what_was_missed_is_not_made_up_for() -> None:
    started: list[tuple[str, datetime]] = []
    schedules = Schedules(
        lambda: [("dev.a", {"cron": "0 * * * *"})], lambda job, due: started.append((job, due))
    )
    for moment in ("06:59", "07:00", "07:00", "07:30", "10:10", "10:20"):
        schedules.tick(at(f"2013-07-01 {moment}"))
    assert started == [("dev.a", at("2013-07-01 07:00")), ("dev.a", at("2013-07-01 08:00"))]


def test_a_paused_job_does_not_start_and_a_changed_schedule_counts_at_once() -> None:
    jobs: list[tuple[str, Mapping[str, Any]]] = [("dev.a", {"cron": "0 * * * *", "pause_status": "PAUSED"})]
    started: list[str] = []
    schedules = Schedules(lambda: jobs, lambda job, _: started.append(job))
    schedules.tick(at("2013-07-01 06:30"))
    schedules.tick(at("2013-07-01 07:30"))
    jobs[0] = ("dev.a", {"cron": "40 * * * *"})
    schedules.tick(at("2013-07-01 07:31"))
    schedules.tick(at("2013-07-01 07:40"))
    assert started == ["dev.a"]


def test_one_wrong_schedule_keeps_no_other_job_from_starting(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    started: list[str] = []

    def start(job: str, _due: datetime) -> None:
        if job == "dev.b":
            raise RuntimeError("cannot start")
        started.append(job)

    jobs = [
        ("dev.a", {"cron": "nonsense"}),
        ("dev.b", {"cron": "0 * * * *"}),
        ("dev.c", {"cron": "0 * * * *"}),
    ]
    schedules = Schedules(lambda: jobs, start)
    schedules.tick(at("2013-07-01 06:59"))
    schedules.tick(at("2013-07-01 07:00"))
    schedules.tick(at("2013-07-01 07:01"))
    assert started == ["dev.c"]
