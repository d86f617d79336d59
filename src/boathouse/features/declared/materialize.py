"""Declared features kept as a feature table: one row for each entity and moment at which a value changes.

An as-of lookup of any moment therefore finds the value that computing at that moment gives, and the newest row is the
value of now. A refresh reads the source's change feed from the version before and recomputes only the stretches of time
that changed rows touch, of their entities, and what the clock has passed since. How far it came is committed with the rows.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

import pyarrow as pa

from boathouse import clock
from boathouse.catalog import Table
from boathouse.context import Context
from boathouse.errors import InvalidInput, NotPermitted
from boathouse.features.declared.compute import (
    TIME,
    finite_reach,
    keys,
    lead,
    moments_sql,
    reach,
    rows_sql,
    touched_sql,
    values_sql,
)
from boathouse.features.declared.feature import Feature
from boathouse.features.declared.reading import check_columns, shaped, source_sql, within
from boathouse.features.declared.sources import DeltaTableSource
from boathouse.features.point_in_time import quote
from boathouse.lake import UNCHANGED, Engine, Origin, Relation, column_types, normalised, tagged

_SOURCE = "boathouse.materialize.source"
_UNTIL = "boathouse.materialize.until"
_IDENTITY = "boathouse.materialize.identity"
_DROPPED = "__dropped"
_MOST_STRETCHES = 16
_TRIES = 10
_FILE_BYTES = 2 << 20
"""What a file holds about: little, so that a refresh rewrites little besides the rows that it changes."""

_DAY = 86_400_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_numbers = count()


@dataclass(frozen=True)
class Refreshed:
    """What a refresh did: rows written (set or removed), the source's version and the moment that the table stands at."""

    table: str
    rows: int
    kind: str
    source_version: int
    until: datetime
    version: int

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {**asdict(self), "until": self.until.isoformat()}


@dataclass(frozen=True)
class _Span:
    """Moments to recompute of every entity: after `low` (None: from the first) up to `high`."""

    low: int | None
    high: int


def create(context: Context, name: str, features: Sequence[Feature], tags: dict[str, str], description: str = "") -> Table:
    """The empty table of a group of features. Raises AlreadyExists."""
    first = features[0]
    schema = _schema(context, features, context.table(_source(features).full_name))
    keyed = [*first.entity, *([first.timeseries_column] if first.timeseries_column else [])]
    return context.create_table(
        name, schema, primary_keys=keyed, event_time=first.timeseries_column, tags=tags, description=description,
        column_comments={f.name: f.description for f in features if f.description},
        properties={"delta.targetFileSize": str(_FILE_BYTES)},
    )  # fmt: skip


def refresh(context: Context, name: str, features: Sequence[Feature], until: datetime | None = None,
            full: bool = False) -> Refreshed:  # fmt: skip
    """Bring a materialized table to the source's newest version and to a moment (now).

    `full` recomputes everything; so does a refresh whose change feed is not there, or whose source is another table, or has
    other types. Raises NotFound, NotPermitted, InvalidInput for a source that lacks a column.
    """
    return _unpassed(context, name, lambda target: _refreshed(context, target, features, _micros(until or clock.now()), full))


def _refreshed(context: Context, target: Table, features: Sequence[Feature], high: int, full: bool) -> Refreshed:
    source = context.table(_source(features).full_name)
    version, identity = source.version, _number(source.table_id or "")
    seen, reached = target.transaction_version(_SOURCE), target.transaction_version(_UNTIL)
    marks = {_SOURCE: version, _UNTIL: high, _IDENTITY: identity}
    same = target.transaction_version(_IDENTITY) == identity and _fits(target, _schema(context, features, source))
    if full or not same or seen is None or reached is None or seen > version:
        return _write(context, target, features, _Span(None, high), None, marks, "full")
    if seen == version and high <= reached:
        return Refreshed(target.name, 0, "unchanged", version, _instant(reached), target.version)
    marks[_UNTIL] = high = max(high, reached)
    with _scratch(context.engine, 1) as (changed,):
        try:
            changes = context.engine.register(source.changes(seen, version).to_arrow())
        except (InvalidInput, NotPermitted):  # vacuumed, not kept, or behind masks
            return _write(context, target, features, _Span(None, high), None, marks, "full")
        rows = rows_sql(features, shaped(context.engine, features[0], changes))
        context.engine.connection.execute(f"CREATE TEMP TABLE {changed} AS SELECT DISTINCT {_columns(features)} FROM {rows}")
        return _write(context, target, features, _Span(reached, high), changed, marks, "incremental")


def backfill(context: Context, name: str, features: Sequence[Feature], start: datetime, end: datetime) -> Refreshed:
    """Recompute the rows of the moments in [start, end), of every entity. Raises InvalidInput, NotFound."""
    if _micros(end) <= _micros(start):
        raise InvalidInput(f"a backfill of {name} needs an end after its start, not {start} to {end}")

    def filled(target: Table) -> Refreshed:
        if not _fits(target, _schema(context, features, context.table(_source(features).full_name))):
            raise InvalidInput(f"the source of {target.name} has other types now: refresh it, which computes all of it anew")
        reached = target.transaction_version(_UNTIL)
        last = _micros(end) - 1 if reached is None else min(_micros(end) - 1, reached)
        return _write(context, target, features, _Span(_micros(start) - 1, last), None, {}, "backfill")

    return _unpassed(context, name, filled)


def _unpassed(context: Context, name: str, act: Callable[[Table], Refreshed]) -> Refreshed:
    """Do it anew where another refresh came first: rows that it removed are no longer there to be removed."""
    for left in reversed(range(_TRIES)):
        target = context.table(name)
        before = target.version
        try:
            return act(target)
        except InvalidInput:
            if not left or target.version == before:
                raise
    raise AssertionError("the last try returns or raises")


def computed(context: Context, features: Sequence[Feature], until: datetime) -> Relation:
    """What a table of one group of features would hold at a moment. Raises NotFound, NotPermitted, InvalidInput."""
    relation = source_sql(context, features[0])
    check_columns(context.engine, features, relation)
    rows = rows_sql(features, relation)
    points = f"({_points(features, rows, '', _Span(None, _micros(until)))})"
    return typed(context.engine.relation(_named(features, values_sql(features, points, rows, _carried(features)))))


def standing(table: Table) -> tuple[int | None, datetime | None]:
    """The source's version and the moment that a materialized table stands at."""
    reached = table.transaction_version(_UNTIL)
    return table.transaction_version(_SOURCE), None if reached is None else _instant(reached)


def typed(relation: Relation) -> Relation:
    """A relation in types that tables keep: sums of integers are bigint."""
    wide = [f"{quote(n)}::BIGINT AS {quote(n)}" for n, kind in relation.types.items() if kind in ("HUGEINT", "UHUGEINT")]
    return relation.select(f"* REPLACE ({', '.join(wide)})") if wide else relation


def _write(context: Context, target: Table, features: Sequence[Feature], span: _Span, changed: str | None,
           marks: dict[str, int], kind: str) -> Refreshed:  # fmt: skip
    """Compute a span's moments, and those that `changed` rows (a table of keys and times) touch, and merge them."""
    engine, con = context.engine, context.engine.connection
    source = context.complete(_source(features).full_name)
    with _scratch(engine, 3) as (stretches, events, points):
        touched = stretches if changed else ""
        if changed:
            con.execute(f"CREATE TEMP TABLE {touched} AS {touched_sql(features, changed)}")
        where = within(features[0], _needed(engine, features, touched, span))
        rows = rows_sql(features, source_sql(context, features[0], where))
        version = context.reads()[source]
        con.execute(f"CREATE TEMP TABLE {events} AS SELECT r.* FROM {rows} r WHERE {_wanted(features, rows, touched, span)}")
        con.execute(f"CREATE TEMP TABLE {points} AS {_points(features, events, touched, span)}")
        named = _named(features, values_sql(features, points, events, _carried(features)))
        if kind == "full":
            made = typed(engine.relation(f"{named} ORDER BY {', '.join([TIME, *keys(features)])}"))
            return _renew(target, made, marks, _origin(features, source, version), _instant(span.high))
        made = typed(engine.relation(named))
        stale = moments_sql(features, changed) if changed else _held(features, target, span)
        gone = engine.relation(_named(features, _gone(features, stale, points, _earliest(engine, touched), target, span)))
        result = _flagged(made.to_arrow(), gone.to_arrow(), target.schema())
    rows_written, at = result.num_rows, target.version
    if rows_written:
        result = tagged(result, _origin(features, source, version))
        commit = target.merge(result, dropping=_DROPPED, marks=marks or None)
        rows_written, at = (0 if commit.operation == UNCHANGED else rows_written), commit.version
    return Refreshed(target.name, rows_written, kind, version, _instant(span.high), at)


def _schema(context: Context, features: Sequence[Feature], source: Table) -> pa.Schema:
    """The columns of a table of these features, of a source as it is now. Raises InvalidInput for a column that it lacks."""
    relation = shaped(context.engine, features[0], context.engine.register(source.schema().empty_table()))
    check_columns(context.engine, features, relation)
    rows = rows_sql(features, relation)
    empty = context.engine.relation(_named(features, values_sql(features, rows, rows, _carried(features))))
    return typed(empty).to_arrow().schema


def _fits(target: Table, schema: pa.Schema) -> bool:
    return dict(column_types(target.schema())) == dict(column_types(normalised(schema)))


def _renew(target: Table, made: Relation, marks: dict[str, int], origin: Origin, until: datetime) -> Refreshed:
    """Replace everything, in files that each hold a stretch of time."""
    evolve = not _fits(target, made.limit(0).to_arrow().schema)
    commit = target.overwrite(Relation(made.duckdb(), lambda: origin), marks=marks, evolve=evolve)
    rows = 0 if commit.operation == UNCHANGED else commit.rows or 0
    return Refreshed(target.name, rows, "full", int(origin.inputs["rows"].version or 0), until, commit.version)


def _origin(features: Sequence[Feature], source: str, version: int) -> Origin:
    """What the rows are made of, as SQL whose columns the lineage can follow."""
    first, declared = features[0], _source(features)
    own = ", ".join(quote(c) for c in (*first.entity, first.timeseries_column) if c)
    made = [f"max({quote(f.operator.input)}) AS {quote(f.name)}" if f.operator.input else f"count(*) AS {quote(f.name)}"
            for f in features]  # fmt: skip
    condition = f" WHERE ({declared.filter_condition}\n)" if declared.filter_condition else ""
    rows = f"(SELECT {declared.transformation_sql or '*'}\nFROM rows{condition})"
    query = f"SELECT {', '.join([own, *made])} FROM {rows} GROUP BY {own}"
    return Origin(query=query, inputs={"rows": Origin(source, str(version))})


def _needed(engine: Engine, features: Sequence[Feature], touched: str, span: _Span) -> list[tuple[int | None, int | None]]:
    """The stretches of the source's time that have to be read, a few and disjoint."""
    back, ahead = reach(features), lead(features)
    if back is None or span.low is None:
        return [(None, None)]
    days = engine.connection.execute(
        f"SELECT DISTINCT (low - {back}) // {_DAY}, (high + {ahead}) // {_DAY} FROM {touched}"
    ).fetchall() if touched else []  # fmt: skip
    stretches = [(int(first) * _DAY, (int(last) + 1) * _DAY) for first, last in days]
    stretches.append((span.low - back, span.high + ahead))
    merged: list[tuple[int, int]] = []
    for low, high in sorted(stretches):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    while len(merged) > _MOST_STRETCHES:
        nearest = min(range(len(merged) - 1), key=lambda i: merged[i + 1][0] - merged[i][1])
        merged[nearest : nearest + 2] = [(merged[nearest][0], merged[nearest + 1][1])]
    return list(merged)


def _wanted(features: Sequence[Feature], rows: str, touched: str, span: _Span) -> str:
    """Which of the source's rows are needed: all near the span, elsewhere those of touched entities."""
    if span.low is None:
        return "true"
    named, ahead = ", ".join(keys(features)), lead(features)
    entity = f"({', '.join(f'r.{k}' for k in keys(features))})"
    of_touched = f" OR {entity} IN (SELECT {named} FROM {touched})" if touched else ""
    near = f"{TIME} BETWEEN {span.low - finite_reach(features) - ahead} AND {span.high + ahead}"
    if reach(features) is None:  # any old row may count, of entities with a moment in the span
        return f"{entity} IN (SELECT {named} FROM {rows} WHERE {near}){of_touched}"
    return f"r.{near}{of_touched}"


def _points(features: Sequence[Feature], events: str, touched: str, span: _Span) -> str:
    inside = f"m.{TIME} > {span.low}" if span.low is not None else "true"
    if touched:
        same = " AND ".join(f"t.{k} = m.{k}" for k in keys(features))
        inside += f" OR EXISTS (FROM {touched} t WHERE {same} AND m.{TIME} BETWEEN t.low AND t.high)"
    return f"SELECT {_columns(features)} FROM {moments_sql(features, events)} m WHERE m.{TIME} <= {span.high} AND ({inside})"


def _held(features: Sequence[Feature], target: Table, span: _Span, where: str | None = None) -> str:
    """Keys and moments of the rows that the table has in a span; `where` on its time leaves files out."""
    first = features[0]
    at = f"epoch_us({quote(first.timeseries_column)})" if first.timeseries_column else "0"
    named = [f"{quote(e)} AS {k}" for e, k in zip(first.entity, keys(features), strict=True)]
    inside = f" WHERE {at} > {span.low}" if span.low is not None else ""
    return f"(SELECT {', '.join(named)}, {at} AS {TIME} FROM {target.scan(where=where)}{inside})"


def _gone(features: Sequence[Feature], stale: str, points: str, low: int | None, target: Table, span: _Span) -> str:
    """Rows that the table has and no row of the source gives any more."""
    columns = _columns(features)
    where = within(features[0], [(low, span.high)])
    held = _held(features, target, _Span(None, span.high), where)
    return (
        f"(SELECT {columns} FROM {stale} WHERE {TIME} <= {span.high} INTERSECT SELECT {columns} FROM {held}) "
        f"EXCEPT SELECT {columns} FROM {points}"
    )


def _earliest(engine: Engine, touched: str) -> int | None:
    found = engine.connection.execute(f"SELECT min(low) FROM {touched}").fetchall() if touched else []
    return found[0][0] if found else None


def _flagged(made: pa.Table, gone: pa.Table, schema: pa.Schema) -> pa.Table:
    """What to set and what to remove, in the table's types."""
    parts = []
    for rows, value in ((made, False), (gone, True)):
        kept = pa.schema([pa.field(n, schema.field(n).type) for n in rows.column_names])
        parts.append(rows.cast(kept).append_column(_DROPPED, pa.array([value] * rows.num_rows, pa.bool_())))
    return pa.concat_tables(parts, promote_options="default")


def _named(features: Sequence[Feature], inner: str) -> str:
    """Keys and moments under the table's own names."""
    first = features[0]
    renamed = [f"{k} AS {quote(e)}" for e, k in zip(first.entity, keys(features), strict=True)]
    if first.timeseries_column:
        renamed.append(f"make_timestamptz({TIME}) AS {quote(first.timeseries_column)}")
    return f"SELECT {', '.join(renamed)}, * EXCLUDE ({_columns(features)}) FROM ({inner})"


def _carried(features: Sequence[Feature]) -> list[str]:
    return [*keys(features), TIME]


def _columns(features: Sequence[Feature]) -> str:
    return ", ".join(_carried(features))


def _source(features: Sequence[Feature]) -> DeltaTableSource:
    source = features[0].source
    if not isinstance(source, DeltaTableSource):
        raise InvalidInput(f"{features[0].name}: only features of a DeltaTableSource are materialized")
    return source


def _number(text: str) -> int:
    """A number for a text, as wide as Delta's transactions keep."""
    return int.from_bytes(sha256(text.encode()).digest()[:7])


def _micros(instant: datetime) -> int:
    return ((instant if instant.tzinfo else instant.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _instant(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)


@contextmanager
def _scratch(engine: Engine, how_many: int) -> Iterator[list[str]]:
    """Names of temporary tables, which are dropped in the end."""
    names = [quote(f"__scratch_{next(_numbers)}") for _ in range(how_many)]
    try:
        yield names
    finally:
        for name in names:
            engine.connection.execute(f"DROP TABLE IF EXISTS {name}")
