from itertools import pairwise
from typing import Any

import pytest
from duckdb import DuckDBPyConnection as Lake

from flights.features import TABLES, FeatureTable
from flights.instants import BEGINNING, instant
from flights.training import FEATURES

TABLE = {table.name.removeprefix("features."): table for table in TABLES}
END = instant("2013-02-01")


def arrive(lake: Lake, known: str, delay: int, carrier: str = "UA", tailnum: str | None = "N1") -> None:
    values = [carrier, "EWR", "IAH", f"{known}+00", tailnum, delay, f"{known}+00"]
    lake.execute("insert into raw.arrivals values (?, 1, ?, ?, ?, ?, ?, 100, ?)", values)


def depart(lake: Lake, known: str, delay: int) -> None:
    values = [f"{known}+00", delay, f"{known}+00"]
    lake.execute("insert into raw.departures values ('UA', 1, 'EWR', 'IAH', ?, 'N1', ?, ?)", values)


def rows(lake: Lake, table: FeatureTable, since: str = "", until: str = "") -> list[dict[str, Any]]:
    query = table.rows(instant(since) if since else BEGINNING, instant(until) if until else END)
    return list(lake.sql(f"select * from ({query}) order by all").to_arrow_table().to_pylist())


def test_a_day_does_not_count_in_its_own_history(lake: Lake) -> None:
    arrive(lake, "2013-01-05 23:59:00", 30)
    days = [row["day"] for row in rows(lake, TABLE["carrier_history"])]
    assert min(days) == instant("2013-01-06")


def test_an_arrival_counts_for_seven_days_and_then_no_more(lake: Lake) -> None:
    arrive(lake, "2013-01-05 12:00:00", 30)
    history = {row["day"].day: row for row in rows(lake, TABLE["carrier_history"])}
    assert [day for day, row in history.items() if row["carrier_flights"] == 1] == list(range(6, 13))
    assert history[13]["carrier_flights"] == 0
    assert history[13]["carrier_mean_delay"] is None
    assert 14 not in history


def test_a_history_has_count_mean_delay_and_late_rate(lake: Lake) -> None:
    for delay in (-10, 14, 15, 61):
        arrive(lake, "2013-01-05 12:00:00", delay)
    first = rows(lake, TABLE["route_history"])[0]
    assert (first["route_flights"], first["route_mean_delay"], first["route_late_rate"]) == (4, 20, 0.5)
    assert (first["origin"], first["dest"]) == ("EWR", "IAH")


def test_an_arrival_without_an_aircraft_is_in_no_aircraft_history(lake: Lake) -> None:
    arrive(lake, "2013-01-05 12:00:00", 30, tailnum=None)
    assert rows(lake, TABLE["plane_history"]) == []
    assert rows(lake, TABLE["carrier_history"]) != []


def test_congestion_counts_departures_of_three_complete_hours(lake: Lake) -> None:
    depart(lake, "2013-01-05 08:59:59", 40)
    depart(lake, "2013-01-05 09:00:00", 0)
    hours = {
        row["time_hour"].hour: row["airport_departures"] for row in rows(lake, TABLE["airport_congestion"])
    }
    assert hours == {9: 1, 10: 2, 11: 2, 12: 1, 13: 0}


def test_weather_can_be_used_an_hour_after_it_was_measured(lake: Lake) -> None:
    lake.execute("""
        create table raw.weather as select 'EWR' as origin, timestamptz '2013-01-05 08:00:00+00' as time_hour,
            timestamptz '2013-01-05 09:00:00+00' as known_time, 39.0 as temp, 28.0 as dewp, 60.0 as humid,
            270 as wind_dir, 10.0 as wind_speed, null::double as wind_gust, 0.0 as precip, 1012.0 as pressure,
            10.0 as visib
    """)
    assert rows(lake, TABLE["weather"], until="2013-01-05T08:59") == []
    (row,) = rows(lake, TABLE["weather"], until="2013-01-05T09:00")
    assert (row["temp"], row["wind_gust"]) == (39.0, None)


@pytest.mark.parametrize("name", ["carrier_history", "plane_history", "airport_congestion"])
def test_refreshing_in_steps_gives_the_rows_of_one_refresh(lake: Lake, name: str) -> None:
    for day in range(1, 29, 3):
        arrive(lake, f"2013-01-{day:02} 0{day % 10}:30:00", day)
        depart(lake, f"2013-01-{day:02} 0{day % 10}:30:00", day)
    steps = ["2013-01-01", "2013-01-09T00:30", "2013-01-10", "2013-01-22T05:00", "2013-02-01"]
    stepwise = [row for period in pairwise(steps) for row in rows(lake, TABLE[name], *period)]
    whole = rows(lake, TABLE[name], "2013-01-01")
    assert sorted(stepwise, key=str) == sorted(whole, key=str)


@pytest.mark.parametrize("name", ["carrier_history", "plane_history", "airport_congestion"])
def test_what_becomes_known_later_changes_no_row(lake: Lake, name: str) -> None:
    arrive(lake, "2013-01-05 08:30:00", 30)
    depart(lake, "2013-01-05 08:30:00", 30)
    before = rows(lake, TABLE[name], until="2013-01-07")
    arrive(lake, "2013-01-07 00:00:00", 99)
    depart(lake, "2013-01-07 00:00:00", 99)
    assert rows(lake, TABLE[name], until="2013-01-07") == before


def test_every_row_of_a_table_has_its_keys_times_and_described_features(
    lake: Lake,
) -> None:
    table = TABLE["dest_history"]
    arrive(lake, "2013-01-05 12:00:00", 30)
    assert list(rows(lake, table)[0]) == [*table.primary_keys, table.known_time, *table.features]


def test_no_feature_name_is_used_twice() -> None:
    assert len(set(FEATURES)) == len(FEATURES)
