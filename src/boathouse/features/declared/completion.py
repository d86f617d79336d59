"""Declared features for the rows of a frame, in training, in batch and in streams alike."""

from collections.abc import Mapping, Sequence

from boathouse.context import Context
from boathouse.errors import InvalidInput
from boathouse.features.declared.compute import complete_sql
from boathouse.features.declared.feature import Feature
from boathouse.features.declared.reading import check_columns, check_keys, grouped, source_sql
from boathouse.features.declared.sources import DeltaTableSource, RequestSource
from boathouse.features.point_in_time import quote


def complete_declared(context: Context, features: Sequence[Feature], rows: str,
                      columns: Sequence[str]) -> tuple[str, Mapping[str, int]]:  # fmt: skip
    """SQL of every row of a relation with its columns and the features of its time, and the versions of the sources.

    Rows are neither lost, repeated nor reordered. Raises InvalidInput naming a key or time that the rows lack.
    """
    asked = [f for f in features if isinstance(f.source, RequestSource)]
    stored = [f for f in features if not isinstance(f.source, RequestSource)]
    for feature in features:
        needed = (feature.operator.input,) if feature in asked else (*feature.entity, feature.timeseries_column)
        for name in needed:
            if name is not None and name not in columns:
                raise InvalidInput(f"{feature.name} needs {name!r} in the rows, which have {', '.join(columns)}")
    given = context.engine.relation(f"SELECT * FROM {rows}").types
    groups, versions = [], {}
    for group in grouped(stored):
        relation = source_sql(context, group[0])
        check_keys(group[0], check_columns(context.engine, group, relation), given)
        groups.append((group, relation))
        source = group[0].source
        if isinstance(source, DeltaTableSource):
            name = context.complete(source.full_name)
            versions[name] = context.reads()[name]
    query = complete_sql(groups, rows, list(columns)) if groups else f"SELECT * FROM {rows}"
    wide = [n for n, kind in context.engine.relation(query).types.items() if kind in ("HUGEINT", "UHUGEINT")]
    replaced = f" REPLACE ({', '.join(f'{quote(n)}::BIGINT AS {quote(n)}' for n in wide)})" if wide else ""
    renamed = [f"{quote(f.operator.input or '')} AS {quote(f.name)}" for f in asked if f.name != f.operator.input]
    return f"SELECT {', '.join(['*' + replaced, *renamed])} FROM ({query})", versions
