"""Publish the newest features of every customer to the online store, where the endpoint looks them up."""

from boathouse.feature_engineering import FeatureEngineeringClient

from shop.model import lookups


def main() -> None:
    client = FeatureEngineeringClient()
    for lookup in lookups():
        published = client.publish_table(source_table_name=lookup.table_name)
        print(f"{lookup.table_name}: {published.rows} customers are online")


if __name__ == "__main__":
    main()
