"""Ingest raw events: everything that became known since the last time, until --as-of."""

import argparse

import boathouse

from flights.instants import instant
from flights.raw import TABLES, source
from flights.watermark import is_empty, watermark


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="known until this instant, inclusive")
    parser.add_argument("--sample", type=float, default=1.0, help="share of the flights, for tests")
    options = parser.parse_args(arguments)

    lake, files = boathouse.connect(), source()
    for table in TABLES:
        known = table.known_time
        if not known and not is_empty(lake, table.name):
            continue
        since = watermark(lake, table.name, known) if known else options.as_of
        events = files.sql(table.events(since, options.as_of, options.sample)).to_arrow_table()
        lake.create_table(
            table.name,
            events.schema,
            primary_keys=list(table.primary_keys),
            event_time=table.event_time,
            known_time=known,
            description=table.description,
            exists_ok=True,
        )
        if events.num_rows:
            lake.table(table.name).append(events)
        print(f"{table.name}: {events.num_rows} rows")


if __name__ == "__main__":
    main()
