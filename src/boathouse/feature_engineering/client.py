"""FeatureEngineeringClient: feature tables, training sets, feature-aware models, scoring, publishing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from boathouse import context as contexts
from boathouse.catalog import COMMITTED, TableInfo, TableSpec, TableStream, check_keys
from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.feature_engineering import materialized, packaging, publishing, serving, streaming
from boathouse.feature_engineering.absent import AbsentServices
from boathouse.feature_engineering.declared import DeclaredFeatures, Several
from boathouse.feature_engineering.entities import EndpointCoreConfig, FeatureServingEndpoint
from boathouse.feature_engineering.leaks import leaks_of_model
from boathouse.feature_engineering.online_stores import NamedStores
from boathouse.feature_engineering.publishing import CONTINUOUS, MODES, PublishedTable, PublishingQuery
from boathouse.feature_engineering.scored import result_of, scored, typed
from boathouse.feature_engineering.skew import online_skew, served_skew
from boathouse.feature_engineering.streaming import StreamingQuery
from boathouse.features import FeatureFunction, FeatureLookup, FeatureSpecInfo, LeakReport, SkewReport, newest_known_rows
from boathouse.features.declared import FeatureAggregations, expanded
from boathouse.lake import Frame, Relation, conform, normalised, schema_of
from boathouse.scoring import load
from boathouse.serving import log_predictions
from boathouse.serving import table_name as inference_table
from boathouse.training import TrainingSet, make_training_set

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame


@dataclass(frozen=True)
class FeatureTable:
    """A feature table as the published client shows it."""

    name: str
    primary_keys: list[str]
    timestamp_keys: list[str]
    features: list[str]
    description: str
    tags: dict[str, str]
    known_time_column: str | None

    @classmethod
    def of(cls, info: TableInfo) -> "FeatureTable":
        """From the catalog's description."""
        keys = [*info.primary_keys, *([info.known_time] if info.known_time else [])]
        features = [c.name for c in info.columns if c.name not in keys]
        return cls(info.name, list(info.keys), [info.event_time] if info.event_time else [], features,
                   info.description, dict(info.tags), info.known_time)  # fmt: skip


class FeatureEngineeringClient(DeclaredFeatures, NamedStores, AbsentServices):
    """The published client's methods. Connects by itself; works in a shell, a notebook and a task alike."""

    def __init__(self, *, model_registry_uri: str | None = None, context: Context | None = None) -> None:
        self._context = context or contexts.current()

    def create_table(self, *, name: str, primary_keys: str | Sequence[str], df: Frame | None = None,
                     timeseries_column: str | Sequence[str] | None = None,
                     partition_columns: str | Sequence[str] | None = None, schema: Any = None,
                     description: str | None = None, tags: Mapping[str, str] | None = None,
                     known_time_column: str | None = None, feature_descriptions: Mapping[str, str] | None = None,
                     exists_ok: bool = False, expectations: Mapping[str, str | Mapping[str, str]] | None = None,
                     freshness: timedelta | None = None, timeseries_columns: str | Sequence[str] | None = None,
                     timestamp_keys: str | Sequence[str] | None = None) -> FeatureTable:  # fmt: skip
        """A feature table of the columns of `schema`, or of `df`, whose rows it then has.

        `timeseries_column` is one of the primary keys; `timeseries_columns` and `timestamp_keys` are its former names.
        With `known_time_column` every version of a row is kept and lookups see only what was known at their time.
        `expectations` are SQL on a row, asked of every batch:
        `{"warm": {"expr": "temp > -90", "action": "fail"}}` writes nothing of a batch where one row fails, `drop` all but
        such rows, `warn` counts them. `freshness` is how far the newest event may lie back.
        Raises AlreadyExists, InvalidInput, DuplicateKey, and ExpectationsFailed for the rows of `df`; but for the last,
        no table is made then.
        """
        if df is None and schema is None:
            raise InvalidInput(f"{name}: give `df` or `schema`, so that the columns are known")
        keys, times = _names(primary_keys), _names(timeseries_column or timeseries_columns or timestamp_keys)
        if not keys:
            raise InvalidInput(f"{name}: a feature table has primary keys, by which its rows are looked up: name at least one")
        if len(times) > 1:
            raise InvalidInput(f"{name}: a feature table has one event time, not {', '.join(times)}: give one timeseries_column")
        rows = None if df is None else contexts.arrow(df)
        if rows is not None and schema is not None:
            rows = conform(rows, normalised(schema_of(schema)), name).read_all()
        if rows is not None:  # what is declared is told before what the rows hold
            TableSpec(
                self._context.complete(name), rows.schema, tuple(keys), times[0] if times else None, known_time_column,
                tuple(_names(partition_columns)),
            ).check()  # fmt: skip
            check_keys(rows, [*keys, *_names(known_time_column)], name)
        table = self._context.create_table(
            name, schema if rows is None else rows.schema, primary_keys=keys, event_time=times[0] if times else None,
            known_time=known_time_column, partition_by=_names(partition_columns), description=description or "",
            tags=tags, column_comments=feature_descriptions, exists_ok=exists_ok,
            expectations=expectations, freshness=freshness,
        )  # fmt: skip
        if rows is not None:
            table.merge(rows)
        return FeatureTable.of(self._context.table_info(name))

    def write_table(self, *, name: str, df: Frame | TableStream, mode: str = "merge", checkpoint_location: str | None = None,
                    trigger: Mapping[str, Any] | None = None) -> StreamingQuery | None:  # fmt: skip
        """Upsert rows on the primary keys; columns new in `df` become new features, and those it lacks keep their values.

        A stream (`lake.table(…).stream()`) is followed, each row exactly once, by a query that goes on where it ended
        when it is started again with its `checkpoint_location`. `trigger` is `{"processingTime": "5 seconds"}`,
        `{"availableNow": True}` or `{"once": True}`.

        Raises InvalidInput for another mode, DuplicateKey when two rows share a key, ExpectationsFailed when rows fail
        what the table expects.
        """
        if mode not in ("merge", "overwrite"):
            raise InvalidInput(f"write_table knows mode 'merge' (and 'overwrite'), not {mode!r}")
        table = self._context.table(name)
        if isinstance(df, TableStream):
            if mode != "merge":
                raise InvalidInput("a stream is merged: leave mode out")
            return streaming.start(
                self._context, df, name, checkpoint_location, trigger,
                lambda context, rows, transaction: streaming.upsert(context.table(name), rows, transaction),
            )  # fmt: skip
        if mode == "overwrite":
            table.overwrite(df)
            return None
        known = {c.name for c in table.info.columns}
        rows = contexts.arrow(df)
        table.merge(rows, evolve=not set(rows.column_names) <= known)
        return None

    def read_table(self, *, name: str) -> "Relation | DataFrame":
        """The rows, each key's newest known version only; a Spark DataFrame where the engine is a cluster."""
        table = self._context.table(name)
        info = table.info
        if cluster := self._context.cluster:
            rows = table.frame(cluster)
            return newest_known_rows(rows, info.primary_keys, info.known_time) if info.known_time else rows
        if not info.known_time:
            return table.read()
        keys = ", ".join(f'"{k}"' for k in info.primary_keys)
        return self._context.engine.relation(
            f'SELECT * FROM {table.scan()} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY "{info.known_time}" DESC) = 1'
        )

    def get_table(self, *, name: str) -> FeatureTable:
        """A feature table's description. Raises NotFound, InvalidInput for a table without primary keys."""
        info = self._context.table_info(name)
        if not info.primary_keys:
            raise InvalidInput(f"{info.name} has no primary keys, so it is no feature table")
        return FeatureTable.of(info)

    def drop_table(self, *, name: str, force: bool = False) -> None:
        """Remove a feature table, and what is published of it online.

        Raises Conflict, naming them, while models, endpoints or specs use it, unless forced.
        """
        self._context.drop_table(name, force=force)

    def set_feature_table_tag(self, *, name: str, key: str, value: str) -> None:
        """Set one tag."""
        tags = dict(self._context.table_info(name).tags)
        self._context.describe_table(name, tags={**tags, key: value})

    def delete_feature_table_tag(self, *, name: str, key: str) -> None:
        """Remove one tag."""
        tags = {k: v for k, v in self._context.table_info(name).tags.items() if k != key}
        self._context.describe_table(name, tags=tags)

    def create_training_set(self, *, df: Frame,
                            feature_lookups: Sequence[FeatureLookup | FeatureFunction | FeatureAggregations] | None = None,
                            feature_spec: str | None = None,
                            features: Several | None = None,
                            label: str | Sequence[str] | None, exclude_columns: str | Sequence[str] | None = None,
                            use_spark_native_join: bool = False, use_timeseries_filtering: bool = False
                            ) -> TrainingSet:  # fmt: skip
        """Examples with the features that were known at each row's time.

        What to look up is given as lookups and functions, as the name of a registered feature spec, or as
        declared `features` and aggregations, which are computed from their sources. `use_spark_native_join` and
        `use_timeseries_filtering` choose how another engine joins, and change nothing here.
        Raises InvalidInput for a lookup key that is no column, NotFound for an unknown table or feature,
        DuplicateKey when a feature table holds one key, event time and known time twice.
        """
        if sum(given is not None for given in (feature_lookups, feature_spec, features)) > 1:
            raise InvalidInput("give one of feature_lookups, feature_spec and features")
        excluded = _names(exclude_columns)
        aggregated, looked_up = _apart(feature_lookups)
        if aggregated and looked_up:
            raise InvalidInput("FeatureAggregations stand beside no lookups: keep them with materialize_features, and look that "
                               "table up with a FeatureLookup")  # fmt: skip
        if features is not None or aggregated:
            return materialized.training_set(self._context, df, expanded(features or aggregated), label, excluded)
        if feature_spec is None:
            return make_training_set(self._context, df, looked_up, label, excluded)
        asked, left_out = serving.features_of(self._context, feature_spec)
        return make_training_set(self._context, df, asked, label, [*left_out, *excluded])

    def leaks(self, training_set: TrainingSet | None = None, *, df: Frame | None = None, feature_spec: str | None = None,
              model_uri: str | None = None, label: str | None = None, time: str | None = None, estimator: Any = None,
              retrain: bool = True) -> LeakReport:  # fmt: skip
        """What a join by event time alone, and one without time, would have changed, and which rows were committed late.

        Of a training set, or of the spine `df` completed by a registered `feature_spec`, or by a model's features at the
        table versions it was trained on. `time` is the spine's column that commits are compared with. A model's own
        estimator is trained in each way unless `retrain` is false; else give an `estimator` of scikit-learn's kind.
        Raises InvalidInput, NotFound.
        """
        if training_set is not None:
            return training_set.leaks(estimator, time=time)
        if df is None or (feature_spec is None) == (model_uri is None):
            raise InvalidInput("give a training set, or a spine `df` with one of feature_spec, model_uri")
        if model_uri is not None:
            return leaks_of_model(self._context, model_uri, df, time, retrain)
        made = self.create_training_set(df=df, feature_spec=feature_spec, label=label)
        return made.leaks(estimator, time=time)

    def skew(self, table: str | None = None, *, model: str | None = None, sample: int | None = None,
             requests: int = 10_000) -> SkewReport:  # fmt: skip
        """Where online values are others than the lakehouse's, each mismatch with its reason.

        Of a published `table`: every key, or a `sample`, against a point-in-time read of now. Of a `model`: what its newest
        `requests` were answered from, against reads at their own times. Raises InvalidInput, NotFound.
        """
        if (table is None) == (model is None):
            raise InvalidInput("give one of table, model")
        if table is not None:
            return online_skew(self._context, table, sample)
        return served_skew(self._context, str(model), requests)

    def create_feature_spec(self, *, name: str, features: Sequence[FeatureLookup | FeatureFunction],
                            exclude_columns: Sequence[str] | None = None,
                            extra_pip_requirements: Sequence[str] | None = None) -> FeatureSpecInfo:  # fmt: skip
        """Register lookups and functions under a name; functions run in the environment of whoever computes them.

        Raises AlreadyExists, InvalidInput, NotFound.
        """
        return serving.create_spec(self._context, name, features, _names(exclude_columns))

    def update_feature_spec(self, *, name: str, owner: str) -> FeatureSpecInfo:
        """Hand a feature spec to another owner."""
        address = f"/api/v1/feature-specs/{self._context.complete(name)}"
        return FeatureSpecInfo.from_dict(self._context.call("PATCH", address, {"owner": owner}))

    def delete_feature_spec(self, *, name: str, force: bool = False) -> None:
        """Forget a feature spec. Raises Conflict while an endpoint serves it, unless forced."""
        self._context.call("DELETE", f"/api/v1/feature-specs/{self._context.complete(name)}?force={str(force).lower()}")

    def create_feature_serving_endpoint(self, *, name: str, config: EndpointCoreConfig) -> FeatureServingEndpoint:
        """An endpoint of this environment that answers with the features of a spec, without a model."""
        return serving.create_endpoint(self._context, name, config)

    def get_feature_serving_endpoint(self, *, name: str) -> FeatureServingEndpoint:
        """An endpoint as it is. Raises NotFound."""
        return serving.endpoint(self._context, name)

    def delete_feature_serving_endpoint(self, *, name: str) -> None:
        """End an endpoint and forget it."""
        serving.delete_endpoint(self._context, name)

    def log_model(self, *, model: Any, artifact_path: str, flavor: Any, training_set: TrainingSet | None = None,
                  registered_model_name: str | None = None, await_registration_for: int | None = None,
                  infer_input_example: bool = False, pip_requirements: Sequence[str] | None = None,
                  extra_pip_requirements: Sequence[str] | None = None, output_schema: Any = None,
                  **flavor_options: Any) -> Any:  # fmt: skip
        """Log a model that knows its features, with the record that lets it be made again; MLflow's ModelInfo.

        `flavor` is MLflow's module of the library, or `mlflow.pyfunc` for a PythonModel of one's own. `output_schema`
        (mlflow.types.Schema) says what the model answers with, in place of what it answers for a sample of the rows.
        Starts an MLflow run when none is active. A registered version is there at once, and its signature says what an
        input example would: `await_registration_for` and `infer_input_example` change nothing.
        Raises InvalidInput without a training set to take the signature from.
        """
        if training_set is None:
            raise InvalidInput("log_model needs training_set, which says what features and inputs the model takes")
        if not isinstance(training_set, TrainingSet):
            raise InvalidInput(f"training_set is what create_training_set gives, not its rows, nor {type(training_set).__name__}")
        if not callable(getattr(flavor, "save_model", None)):
            raise InvalidInput(f"flavor is MLflow's module for the library, such as mlflow.sklearn, not {flavor!r}")
        return packaging.log_model(
            self._context, model, artifact_path, flavor, training_set, registered_model_name,
            pip_requirements=pip_requirements, extra=extra_pip_requirements or (), options=flavor_options,
            output_schema=output_schema,
        )  # fmt: skip

    def score_batch(self, *, model_uri: str, df: Frame, result_type: Any = "double", env_manager: str = "local",
                    params: Mapping[str, Any] | None = None, log_to: str | None = None, mode: str = "batch",
                    use_spark_native_join: bool = False) -> "Relation | DataFrame":  # fmt: skip
        """All columns of `df`, the features looked up point in time, and `prediction`.

        `result_type` is what numbers become; classes that are texts stay texts, and several numbers a row an array. `params`
        go to the model's own `predict`, if its signature declares them. A binary classifier adds `prediction_probability`.
        A feature that `df` brings itself overrides the stored one. With `log_to` (a model's name), the rows also land in
        that model's inference table, made in `mode` batch or stream; columns `request_id` and `request_time` of `df` name and
        date each request.
        Where the engine is a cluster, features are joined there, the model predicts here, and a Spark DataFrame returns.
        Raises InvalidInput for a result type that predictions are not of, and for a parameter that the model has not.
        """
        kind = result_of(result_type)
        if env_manager != "local":
            raise InvalidInput(f"env_manager {env_manager!r}: models predict in the environment of this process; leave it out, "
                               "and score in a job, which runs in that of its project's lock")  # fmt: skip
        model = load(self._context, model_uri)
        frame, versions = scored(self._context, model, df, params)
        if log_to:
            log_predictions(self._context, self._context.complete(log_to), model.version, frame, mode, versions)
        answers = typed(self._context, frame, kind)
        return self._context.cluster.frame(answers) if self._context.cluster else answers

    def score_stream(self, *, model_uri: str, df: TableStream, checkpoint_location: str, log_to: str | None = None,
                     output_table: str | None = None, trigger: Mapping[str, Any] | None = None,
                     result_type: str = "double") -> StreamingQuery:  # fmt: skip
        """Score the rows of a stream as they come, each exactly once, with the features that `score_batch` would give.

        They go into the inference table of the model `log_to`, or are appended to `output_table`. Each batch takes the
        version that `model_uri` names then. Checkpoint and trigger as for `write_table`.
        Raises InvalidInput, NotFound, NotPermitted.
        """
        kind = result_of(result_type)
        if not isinstance(df, TableStream):
            raise InvalidInput("score_stream follows a table: give lake.table(…).stream()")
        if (log_to is None) == (output_table is None):
            raise InvalidInput("say where the predictions go: log_to= a model, or output_table=")
        target = str(output_table or inference_table(log_to or ""))

        def take(context: Context, rows: Relation, transaction: tuple[str, int]) -> None:
            model = load(context, model_uri)
            frame, versions = scored(context, model, rows.select(f"* EXCLUDE ({COMMITTED})").to_arrow())
            if log_to:
                log_predictions(context, context.complete(log_to), model.version, frame, "stream", versions, transaction)
                return
            answers = typed(context, frame, kind).to_arrow()
            context.create_table(target, answers.schema, exists_ok=True).append(answers, transaction, evolve=True)

        load(self._context, model_uri)  # the caller hears of a model that is not there
        return streaming.start(self._context, df, target, checkpoint_location, trigger, take)

    def publish_table(self, *, source_table_name: str, online_table_name: str | None = None, online_store: Any = None,
                      publish_mode: str | None = None, filter_condition: str | None = None, mode: str = "merge",
                      streaming: bool = False, checkpoint_location: str | None = None,
                      trigger: Mapping[str, Any] | None = None, features: str | Sequence[str] | None = None,
                      ttl: timedelta | None = None) -> PublishedTable | PublishingQuery:  # fmt: skip
        """Serve each key's newest known row from the environment's online store; readers switch at once.

        `publish_mode` SNAPSHOT publishes all rows; TRIGGERED (the default) only the keys that changed since, where that is
        known; CONTINUOUS, or `streaming`, gives a query that follows the table until it is stopped. It needs no
        `checkpoint_location`: its position stands in the store. `filter_condition` is SQL on the newest rows. A row whose
        event time is longer ago than `ttl` is not served; without an event time, the table as of its last publish.
        Needs MODIFY on the source. Raises InvalidInput, NotFound, NotPermitted, DuplicateKey, Conflict, Unavailable.
        """
        if mode not in ("merge", "overwrite"):
            raise InvalidInput(f"publish_table knows the modes merge and overwrite, not {mode!r}")
        how = (publish_mode or (CONTINUOUS if streaming else "SNAPSHOT" if mode == "overwrite" else "TRIGGERED")).upper()
        if how not in MODES:
            raise InvalidInput(f"publish_mode {publish_mode!r} is unknown; use one of {', '.join(MODES)}")
        wish = publishing.wish_of(source_table_name, online_table_name, features, filter_condition, ttl, online_store)
        if how == CONTINUOUS:
            return publishing.follow(self._context, wish, trigger)
        return publishing.publish(self._context, wish, how)

    def drop_online_table(self, name: str, online_store: Any = None, *, force: bool = False) -> None:
        """End serving a table in a store, or in the only one that has it.

        Raises NotFound, NotPermitted, InvalidInput, and Conflict while an endpoint answers from it, unless forced.
        """
        publishing.withdraw(self._context, name, online_store, force)

    def published_tables(self) -> list[dict[str, Any]]:
        """Which version of which table is online since when: `table`, `source`, `version`, `published_at`, `rows`, …"""
        return publishing.published(self._context)

    def published_table(self, name: str) -> dict[str, Any]:
        """One of `published_tables`, under its own name or its source's. Raises NotFound."""
        return publishing.one_published(self._context, name)


def _apart(given: Any) -> tuple[list[FeatureAggregations], list[FeatureLookup | FeatureFunction]]:
    """One or several things to look up: aggregations, and the others. Raises InvalidInput for what is neither."""
    asked = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [] if given is None else [given]
    for one in asked:
        if not isinstance(one, FeatureLookup | FeatureFunction | FeatureAggregations):
            raise InvalidInput(f"feature_lookups holds {one!r}: it takes FeatureLookup, FeatureFunction and FeatureAggregations")
    return ([f for f in asked if isinstance(f, FeatureAggregations)],
            [f for f in asked if not isinstance(f, FeatureAggregations)])  # fmt: skip


def _names(given: str | Sequence[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else list(given or ())
