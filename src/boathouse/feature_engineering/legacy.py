"""FeatureStoreClient: the published client's older class, whose arguments may be positional and whose times are no keys."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from boathouse.catalog import TableStream
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.feature_engineering.client import FeatureEngineeringClient, FeatureTable
from boathouse.feature_engineering.publishing import PublishedTable, PublishingQuery
from boathouse.feature_engineering.streaming import StreamingQuery
from boathouse.features import FeatureFunction, FeatureLookup
from boathouse.lake import Frame, Relation
from boathouse.training import TrainingSet


class FeatureStoreClient:
    """The older client's methods over the same tables: what either client wrote, the other reads."""

    def __init__(self, feature_store_uri: str | None = None, model_registry_uri: str | None = None, *,
                 context: Context | None = None) -> None:  # fmt: skip
        self._client = FeatureEngineeringClient(model_registry_uri=model_registry_uri, context=context)

    def create_table(self, name: str, primary_keys: str | Sequence[str], df: Frame | None = None, *,
                     timestamp_keys: str | Sequence[str] | None = None, partition_columns: str | Sequence[str] | None = None,
                     schema: Any = None, description: str | None = None, tags: Mapping[str, str] | None = None,
                     **_options: Any) -> FeatureTable:  # fmt: skip
        """A feature table; the one column of `timestamp_keys` is the event time, and need not stand among the keys.

        Raises AlreadyExists, and InvalidInput for two of them.
        """
        times = _several(timestamp_keys)
        if len(times) > 1:
            raise InvalidInput(f"{name}: a feature table has one event time, not {', '.join(times)}: give one timestamp key")
        keys = [key for key in _several(primary_keys) if key not in times]
        return self._client.create_table(
            name=name, primary_keys=[*keys, *times], df=df, timeseries_column=times[0] if times else None,
            partition_columns=partition_columns, schema=schema, description=description, tags=tags,
        )  # fmt: skip

    def create_feature_table(self, name: str, keys: str | Sequence[str], features_df: Frame | None = None,
                             schema: Any = None, **options: Any) -> FeatureTable:  # fmt: skip
        """`create_table` under its first name."""
        return self.create_table(name, keys, features_df, schema=schema, **options)

    def write_table(self, name: str, df: Frame | TableStream, mode: str = "merge", checkpoint_location: str | None = None,
                    trigger: Mapping[str, Any] | None = None) -> StreamingQuery | None:  # fmt: skip
        """Upsert rows on the keys (`merge`), or put them in place of all rows (`overwrite`)."""
        return self._client.write_table(name=name, df=df, mode=mode, checkpoint_location=checkpoint_location, trigger=trigger)

    def read_table(self, name: str, **_options: Any) -> Relation:
        """The rows of a feature table."""
        return self._client.read_table(name=name)

    def get_table(self, name: str) -> FeatureTable:
        """A feature table's description. Raises NotFound."""
        return self._client.get_table(name=name)

    get_feature_table = get_table

    def drop_table(self, name: str) -> None:
        """Remove a feature table. Raises Conflict while something uses it."""
        self._client.drop_table(name=name)

    def set_feature_table_tag(self, table_name: str, key: str, value: str) -> None:
        """Set one tag."""
        self._client.set_feature_table_tag(name=table_name, key=key, value=value)

    def delete_feature_table_tag(self, table_name: str, key: str) -> None:
        """Remove one tag."""
        self._client.delete_feature_table_tag(name=table_name, key=key)

    def create_training_set(self, df: Frame, feature_lookups: Sequence[FeatureLookup | FeatureFunction],
                            label: str | Sequence[str] | None, exclude_columns: Sequence[str] | None = None,
                            **_options: Any) -> TrainingSet:  # fmt: skip
        """Examples with the features that were known at each row's time."""
        return self._client.create_training_set(
            df=df, feature_lookups=feature_lookups, label=label, exclude_columns=exclude_columns
        )

    def log_model(self, model: Any, artifact_path: str, *, flavor: Any, training_set: TrainingSet | None = None,
                  registered_model_name: str | None = None, **options: Any) -> Any:  # fmt: skip
        """Log a model that knows its features."""
        return self._client.log_model(model=model, artifact_path=artifact_path, flavor=flavor, training_set=training_set,
                                      registered_model_name=registered_model_name, **options)  # fmt: skip

    def score_batch(self, model_uri: str, df: Frame, result_type: str = "double", **options: Any) -> Relation:
        """Complete the rows with the model's features, and predict."""
        return self._client.score_batch(model_uri=model_uri, df=df, result_type=result_type, **options)

    def publish_table(self, name: str, online_store: Any = None, *, filter_condition: str | None = None, mode: str = "merge",
                      streaming: bool = False, checkpoint_location: str | None = None,
                      trigger: Mapping[str, Any] | None = None, features: str | Sequence[str] | None = None,
                      ttl: timedelta | None = None) -> PublishedTable | PublishingQuery:  # fmt: skip
        """Serve each key's newest known row from an online store: a store, its name, or an `OnlineStoreSpec`."""
        return self._client.publish_table(
            source_table_name=name, online_table_name=getattr(online_store, "table_name", None), online_store=online_store,
            filter_condition=filter_condition, mode=mode, streaming=streaming, checkpoint_location=checkpoint_location,
            trigger=trigger, features=features, ttl=ttl,
        )  # fmt: skip

    def drop_online_table(self, name: str, online_store: Any = None) -> None:
        """End serving a table."""
        self._client.drop_online_table(getattr(online_store, "table_name", None) or name, online_store)


def _several(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
