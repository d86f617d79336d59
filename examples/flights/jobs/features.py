"""Refresh the feature tables: every row that became known since the last time, until --as-of."""

import argparse

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

from flights.features import TABLES
from flights.instants import instant
from flights.watermark import is_empty, watermark


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="known until this instant, inclusive")
    options = parser.parse_args(arguments)

    lake, client = boathouse.connect(), FeatureEngineeringClient()
    for table in TABLES:
        known = table.known_time
        if not known and not is_empty(lake, table.name):
            continue
        since = watermark(lake, table.name, known) if known else options.as_of
        rows = lake.sql(table.rows(since, options.as_of)).to_arrow()
        if not lake.table_exists(table.name):
            client.create_table(
                name=table.name,
                primary_keys=table.primary_keys,
                timeseries_column=table.event_time,
                known_time_column=known,
                schema=rows.schema,
                description=table.description,
                feature_descriptions=table.features,
            )
        if rows.num_rows:
            client.write_table(name=table.name, df=rows, mode="merge")
        print(f"{table.name}: {rows.num_rows} rows")


if __name__ == "__main__":
    main()
