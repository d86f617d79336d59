"""FeatureStoreClient: the published client's older class, whose arguments may be positional and whose times are no keys."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NoReturn

from boathouse import context as contexts
from boathouse.catalog import TableStream
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.feature_engineering.absent import absent
from boathouse.feature_engineering.client import FeatureEngineeringClient, FeatureTable
from boathouse.feature_engineering.entities import EndpointCoreConfig, FeatureServingEndpoint
from boathouse.feature_engineering.publishing import PublishedTable, PublishingQuery
from boathouse.feature_engineering.streaming import StreamingQuery
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpecInfo
from boathouse.lake import Frame, Relation
from boathouse.training import TrainingSet

_SOURCES = "lineage is recorded at each write; name what it cannot see in lake.table(name).merge(df, sources=[…])"


class FeatureStoreClient:
    """The older client's methods over the same tables: what either client wrote, the other reads."""

    def __init__(self, feature_store_uri: str | None = None, model_registry_uri: str | None = None, *,
                 context: Context | None = None) -> None:  # fmt: skip
        self._context = context or contexts.current()
        self._client = FeatureEngineeringClient(model_registry_uri=model_registry_uri, context=self._context)

    def create_table(self, name: str, primary_keys: str | Sequence[str], df: Frame | None = None, *,
                     timestamp_keys: str | Sequence[str] | None = None, partition_columns: str | Sequence[str] | None = None,
                     schema: Any = None, description: str | None = None, tags: Mapping[str, str] | None = None
                     ) -> FeatureTable:  # fmt: skip
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

    def read_table(self, name: str, *, as_of_delta_timestamp: datetime | str | None = None) -> Relation:
        """The rows of a feature table, or those it held at a time."""
        if as_of_delta_timestamp is not None:
            return self._context.table(name).read(timestamp=as_of_delta_timestamp)
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
                            label: str | Sequence[str] | None, exclude_columns: str | Sequence[str] | None = None
                            ) -> TrainingSet:  # fmt: skip
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

    def create_feature_spec(self, *, name: str, features: Sequence[FeatureLookup | FeatureFunction],
                            exclude_columns: str | Sequence[str] | None = None,
                            extra_pip_requirements: Sequence[str] | None = None) -> FeatureSpecInfo:  # fmt: skip
        """Register lookups and functions under a name."""
        return self._client.create_feature_spec(
            name=name, features=features, exclude_columns=exclude_columns, extra_pip_requirements=extra_pip_requirements
        )

    def update_feature_spec(self, *, name: str, owner: str) -> FeatureSpecInfo:
        """Hand a feature spec to another owner."""
        return self._client.update_feature_spec(name=name, owner=owner)

    def delete_feature_spec(self, *, name: str) -> None:
        """Forget a feature spec. Raises Conflict while an endpoint serves it."""
        self._client.delete_feature_spec(name=name)

    def create_feature_serving_endpoint(self, *, name: str, config: EndpointCoreConfig) -> FeatureServingEndpoint:
        """An endpoint that answers with the features of a spec, without a model."""
        return self._client.create_feature_serving_endpoint(name=name, config=config)

    def get_feature_serving_endpoint(self, *, name: str) -> FeatureServingEndpoint:
        """An endpoint as it is. Raises NotFound."""
        return self._client.get_feature_serving_endpoint(name=name)

    def delete_feature_serving_endpoint(self, *, name: str) -> None:
        """End an endpoint and forget it."""
        self._client.delete_feature_serving_endpoint(name=name)

    def register_table(self, *_given: Any, **_named: Any) -> NoReturn:
        """Keys for a Delta table that is there already: not here."""
        absent("register_table", "keys are declared when a table comes into the catalog: lake.register_table(name, location, "
               "primary_keys=[…], event_time=…), or create_table(…, df=lake.table(name).read())")  # fmt: skip

    def add_data_sources(self, *_given: Any, **_named: Any) -> NoReturn:
        """Sources by hand: not here."""
        absent("add_data_sources", _SOURCES)

    def delete_data_sources(self, *_given: Any, **_named: Any) -> NoReturn:
        """Sources by hand: not here."""
        absent("delete_data_sources", _SOURCES)

    def drop_online_table(self, name: str, online_store: Any = None) -> None:
        """End serving a table."""
        self._client.drop_online_table(getattr(online_store, "table_name", None) or name, online_store)


def _several(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
