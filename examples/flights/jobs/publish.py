"""Publish the newest row of every feature table's keys to the online store."""

from boathouse.feature_engineering import FeatureEngineeringClient

from flights.features import TABLES


def main() -> None:
    client = FeatureEngineeringClient()
    for table in TABLES:
        published = client.publish_table(source_table_name=table.name)
        print(f"{table.name}: {published.rows} keys of version {published.version}")


if __name__ == "__main__":
    main()
