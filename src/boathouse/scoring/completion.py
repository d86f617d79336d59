"""Batch completion: rows joined, point in time, with the features a model knows it needs."""

from collections.abc import Mapping

from boathouse.context import Context
from boathouse.features import (
    FeatureSpec,
    complete_frame,
    complete_search,
    complete_sql,
    with_functions_frame,
    with_functions_sql,
)
from boathouse.features.declared import Feature, complete_declared
from boathouse.lake import Cluster, Frame, Origin, Relation, origin_of, spooled, tagged
from boathouse.training import frames_of, relations_of


def complete(context: Context, spec: FeatureSpec, df: Frame) -> tuple[Relation, Mapping[str, int]]:
    """All of the frame's columns and the features, and the table versions they came from.

    A feature that the frame brings itself overrides the stored one. Where the engine is a cluster it joins, except
    for a spec with declared features, which are computed here. Raises InvalidInput naming a lookup key or input that the
    frame lacks, NotPermitted for a table that a cluster may not read.
    """
    if context.cluster and not spec.declared:
        return _on_cluster(context, context.cluster, spec, df)
    spine = spooled(context.engine, df)
    columns = context.engine.relation(f"SELECT * FROM {spine}").columns
    declared = [Feature.from_dict(dict(d)) for name, d in spec.declared.items() if name not in columns]
    computed: Mapping[str, int] = {}
    if declared:
        query, computed = complete_declared(context, declared, spine, columns)
        spine, columns = f"({query})", [*columns, *(f.name for f in declared)]
    wanted = spec.without(frozenset(columns))
    relations, versions = relations_of(context, wanted)
    completed = complete_sql(spec, spine, relations, columns)
    if wanted.functions:
        return context.engine.relation(with_functions_sql(context.engine, wanted, completed)), {**computed, **versions}
    engine = context.engine
    rows = engine.relation(completed, lambda most: complete_search(engine.connection, spec, spine, relations, columns, most))
    return rows, {**computed, **versions}


def _on_cluster(context: Context, cluster: Cluster, spec: FeatureSpec, df: Frame) -> tuple[Relation, Mapping[str, int]]:
    rows = cluster.frame(df)
    wanted = spec.without(frozenset(rows.columns))
    tables, versions = frames_of(context, cluster, wanted)
    completed = with_functions_frame(complete_frame(spec, rows, tables), wanted).toArrow()
    made = Origin(inputs={"rows": origin_of(df), **{name: Origin(name, str(version)) for name, version in versions.items()}})
    return context.engine.relation(f"SELECT * FROM {context.engine.register(tagged(completed, made))}"), versions
