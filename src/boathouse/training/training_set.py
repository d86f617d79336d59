"""Training sets: a spine of keys, times and labels, completed by what was known at each row's time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from boathouse.catalog import FunctionInfo
from boathouse.context import Context
from boathouse.features import (
    FeatureFunction,
    FeatureLookup,
    FeatureSide,
    FeatureSpec,
    FunctionFacts,
    LeakReport,
    TableFacts,
    check_duplicate_rows,
    check_duplicates,
    chosen_columns,
    resolve,
    training_set_frame,
    training_set_search,
    training_set_sql,
    with_functions_frame,
    with_functions_sql,
)
from boathouse.lake import Cluster, Frame, Origin, Relation, column_types, origin_of, spooled
from boathouse.training.leaks import find_leaks

if TYPE_CHECKING:
    from pyspark.sql.connect.dataframe import DataFrame


@dataclass(frozen=True)
class TrainingSet:
    """A set of examples. `feature_spec` goes into the model, so that the model knows its features."""

    feature_spec: FeatureSpec
    label: tuple[str, ...]
    query: str
    versions: Mapping[str, int]
    _context: Context
    _spine: str
    _relations: Mapping[str, str]

    def load_df(self) -> "Relation | DataFrame":
        """The rows, lazily: the spine's columns and label with the features, without excluded columns.

        A Relation, or a Spark DataFrame where the engine is a cluster; `.toPandas()` works on both.
        """
        return self._sent if self._context.cluster else self._relation()

    @property
    def origin(self) -> Origin:
        """What the rows are made of, as far as it is known."""
        return self._relation().origin

    def get_output_columns(self) -> list[str]:
        """Column names of `load_df`."""
        return list(self.load_df().columns)

    def leaks(self, estimator: Any = None, *, time: str | None = None) -> LeakReport:
        """What joins by event time alone, and without time, would have changed in this training set.

        `time` is the spine's column that commits are compared with, where lookups use several. With an `estimator` of
        scikit-learn's kind, also what that does to its metric. Computed in this process on either engine.
        Raises InvalidInput.
        """
        return find_leaks(
            self._context, self.feature_spec, self._spine, self._relations, time=time, estimator=estimator
        )

    def _relation(self) -> Relation:
        engine = self._context.engine
        if not self.feature_spec.functions:
            return engine.relation(
                self.query,
                lambda rows: training_set_search(engine.connection, self.feature_spec, self._spine, self._relations, rows),
            )
        computed = with_functions_sql(engine, self.feature_spec, self.query)
        columns = ", ".join(f'"{name}"' for name in self.feature_spec.training_columns)
        return engine.relation(f"SELECT {columns} FROM ({computed})")

    @cached_property
    def _sent(self) -> "DataFrame":
        """What was computed here, sent to the cluster once."""
        assert self._context.cluster
        return self._context.cluster.frame(self._relation())


@dataclass(frozen=True)
class ClusterTrainingSet(TrainingSet):
    """A training set that a cluster joins; `query` says the same in SQL over the tables' names."""

    _frame: "DataFrame"
    _asked: "DataFrame"
    _made: Origin

    def load_df(self) -> "DataFrame":
        """The rows, joined on the cluster when they are asked for."""
        return self._frame

    @property
    def origin(self) -> Origin:
        """What the rows are made of, as far as it is known."""
        return self._made

    def leaks(self, estimator: Any = None, *, time: str | None = None) -> LeakReport:
        """As of a training set of this process, which the spine's rows come to for it."""
        tables = {name: self._context.table(name) for name in self.feature_spec.tables}
        relations = {name: table.scan(self.versions[table.name]) for name, table in tables.items()}
        spine = registered(self._context, self._asked)
        return find_leaks(self._context, self.feature_spec, spine, relations, time=time, estimator=estimator)


def make_training_set(context: Context, df: Frame, features: Sequence[FeatureLookup | FeatureFunction],
                      label: str | Sequence[str] | None, exclude_columns: Sequence[str] = ()) -> TrainingSet:  # fmt: skip
    """Join the lookups to a spine point in time, then compute the functions.

    Raises InvalidInput, NotFound, DuplicateKey.
    """
    if context.cluster:
        return _on_cluster(context, context.cluster, df, features, label, exclude_columns)
    spine = registered(context, df)
    facts, functions = facts_of(context, features)
    columns = context.engine.relation(f"SELECT * FROM {spine}").types
    labels = (label,) if isinstance(label, str) else tuple(label or ())
    spec = resolve(columns, features, facts, labels, list(exclude_columns), function_facts=functions)
    relations, versions = relations_of(context, spec)
    for table, relation in relations.items():
        fact = facts[table]
        side = FeatureSide(relation, fact.keys, fact.timeseries_column, fact.known_time_column)
        check_duplicates(context.engine.connection, side, table)
    return TrainingSet(spec, labels, training_set_sql(spec, spine, relations), versions, context, spine, relations)


def _on_cluster(context: Context, cluster: Cluster, df: Frame, features: Sequence[FeatureLookup | FeatureFunction],
                label: str | Sequence[str] | None, exclude_columns: Sequence[str]) -> TrainingSet:  # fmt: skip
    spine = cluster.frame(df)
    facts, functions = facts_of(context, features)
    columns = dict(column_types(cluster.schema(spine)))
    labels = (label,) if isinstance(label, str) else tuple(label or ())
    spec = resolve(columns, features, facts, labels, list(exclude_columns), function_facts=functions)
    tables, versions = frames_of(context, cluster, spec)
    for table, rows in tables.items():
        fact = facts[table]
        if fact.times:  # the join itself looks at the others
            side = FeatureSide(table, fact.keys, fact.timeseries_column, fact.known_time_column)
            check_duplicate_rows(rows, side, table)
    frame = chosen_columns(with_functions_frame(training_set_frame(spec, spine, tables), spec), spec.training_columns)
    said = training_set_sql(spec, "spine", {table: context.complete(table) for table in tables})
    return ClusterTrainingSet(spec, labels, said, versions, context, "", {}, frame, spine, _made(spec, df, versions, context))


def _made(spec: FeatureSpec, df: Frame, versions: Mapping[str, int], context: Context) -> Origin:
    """What a cluster's rows are made of: of functions, only what went in is known."""
    places = {table: f"table_{i}" for i, table in enumerate(spec.tables)}
    inputs = {place: Origin(name := context.complete(table), str(versions[name])) for table, place in places.items()}
    query = None if spec.functions else training_set_sql(spec, "spine", places)
    return Origin(query=query, inputs={"spine": origin_of(df), **inputs})


def frames_of(context: Context, cluster: Cluster, spec: FeatureSpec) -> tuple[dict[str, "DataFrame"], dict[str, int]]:
    """A cluster's frame of each table that a spec looks up, and the version it shows. Raises NotPermitted."""
    frames, versions = {}, {}
    for table in spec.tables:
        opened = context.table(table)
        frames[table] = opened.frame(cluster)
        versions[opened.name] = context.reads()[opened.name]
    return frames, versions


def relations_of(context: Context, spec: FeatureSpec) -> tuple[dict[str, str], dict[str, int]]:
    """SQL of each table that a spec looks up, and the version it shows."""
    relations, versions = {}, {}
    for table in spec.tables:
        opened = context.table(table)
        relations[table] = opened.scan()
        versions[opened.name] = context.reads()[opened.name]
    return relations, versions


def facts_of(context: Context, features: Sequence[FeatureLookup | FeatureFunction]) -> tuple[
    dict[str, TableFacts], dict[str, FunctionFacts]
]:
    """What resolving needs to know of the tables and of the functions. Raises NotFound, NotPermitted."""
    tables = {f.table_name: table_facts(context, f.table_name) for f in features if isinstance(f, FeatureLookup)}
    functions = {f.udf_name: function_facts(context, f.udf_name) for f in features if isinstance(f, FeatureFunction)}
    return tables, functions


def function_facts(context: Context, name: str) -> FunctionFacts:
    """A registered function with its code."""
    found = FunctionInfo.from_dict(context.call("GET", f"/api/v1/functions/{context.complete(name)}"))
    return FunctionFacts(
        tuple(p.name for p in found.parameters), found.returns, tuple(p.type for p in found.parameters), found.source,
        found.entry, found.version,
    )  # fmt: skip


def table_facts(context: Context, name: str) -> TableFacts:
    """What lookups need to know of a table."""
    info = context.table_info(name)
    return TableFacts(
        columns={c.name: c.type for c in info.columns}, primary_keys=info.primary_keys,
        timeseries_column=info.event_time, known_time_column=info.known_time, version=info.version,
    )  # fmt: skip


def registered(context: Context, df: Frame) -> str:
    """A frame's rows on the context's engine, its columns in the lakehouse's types; the relation's name."""
    return spooled(context.engine, df)

