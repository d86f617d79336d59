"""Tables that hold declared features, known by a tag; and the training sets and models that use such features."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from boathouse.catalog import TableInfo
from boathouse.context import Context
from boathouse.errors import InvalidInput, NotFound
from boathouse.features import KEPT, FeatureLookup, FeatureSpec, TableFacts, resolve
from boathouse.features.declared import (
    DeltaTableSource,
    Feature,
    Refreshed,
    RequestSource,
    backfill,
    check_names,
    complete_declared,
    grouped,
    refresh,
)
from boathouse.lake import Frame, batches, normalised, origin_of, tagged
from boathouse.training import TrainingSet, relations_of, table_facts

_BACKFILLS = "boathouse.backfills"
_REMEMBERED = 20


def kept_tables(context: Context) -> list[tuple[TableInfo, list[Feature]]]:
    """The environment's materialized tables with the features that each holds."""
    rows = context.call("GET", f"/api/v1/tables?environment={context.environment}")
    return [(info, features_in(info)) for info in map(TableInfo.from_dict, rows) if KEPT in info.tags]


def features_in(info: TableInfo) -> list[Feature]:
    """What a materialized table holds. Raises NotFound for another table."""
    if KEPT not in info.tags:
        raise NotFound(f"{info.name} holds no declared features; `boathouse features declared` shows where they are kept")
    return [Feature.from_dict(body) for body in json.loads(info.tags[KEPT])]


def sources_of(info: TableInfo, environment: str) -> list[str]:
    """The full names of the tables that a materialized table is computed from. Raises NotFound for another table."""
    named = {f.source.full_name for f in features_in(info) if isinstance(f.source, DeltaTableSource)}
    return sorted(name if name.count(".") == 2 else f"{environment}.{name}" for name in named)


def refresh_table(context: Context, name: str, full: bool = False) -> Refreshed:
    """Bring a materialized table to its source's newest rows. Raises NotFound for another table."""
    return refresh(context, name, features_in(context.table_info(name)), full=full)


def backfill_table(context: Context, name: str, start: datetime, end: datetime) -> Refreshed:
    """Compute the rows of [start, end) again. Raises NotFound for a table that keeps no declared features."""
    return backfill(context, name, features_in(context.table_info(name)), start, end)


def backfills_of(info: TableInfo) -> list[dict[str, Any]]:
    """The newest backfills of a table, newest last, as JSON."""
    found: list[dict[str, Any]] = json.loads(info.tags.get(_BACKFILLS, "[]"))
    return found


def note_backfill(context: Context, table: str, done: dict[str, Any]) -> None:
    """Remember a backfill with the table that it filled."""
    info = context.table_info(table)
    newest = [*backfills_of(info), done][-_REMEMBERED:]
    context.describe_table(table, tags={**info.tags, _BACKFILLS: json.dumps(newest)})


def training_set(context: Context, df: Frame, features: Sequence[Feature], label: str | Sequence[str] | None,
                 exclude: Sequence[str]) -> TrainingSet:  # fmt: skip
    """A spine with declared features, computed from their sources at each row's time.

    The model will look up those that are kept in tables, and compute the others. Raises InvalidInput, NotFound.
    """
    rows = batches(df).read_all()
    check_names(features, [c for c in rows.column_names if not _requested(features, c)])
    spine = context.engine.register(tagged(rows.cast(normalised(rows.schema)), origin_of(df)))
    labels = (label,) if isinstance(label, str) else tuple(label or ())
    query, versions = complete_declared(context, features, spine, rows.column_names)
    types = context.engine.relation(query).types
    kept = _kept(context, features)
    spec = _spec(context, features, {c: types[c] for c in rows.column_names}, types, kept, labels, exclude)
    columns = ", ".join(f'"{c}"' for c in types if c not in set(exclude))
    direct = [f for f in features if f.name not in kept]
    looked_up_for = f"({complete_declared(context, direct, spine, rows.column_names)[0]})" if direct else spine
    relations, _ = relations_of(context, spec)
    return TrainingSet(spec, labels, f"SELECT {columns} FROM ({query})", versions, context, looked_up_for, relations)


def _spec(context: Context, features: Sequence[Feature], spine: dict[str, str], types: dict[str, str],
          kept: dict[str, str], labels: tuple[str, ...], exclude: Sequence[str]) -> FeatureSpec:  # fmt: skip
    by_table: dict[str, list[Feature]] = {}
    for feature in features:
        if feature.name in kept:
            by_table.setdefault(kept[feature.name], []).append(feature)
    lookups = [_lookup(table, members) for table, members in by_table.items()]
    facts: dict[str, TableFacts] = {table: table_facts(context, table) for table in by_table}
    direct = [f for f in features if f.name not in kept and not isinstance(f.source, RequestSource)]
    given = spine | {f.name: types[f.name] for f in direct}
    spec = resolve(given, lookups, facts, labels, list(exclude))
    computable = {f.name: f.to_dict() for f in direct if isinstance(f.source, DeltaTableSource) and f.name not in exclude}
    return replace(spec, declared=computable)


def _lookup(table: str, features: Sequence[Feature]) -> FeatureLookup:
    first = features[0]
    zeros: dict[str, bool | int | float | str] = {f.name: 0 for f in features if f.operator.counts}
    return FeatureLookup(table, list(first.entity), feature_names=[f.name for f in features],
                         timestamp_lookup_key=first.timeseries_column, default_values=zeros)  # fmt: skip


def _kept(context: Context, features: Sequence[Feature]) -> dict[str, str]:
    """Feature name -> the table that keeps it, of the features that one does."""
    if not any(isinstance(f.source, DeltaTableSource) for f in features):
        return {}
    held = {_meaning(f): info.name for info, inside in kept_tables(context) for f in inside}
    found = {f.name: held.get(_meaning(f)) for f in features if isinstance(f.source, DeltaTableSource)}
    return {name: table for name, table in found.items() if table}


def _meaning(feature: Feature) -> str:
    body = {k: v for k, v in feature.to_dict().items() if k not in ("full_name", "description")}
    return json.dumps(body, sort_keys=True)


def same(one: Feature, other: Feature) -> bool:
    """Whether two features mean the same."""
    return _meaning(one) == _meaning(other)


def _requested(features: Sequence[Feature], column: str) -> bool:
    return any(isinstance(f.source, RequestSource) and f.name == column for f in features)


def group_name(features: Sequence[Feature], prefix: str | None) -> str:
    """What the table of a group is called by itself."""
    source = features[0].source
    if not isinstance(source, DeltaTableSource):
        raise InvalidInput(f"{features[0].name}: only features of a DeltaTableSource are materialized")
    return "_".join([*([prefix] if prefix else []), source.table_name, "by", *features[0].entity])


def tag_of(features: Sequence[Feature]) -> dict[str, str]:
    """The tag that makes a table known."""
    return {KEPT: json.dumps([f.to_dict() for f in features])}


def split(features: Sequence[Feature]) -> list[list[Feature]]:
    """Groups that one table each keeps. Raises InvalidInput when two features of one share a name."""
    groups = grouped(features)
    for group in groups:
        check_names(group, [*group[0].entity, *([group[0].timeseries_column] if group[0].timeseries_column else [])])
    return groups
