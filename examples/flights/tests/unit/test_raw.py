from datetime import UTC, datetime
from typing import Any

import pytest
from duckdb import DuckDBPyConnection as Lake

from flights.instants import BEGINNING, instant
from flights.raw import ARRIVALS, DEPARTURES, FLIGHTS, LEG, PLANES, RawTable

DEPARTURE = datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
LANDED = {"dep_delay": 20, "arr_delay": 30, "air_time": 100}
CANCELLED = {"dep_delay": None, "arr_delay": None, "air_time": None}
LATER = datetime(2014, 2, 1, tzinfo=UTC)


def file(**outcome: Any) -> str:
    values = {key: "null" if value is None else value for key, value in outcome.items()}
    return f"""
    select 2013 as year, 1 as month, 1 as day, 'UA' as carrier, 1545 as flight, 'EWR' as origin,
        'IAH' as dest, 'N14228' as tailnum, 5 as hour, 15 as minute, 1400 as distance, 819 as sched_arr_time,
        timestamptz '2013-01-01 10:00:00+00' as time_hour,
        {values["dep_delay"]}::int as dep_delay, {values["arr_delay"]}::int as arr_delay,
        {values["air_time"]}::int as air_time
    """


@pytest.fixture
def files(lake: Lake) -> Lake:
    lake.execute(f"create table flights_csv as {file(**LANDED)}")
    return lake


def rows(files: Lake, table: RawTable, since: datetime, until: datetime) -> list[dict[str, Any]]:
    return list(files.sql(table.events(since, until)).to_arrow_table().to_pylist())


def test_a_flight_is_planned_a_day_before_it_leaves(files: Lake) -> None:
    (planned,) = rows(files, FLIGHTS, BEGINNING, LATER)
    assert planned["ts_dep"] == DEPARTURE
    assert planned["known_time"] == instant("2012-12-31T10:15")
    assert planned["scheduled_minutes"] == 8 * 60 + 19 - 5 * 60 - 15


def test_the_plan_holds_nothing_that_happens_later(files: Lake) -> None:
    (planned,) = rows(files, FLIGHTS, BEGINNING, LATER)
    assert not {"dep_delay", "dep_time", "arr_delay", "arr_time", "air_time"} & planned.keys()


def test_a_departure_is_known_when_the_aircraft_leaves(files: Lake) -> None:
    assert rows(files, DEPARTURES, BEGINNING, instant("2013-01-01T10:34")) == []
    (departure,) = rows(files, DEPARTURES, BEGINNING, instant("2013-01-01T10:35"))
    assert departure["dep_delay"] == 20


def test_an_arrival_is_known_after_delay_air_time_and_taxiing(files: Lake) -> None:
    (arrival,) = rows(files, ARRIVALS, BEGINNING, LATER)
    assert arrival["known_time"] == instant("2013-01-01T12:55")
    assert arrival["arr_delay"] == 30


def test_a_cancelled_flight_neither_departs_nor_arrives(files: Lake) -> None:
    files.execute(f"create or replace table flights_csv as {file(**CANCELLED)}")
    assert len(rows(files, FLIGHTS, BEGINNING, LATER)) == 1
    assert rows(files, DEPARTURES, BEGINNING, LATER) == []
    assert rows(files, ARRIVALS, BEGINNING, LATER) == []


def test_an_event_comes_in_exactly_one_of_two_adjacent_periods(files: Lake) -> None:
    known = instant("2013-01-01T12:55")
    assert len(rows(files, ARRIVALS, BEGINNING, known)) == 1
    assert rows(files, ARRIVALS, known, LATER) == []


def test_a_sample_has_the_same_flights_in_every_table(files: Lake) -> None:
    files.execute(
        f"create or replace table flights_csv as select * replace (n::int as flight) "
        f"from ({file(**LANDED)}), range(1000) numbers(n)"
    )
    legs = ", ".join(LEG)
    sampled = [
        files.sql(f"select {legs} from ({table.events(BEGINNING, LATER, 0.2)}) order by all").to_arrow_table()
        for table in (FLIGHTS, DEPARTURES, ARRIVALS)
    ]
    assert 120 < sampled[0].num_rows < 280
    assert sampled[0] == sampled[1] == sampled[2]


def test_a_snapshot_has_no_period() -> None:
    assert PLANES.events(BEGINNING, LATER) == PLANES.events(LATER, LATER)
