"""Feature tables: what is known about weather, airlines, routes, airports and aircraft, and since when.

Each table is a function from (since, until] to the SQL of the rows that became known in it, so that a
refresh reads and writes only what is new. A row's event time says what it is about, its `known_time`
when it could first be used; a lookup at some instant takes the newest row known by then.
Numbers are doubles throughout: any lookup may find nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from flights.instants import literal

LATE = 15
"""Minutes of delay from which a flight counts as late."""

HISTORY_DAYS = 7
CONGESTION_HOURS = 3


@dataclass(frozen=True)
class FeatureTable:
    """One feature table: its keys, its times, its features with their descriptions, and its rows as SQL.

    Without `event_time` it is a snapshot that does not change.
    """

    name: str
    description: str
    keys: tuple[str, ...]
    features: dict[str, str]
    rows: Callable[[datetime, datetime], str]
    event_time: str | None = None
    known_time: str | None = None

    @property
    def primary_keys(self) -> list[str]:
        return [*self.keys, *([self.event_time] if self.event_time else [])]


def weather(since: datetime, until: datetime) -> str:
    """Rows of `features.weather`: one an airport and hour."""
    return f"""
    select origin, time_hour, known_time, temp, dewp, humid, wind_dir::double as wind_dir, wind_speed,
        wind_gust, precip, pressure, visib
    from raw.weather
    where known_time > {literal(since)} and known_time <= {literal(until)}
    """


def history(keys: tuple[str, ...], prefix: str) -> Callable[[datetime, datetime], str]:
    """Rows of a history table: one a key and day D, over arrivals known in [D - 7 days, D).

    A day's arrivals count for the 7 days that follow. On the 8th they are out: that row makes sure
    that a key without any flight gets 0 flights rather than its last row from when it had some.
    """
    columns = ", ".join(keys)
    identified = " and ".join(f"{key} is not null" for key in keys)

    def rows(since: datetime, until: datetime) -> str:
        oldest = since - timedelta(days=HISTORY_DAYS + 2)
        return f"""
        with daily as (
            select {columns}, date_trunc('day', known_time) as arrival_day, count(*) as flights,
                sum(arr_delay) as delay, count(*) filter (where arr_delay >= {LATE}) as late
            from raw.arrivals
            where known_time >= {literal(oldest)} and known_time < {literal(until)} and {identified}
            group by all
        ), moved as (
            select {columns}, arrival_day + ahead * interval '1 day' as day,
                ahead <= {HISTORY_DAYS} as counts, flights, delay, late
            from daily cross join (select unnest(range(1, {HISTORY_DAYS + 2})) as ahead)
        )
        select {columns}, day, day as known_time,
            coalesce(sum(flights) filter (where counts), 0)::double as {prefix}_flights,
            sum(delay) filter (where counts) / sum(flights) filter (where counts) as {prefix}_mean_delay,
            sum(late) filter (where counts) / sum(flights) filter (where counts) as {prefix}_late_rate
        from moved
        where day > {literal(since)} and day <= {literal(until)}
        group by all
        """

    return rows


def airport_congestion(since: datetime, until: datetime) -> str:
    """Rows of `features.airport_congestion`: one an airport and hour H, of departures known in [H - 3 h, H).

    Like the histories: hourly sums, moved to the hours they count for, and one row with 0 after them.
    """
    oldest = since - timedelta(hours=CONGESTION_HOURS + 2)
    return f"""
    with hourly as (
        select origin, date_trunc('hour', known_time) as departure_hour, count(*) as departures,
            sum(dep_delay) as delay, count(*) filter (where dep_delay >= {LATE}) as late
        from raw.departures
        where known_time >= {literal(oldest)} and known_time < {literal(until)}
        group by all
    ), moved as (
        select origin, departure_hour + ahead * interval '1 hour' as time_hour,
            ahead <= {CONGESTION_HOURS} as counts, departures, delay, late
        from hourly cross join (select unnest(range(1, {CONGESTION_HOURS + 2})) as ahead)
    )
    select origin, time_hour, time_hour as known_time,
        coalesce(sum(departures) filter (where counts), 0)::double as airport_departures,
        sum(delay) filter (where counts) / sum(departures) filter (where counts) as airport_mean_delay,
        sum(late) filter (where counts) / sum(departures) filter (where counts) as airport_late_rate
    from moved
    where time_hour > {literal(since)} and time_hour <= {literal(until)}
    group by all
    """


def planes(since: datetime, until: datetime) -> str:
    """Rows of `features.planes`: the whole snapshot, whatever the period."""
    return """
    select tailnum, year::double as plane_year, seats::double as plane_seats, engine as plane_engine,
        manufacturer as plane_manufacturer
    from raw.planes
    """


def airports(since: datetime, until: datetime) -> str:
    """Rows of `features.airports`: the whole snapshot, whatever the period."""
    return "select faa as dest, lat as dest_lat, lon as dest_lon from raw.airports"


def _history_table(subject: str, keys: tuple[str, ...]) -> FeatureTable:
    period = f"in the {HISTORY_DAYS} days before"
    return FeatureTable(
        f"features.{subject}_history",
        f"Flights and delays of a {subject} {period} a day, from arrivals known by then.",
        keys,
        {
            f"{subject}_flights": f"Flights that arrived {period}.",
            f"{subject}_mean_delay": f"Mean arrival delay in minutes {period}.",
            f"{subject}_late_rate": f"Share of flights at least {LATE} minutes late {period}.",
        },
        history(keys, subject),
        "day",
        "known_time",
    )


TABLES = (
    FeatureTable(
        "features.weather",
        "Weather at the airport of departure, by hour of measurement.",
        ("origin",),
        {
            "temp": "Temperature in degrees Fahrenheit.",
            "dewp": "Dew point in degrees Fahrenheit.",
            "humid": "Relative humidity in percent.",
            "wind_dir": "Wind direction in degrees.",
            "wind_speed": "Wind speed in miles an hour.",
            "wind_gust": "Speed of gusts in miles an hour.",
            "precip": "Precipitation in inches.",
            "pressure": "Air pressure at sea level in millibars.",
            "visib": "Visibility in miles.",
        },
        weather,
        "time_hour",
        "known_time",
    ),
    _history_table("carrier", ("carrier",)),
    _history_table("route", ("origin", "dest")),
    _history_table("dest", ("dest",)),
    _history_table("plane", ("tailnum",)),
    FeatureTable(
        "features.airport_congestion",
        f"Departures and their delays at an airport in the {CONGESTION_HOURS} hours before an hour.",
        ("origin",),
        {
            "airport_departures": f"Departures in the {CONGESTION_HOURS} hours before.",
            "airport_mean_delay": "Their mean delay in minutes.",
            "airport_late_rate": f"Share of them at least {LATE} minutes late.",
        },
        airport_congestion,
        "time_hour",
        "known_time",
    ),
    FeatureTable(
        "features.planes",
        "Aircraft, a snapshot of the register.",
        ("tailnum",),
        {
            "plane_year": "Year of manufacture.",
            "plane_seats": "Number of seats.",
            "plane_engine": "Kind of engine.",
            "plane_manufacturer": "Manufacturer.",
        },
        planes,
    ),
    FeatureTable(
        "features.airports",
        "Airports of destination, a snapshot.",
        ("dest",),
        {"dest_lat": "Latitude in degrees.", "dest_lon": "Longitude in degrees."},
        airports,
    ),
)
