"""When a job is due."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from boathouse.errors import InvalidInput
from boathouse.jobs import dues, next_due
from boathouse.jobs.schedule import as_cron, missed


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


def test_due_times_of_a_range_are_listed_with_its_end() -> None:
    hourly = {"cron": "0 * * * *"}
    assert dues(hourly, at("2013-07-01 06:00"), at("2013-07-01 08:00")) == [at("2013-07-01 07:00"), at("2013-07-01 08:00")]
    assert dues(hourly, at("2013-07-01 06:00"), at("2014-07-01 08:00"), most=1) == [at("2014-07-01 08:00")]


@pytest.mark.parametrize(
    ("policy", "hours"), [(None, [9]), ("latest", [9]), ("all", [7, 8, 9]), ("skip", [])]
)
def test_what_was_missed_is_made_up_for_as_the_schedule_says(policy: str | None, hours: list[int]) -> None:
    schedule = {"cron": "0 * * * *", "missed_runs": policy}
    found = missed(schedule, at("2013-07-01 07:00"), at("2013-07-01 09:30"))
    assert [due.hour for due in found] == hours
    assert missed(schedule, at("2013-07-01 07:00"), at("2013-07-01 07:00")) == [at("2013-07-01 07:00")]
