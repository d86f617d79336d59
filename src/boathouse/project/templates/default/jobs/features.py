"""Refresh the feature tables: the rows that became known since the last time, until --as-of."""

import argparse

import boathouse
from boathouse.feature_engineering import FeatureEngineeringClient

from shop.features import TABLES
from shop.instants import instant, newest


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--as-of", type=instant, required=True, help="known until this instant, inclusive")
    options = parser.parse_args(arguments)

    lake, client = boathouse.connect(), FeatureEngineeringClient()
    for table in TABLES:
        rows = lake.sql(table.rows(newest(lake, table.name, table.known_time), options.as_of)).to_arrow()
        client.create_table(
            name=table.name,
            primary_keys=["customer_id", "day"],
            timeseries_column="day",
            known_time_column=table.known_time,
            schema=rows.schema,
            description=table.description,
            feature_descriptions=table.columns,
            exists_ok=True,
        )
        if rows.num_rows:
            client.write_table(name=table.name, df=rows)
        print(f"{table.name}: {rows.num_rows} new rows")


if __name__ == "__main__":
    main()
