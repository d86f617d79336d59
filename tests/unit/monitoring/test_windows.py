import re
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from boathouse.errors import InvalidInput
from boathouse.monitoring import GRANULARITIES, Granularity, parse_granularity, touched

MOMENTS = st.datetimes(datetime(1960, 1, 1), datetime(2060, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
ANY = st.sampled_from((*GRANULARITIES, Granularity(6, "week")))


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("15 minutes", "30 minutes"),
        ("2 days", "1 day"),
        ("12 hours", "1 day"),
        ("6 months", "1 year"),
        ("0 weeks", "1 week"),
        ("hourly", "1 hour"),
    ],
)
def test_an_unknown_granularity_names_the_nearest(text: str, nearest: str) -> None:
    with pytest.raises(InvalidInput, match=f"'{text}' is not a granularity; the nearest is '{nearest}'"):
        parse_granularity(text)


@pytest.mark.parametrize(
    "text", ["5 minutes", "1 hour", "1 day", "1 week", "3 weeks", "9 weeks", "1 month", "1 year"]
)
def test_a_granularity_is_spelled_as_published(text: str) -> None:
    assert str(parse_granularity(text)) == text
    assert str(parse_granularity(f" {text.upper()} ")) == text


def test_weeks_start_on_monday_and_months_on_the_first() -> None:
    sunday = datetime(2013, 7, 7, 23, 59, tzinfo=UTC)
    assert parse_granularity("1 week").start(sunday) == datetime(2013, 7, 1, tzinfo=UTC)
    assert parse_granularity("1 month").end(datetime(2012, 2, 1, tzinfo=UTC)) == datetime(
        2012, 3, 1, tzinfo=UTC
    )
    assert parse_granularity("1 year").previous(datetime(2013, 1, 1, tzinfo=UTC)) == datetime(
        2012, 1, 1, tzinfo=UTC
    )


@given(MOMENTS, ANY)
def test_windows_follow_each_other_without_gap_or_overlap(moment: datetime, width: Granularity) -> None:
    start, end = width.start(moment), width.end(width.start(moment))
    assert start <= moment < end
    assert width.start(start) == start
    assert width.previous(end) == start
    assert width.end(width.previous(start)) == start


def test_sql_and_python_agree_on_windows() -> None:
    con = duckdb.connect()
    con.execute("SET TimeZone = 'America/New_York'; CREATE TABLE moments (t TIMESTAMPTZ)")
    step = timedelta(days=97, hours=5, minutes=13)
    moments = [datetime(1961, 3, 1, 5, 7, tzinfo=UTC) + i * step for i in range(200)]
    con.executemany("INSERT INTO moments VALUES (?)", [[moment] for moment in moments])
    for width in GRANULARITIES:
        start = width.start_sql("t")
        found = con.sql(f"SELECT {start}, {width.end_sql(start)} FROM moments ORDER BY t").fetchall()
        expected = [(width.start(moment), width.end(width.start(moment))) for moment in moments]
        assert [tuple(at.replace(tzinfo=UTC) for at in pair) for pair in found] == expected


def test_touched_windows_are_named_once_per_granularity_oldest_first() -> None:
    times = [datetime(2013, 7, 8, 3), datetime(2013, 7, 7, 5, tzinfo=UTC), datetime(2013, 7, 8, 9)]
    seventh, eighth, first = (datetime(2013, 7, day, tzinfo=UTC) for day in (7, 8, 1))
    assert touched(times, ["1 day", "1 week"]) == [
        ("1 day", seventh),
        ("1 day", eighth),
        ("1 week", first),
        ("1 week", eighth),
    ]


def test_every_allowed_granularity_is_listed_in_the_error() -> None:
    with pytest.raises(
        InvalidInput, match=re.escape("5 minutes, 30 minutes, 1 hour, 1 day, 1 week, 2 weeks")
    ):
        parse_granularity("never")
