"""Specs of online stores, under the older package's name."""

from boathouse.feature_engineering import (
    AmazonDynamoDBSpec,
    AmazonRdsMySqlSpec,
    AzureCosmosDBSpec,
    AzureMySqlSpec,
    AzureSqlServerSpec,
    OnlineStoreSpec,
)

__all__ = [
    "AmazonDynamoDBSpec",
    "AmazonRdsMySqlSpec",
    "AzureCosmosDBSpec",
    "AzureMySqlSpec",
    "AzureSqlServerSpec",
    "OnlineStoreSpec",
]
