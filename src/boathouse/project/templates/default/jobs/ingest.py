"""Take in the raw rows that became known since the last time, until --as-of."""

import argparse

import boathouse

from shop.instants import instant, newest
from shop.raw import TABLES


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="known until this instant, inclusive")
    options = parser.parse_args(arguments)

    lake = boathouse.connect()
    for table in TABLES:
        rows = table.rows(newest(lake, table.name, "known_time"), options.as_of)
        lake.create_table(
            table.name,
            rows.schema,
            primary_keys=table.primary_keys,
            event_time=table.event_time,
            known_time="known_time",
            description=table.description,
            exists_ok=True,
        )
        if rows.num_rows:
            lake.table(table.name).append(rows)
        print(f"{table.name}: {rows.num_rows} new rows")


if __name__ == "__main__":
    main()
