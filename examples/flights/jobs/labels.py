"""Collect labels as flights arrive: `features.labelled` has the flights known to be late or not."""

import argparse

import boathouse

from flights.instants import instant
from flights.raw import LEG
from flights.training import LABELLED, labels
from flights.watermark import watermark


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="known until this instant, inclusive")
    options = parser.parse_args(arguments)

    lake = boathouse.connect()
    since = watermark(lake, LABELLED, "label_time")
    rows = lake.sql(labels(since, options.as_of)).to_arrow()
    lake.create_table(
        LABELLED,
        rows.schema,
        primary_keys=list(LEG),
        event_time="ts_dep",
        known_time="label_time",
        description="Flights with a label, late or not, known once they arrived. Models are tested on them.",
        exists_ok=True,
    )
    if rows.num_rows:
        lake.table(LABELLED).append(rows)
    print(f"{LABELLED}: {rows.num_rows} labels known in ({since}, {options.as_of}]")


if __name__ == "__main__":
    main()
