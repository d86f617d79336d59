"""Training sets: a spine of keys, times and labels, completed by what was known at each row's time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

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
    check_duplicates,
    resolve,
    training_set_sql,
    with_functions_sql,
)
from boathouse.lake import Frame, Relation, batches, normalised, origin_of, tagged
from boathouse.training.leaks import find_leaks


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

    def load_df(self) -> Relation:
        """The rows, lazily: the spine's columns and label with the features, without excluded columns."""
        if not self.feature_spec.functions:
            return self._context.engine.relation(self.query)
        engine = self._context.engine
        computed = with_functions_sql(engine, self.feature_spec, self.query)
        columns = ", ".join(f'"{name}"' for name in self.feature_spec.training_columns)
        return engine.relation(f"SELECT {columns} FROM ({computed})")

    def get_output_columns(self) -> list[str]:
        """Column names of `load_df`."""
        return self.load_df().columns

    def leaks(self, estimator: Any = None, *, time: str | None = None) -> LeakReport:
        """What joins by event time alone, and without time, would have changed in this training set.

        `time` is the spine's column that commits are compared with, where lookups use several. With an `estimator` of
        scikit-learn's kind, also what that does to its metric. Raises InvalidInput.
        """
        return find_leaks(
            self._context, self.feature_spec, self._spine, self._relations, time=time, estimator=estimator
        )


def make_training_set(context: Context, df: Frame, features: Sequence[FeatureLookup | FeatureFunction],
                      label: str | Sequence[str] | None, exclude_columns: Sequence[str] = ()) -> TrainingSet:  # fmt: skip
    """Join the lookups to a spine point in time, then compute the functions.

    Raises InvalidInput, NotFound, DuplicateKey.
    """
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
    origin = origin_of(df)
    rows: pa.Table = batches(df).read_all()
    return context.engine.register(tagged(rows.cast(normalised(rows.schema)), origin))

