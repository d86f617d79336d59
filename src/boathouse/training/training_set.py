"""Training sets: a spine of keys, times and labels, completed by what was known at each row's time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from boathouse.context import Context
from boathouse.features import FeatureLookup, FeatureSide, FeatureSpec, TableFacts, check_duplicates, resolve, training_set_sql
from boathouse.lake import Frame, Relation, batches, normalised


@dataclass(frozen=True)
class TrainingSet:
    """A set of examples. `feature_spec` goes into the model, so that the model knows its features."""

    feature_spec: FeatureSpec
    label: tuple[str, ...]
    query: str
    versions: Mapping[str, int]
    _context: Context

    def load_df(self) -> Relation:
        """The rows, lazily: the spine's columns and label with the features, without excluded columns."""
        return self._context.engine.relation(self.query)

    def get_output_columns(self) -> list[str]:
        """Column names of `load_df`."""
        return self.load_df().columns


def make_training_set(context: Context, df: Frame, lookups: Sequence[FeatureLookup], label: str | Sequence[str] | None,
                      exclude_columns: Sequence[str] = ()) -> TrainingSet:  # fmt: skip
    """Join the lookups to a spine point in time. Raises InvalidInput, NotFound, DuplicateKey."""
    spine = _registered(context, df)
    facts = {lookup.table_name: table_facts(context, lookup.table_name) for lookup in lookups}
    columns = context.engine.relation(f"SELECT * FROM {spine}").types
    labels = (label,) if isinstance(label, str) else tuple(label or ())
    spec = resolve(columns, lookups, facts, labels, list(exclude_columns))
    relations, versions = relations_of(context, spec)
    for table, relation in relations.items():
        fact = facts[table]
        side = FeatureSide(relation, fact.keys, fact.timeseries_column, fact.known_time_column)
        check_duplicates(context.engine.connection, side, table)
    return TrainingSet(spec, labels, training_set_sql(spec, spine, relations), versions, context)


def relations_of(context: Context, spec: FeatureSpec) -> tuple[dict[str, str], dict[str, int]]:
    """SQL of each table that a spec looks up, and the version it shows."""
    relations, versions = {}, {}
    for table in spec.tables:
        opened = context.table(table)
        relations[table] = opened.scan()
        versions[opened.name] = context.reads()[opened.name]
    return relations, versions


def table_facts(context: Context, name: str) -> TableFacts:
    """What lookups need to know of a table."""
    info = context.table_info(name)
    return TableFacts(
        columns={c.name: c.type for c in info.columns}, primary_keys=info.primary_keys,
        timeseries_column=info.event_time, known_time_column=info.known_time, version=info.version,
    )  # fmt: skip


def _registered(context: Context, df: Frame) -> str:
    rows: pa.Table = batches(df).read_all()
    return context.engine.register(rows.cast(normalised(rows.schema)))

