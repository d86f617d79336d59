"""The skew report: what is online, and what was served, beside what the lakehouse says."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyarrow as pa

from boathouse import clock
from boathouse.catalog import Table, TableInfo, check_expression
from boathouse.context import Context
from boathouse.errors import Conflict, InvalidInput, NotFound, NotPermitted, Unavailable
from boathouse.feature_engineering.publishing import newest_sql, published, store_for
from boathouse.features import (
    GIVEN,
    TIME,
    FeatureSkew,
    FeatureSpec,
    InputColumn,
    OnlineFunctions,
    OnlineStore,
    OnlineTable,
    Reason,
    Served,
    ServedQuestion,
    SkewReport,
    as_arguments,
    listed,
    online_skew_sql,
    quote,
    row_key,
    skews,
    stored_type,
)
from boathouse.lake import parsed
from boathouse.scoring import load
from boathouse.serving import parse_request
from boathouse.training import commits_of, function_facts

_BATCH = 20_000
_TRIES = 3


class _PublishedMeanwhile(Exception):
    """The rows online are of another version than those before."""


def online_skew(context: Context, name: str, sample: int | None) -> SkewReport:
    """A published table against a point-in-time read of now: every key, or a sample of them.

    Rows past their time to live are served by nobody, and none is missed. `name` is the table's, or one that it was published
    under. Raises NotFound for a table that is not published, Conflict for one that is published faster than it is measured.
    """
    for _ in range(_TRIES):
        made = f"skew_{uuid4().hex}"
        try:
            return _measured(context, name, sample, made)
        except _PublishedMeanwhile:
            continue
        finally:
            for part in ("now", "online"):
                context.engine.connection.execute(f"DROP TABLE IF EXISTS {made}_{part}")
    raise Conflict(f"{name} was published anew each of the {_TRIES} times that it was measured: measure a smaller sample "
                   "(--sample), or stop publishing meanwhile")  # fmt: skip


def _measured(context: Context, name: str, sample: int | None, made: str) -> SkewReport:
    """The report, by way of tables whose names begin with `made`. Raises `_PublishedMeanwhile`."""
    as_published = next((t for t in published(context) if t["table"] == context.complete(name)), None)
    table, engine = context.table(as_published["source"] if as_published else name), context.engine
    info = table.info
    store = store_for(context, info.name, write=False, store=as_published["store"] if as_published else None)
    described = store.describe(name)
    some = f" ORDER BY hash({listed(info.keys)}) LIMIT {sample}" if sample is not None else ""
    present = " AND ".join(f"{quote(key)} IS NOT NULL" for key in info.keys)
    if described.condition and _is_rowwise(described.condition):
        present = f"({described.condition}\n) AND {present}"
    before, expired = f"({newest_sql(table.scan(described.version), info, described.as_of)})", _expired(described)
    newest = newest_sql(table.scan(), info)
    engine.connection.execute(
        f"CREATE TABLE {made}_now AS SELECT * FROM ({newest}) WHERE {present} AND NOT {expired}{some}"
    )
    types = engine.relation(f"SELECT * FROM {made}_now").types
    features = [c for c in described.columns if c in types and c not in info.keys]
    kept = engine.connection.sql(f"SELECT {listed(features)} FROM {made}_now LIMIT 0").to_arrow_table().schema if features else []
    stored = dict(zip(described.columns, described.types, strict=True))
    columns = {field.name: types[field.name] for field in kept if stored_type(field.type) == stored[field.name]}
    _fetch_online(context, store, described, f"{made}_now", f"{made}_online", list(columns))
    query = online_skew_sql(columns, info.keys, info.event_time, f"{made}_now", before, f"{made}_online")
    ((found, missing, *counts),) = engine.connection.sql(query).fetchall()
    ((unserved,),) = engine.connection.sql(f"SELECT count(*) FROM {before} WHERE {present} AND {expired}").fetchall()
    compared = skews(dict.fromkeys(columns, info.name), found, counts)
    others = [FeatureSkew(c, info.name, found, {str(Reason.STALE_PUBLISH): found}) for c in features if c not in columns]
    gone = 0 if sample is not None else max(0, described.rows - found - unserved)
    return SkewReport(info.name, found + missing, (*compared, *others), gone, missing, described.version,
                      context.reads().get(info.name), _unpublished(types, described.columns, info))  # fmt: skip


def _expired(described: OnlineTable) -> str:
    """SQL: whether a row is past its time to live."""
    if described.ttl is None:
        return "false"
    limit = clock.now() - timedelta(seconds=described.ttl)
    if described.time is None:
        return str(described.published_at < limit).lower()
    return f"({quote(described.time)} < TIMESTAMPTZ '{limit.isoformat()}')"


def _is_rowwise(condition: str) -> bool:
    """Whether a condition, which somebody else may have given, reads its own row alone; another is not asked here."""
    try:
        check_expression(*parsed(condition))
    except InvalidInput:
        return False
    return True


def _unpublished(types: dict[str, str], published: Sequence[str], info: TableInfo) -> tuple[str, ...]:
    lacking = [name for name in types if name not in published and name not in info.keys]
    gone = [name for name in published if name not in types]
    told = {"not published yet": lacking, "served, and no longer in the table": gone}
    return tuple(f"{what}: {', '.join(names)}" for what, names in told.items() if names)


def _fetch_online(context: Context, store: OnlineStore, described: OnlineTable, keys_of: str, into: str,
                  columns: list[str]) -> None:  # fmt: skip
    """A table of the values online for the keys of another."""
    connection = context.engine.connection
    shape = f"SELECT {listed([*described.keys, *columns])}, false AS __found FROM {keys_of} LIMIT 0"
    connection.execute(f"CREATE TABLE {into} AS {shape}")
    schema = connection.sql(f"SELECT * FROM {into}").to_arrow_table().schema
    at = [described.columns.index(name) for name in columns]
    for batch in _batches(connection.cursor(), f"SELECT {listed(described.keys)} FROM {keys_of}"):
        keys = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        now, rows = store.lookup(described.table, keys)
        same = replace(now, as_of=described.as_of, published_at=described.published_at, generation=described.generation)
        if same != described:  # a publication that finds nothing new changes its moment alone
            raise _PublishedMeanwhile
        values = [[None if row is None else row[i] for row in rows] for i in at]
        filled = [*batch.columns, *values, [row is not None for row in rows]]
        arrays = [_array(column, field.type) for column, field in zip(filled, schema, strict=True)]
        name = context.engine.register(pa.table(arrays, schema=schema))
        connection.execute(f"INSERT INTO {into} SELECT * FROM {name}")


def _array(column: pa.Array | list[Any], kind: pa.DataType) -> pa.Array:
    values = column.to_pylist() if isinstance(column, pa.Array) else column
    if pa.types.is_map(kind):  # the store gives a map's pairs as lists, and Arrow takes tuples
        values = [None if value is None else list(map(tuple, value)) for value in values]
    return pa.array(values, kind)


def _batches(cursor: Any, query: str) -> Iterator[pa.RecordBatch]:
    yield from cursor.sql(query).to_arrow_reader(_BATCH)


def served_skew(context: Context, model: str, requests: int) -> SkewReport:
    """The newest `requests` that a model answered online, beside point-in-time reads at their times.

    Raises NotFound where nothing was logged, InvalidInput for a model that looks nothing up.
    """
    name = context.complete(model)
    if not context.table_exists(f"{name}_payload"):
        context.call("GET", f"/api/v1/models/{name}")  # the caller hears of a model that there is not
        raise NotFound(f"no endpoint has answered from {name} yet: its table {name}_payload is made with the first request")
    table = context.table(f"{name}_payload")
    unseen = "AND mode IS DISTINCT FROM 'shadow'" if any(c.name == "mode" for c in table.info.columns) else ""
    newest = f"SELECT * FROM {table.scan()} WHERE status_code = 200 {unseen} ORDER BY request_time DESC"
    logged = context.engine.relation(f"{newest} LIMIT {requests:d}").to_arrow().to_pylist()
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for request in logged:
        key = (request["model_version"], request["feature_versions"] or "{}")
        groups.setdefault(key, []).extend(_served_rows(request))
    found: list[FeatureSkew] = []
    notes: dict[str, None] = {}
    for (version, versions), rows in groups.items():
        spec = load(context, f"models:/{name}/{version}").spec
        if spec is None:
            raise InvalidInput(f"{name} version {version} looks nothing up, so nothing can be skewed")
        found += _served(context, spec, rows, json.loads(versions), notes)
    return SkewReport(name, sum(map(len, groups.values())), _summed(found), notes=tuple(notes))


def _served_rows(request: dict[str, Any]) -> list[dict[str, Any]]:
    given = _given(request["request"])
    return [{**row, TIME: request["request_time"], GIVEN: given} for row in json.loads(request["features"] or "[]")]


def _given(body: str) -> list[str]:
    """The columns that a request brought, whatever its form."""
    for kind in ("application/json", "text/csv"):
        try:
            return [str(column) for column in parse_request(kind, body.encode(), ()).rows.columns]
        except InvalidInput:
            continue
    return []


def _served(context: Context, spec: FeatureSpec, rows: list[dict[str, Any]], versions: dict[str, int],
            notes: dict[str, None]) -> list[FeatureSkew]:  # fmt: skip
    relations, online, commits = {}, {}, {}
    kinds: dict[str, str] = {}
    for name, table in spec.tables.items():
        opened = context.table(name)
        relations[name] = opened.scan()
        online[name] = _as_published(context, opened, name, versions.get(name), notes)
        try:
            keys = [*row_key(table), *([table.known_time] if table.known_time else [])]
            commits[name] = commits_of(context, name, keys)
        except (InvalidInput, NotPermitted) as error:
            notes[f"{name}: late data cannot be told from a stale publish: {error}"] = None
        types = context.engine.relation(f"SELECT * FROM {relations[name]}").types
        for lookup in (found for found in spec.lookups() if found.table.name == name):
            kinds |= {on: types[key] for on, key in zip(lookup.on, table.keys, strict=True)}
            kinds |= {output: types[feature] for feature, output in lookup.columns if feature in types}
    asked = ServedQuestion(spec, relations, online, commits, kinds)
    # a key of one request may be no column of the next, so every row is given all columns
    columns = {name: [row.get(name) for row in rows] for name in (*kinds, TIME, GIVEN)}
    ((count, *counts),) = context.engine.connection.sql(asked.sql(context.engine.register(pa.table(columns)))).fetchall()
    tables = {output: lookup.table.name for lookup in spec.lookups() for _, output in lookup.columns}
    return [*skews(tables, count, counts), *_functions(context, spec, rows, notes)]


def _as_published(context: Context, table: Table, name: str, version: int | None, notes: dict[str, None]) -> Served:
    """A table as its version was online; None for a version where the requests gave all of its features."""
    rows = first = table.scan(version)
    committed = next((c["timestamp"] for c in table.history() if c["version"] == version and c.get("timestamp")), None)
    times = [t for t in (table.info.event_time, table.info.known_time) if t]
    if committed is not None and times:
        moment = f"make_timestamptz({1000 * committed})"
        first = f"(SELECT * FROM {rows} WHERE {' AND '.join(f'{quote(t)} <= {moment}' for t in times)})"
    try:
        online = store_for(context, table.info.name, write=False).describe(name)
    except NotFound:  # it was taken offline since
        return Served(rows, first)
    except (Unavailable, Conflict) as error:
        notes[f"{name}: what its publication leaves out is not known: {error}"] = None
        return Served(rows, first)
    return Served(rows, first, online.condition if online.condition and _is_rowwise(online.condition) else None, online.ttl)


def _functions(context: Context, spec: FeatureSpec, rows: list[dict[str, Any]], notes: dict[str, None]) -> Iterator[FeatureSkew]:
    """On-demand features computed again from the served inputs, by today's code and by the code that the model carries."""
    for column in spec.functions:
        try:
            today = replace(spec, function_facts={column.udf_name: function_facts(context, column.udf_name)})
        except NotFound:
            notes[f"{column.name}: the function {column.udf_name} was dropped, so that only the packaged code is compared"] = None
            today = spec
        inputs = {name: [row.get(name) for row in rows] for name in column.input_bindings.values()}
        now, packaged = (_computed(each, column, inputs, len(rows)) for each in (today, spec))
        answered = _typed(column, [row.get(column.name) for row in rows])
        counts = dict.fromkeys(Reason, 0)
        for row, served, fresh, carried in zip(rows, answered, now, packaged, strict=True):
            if not _near(served, fresh):
                given = column.name in row[GIVEN]
                changed = Reason.CHANGED_FUNCTION if _near(served, carried) else Reason.UNEXPLAINED
                counts[Reason.OVERRIDE if given else changed] += 1
        yield FeatureSkew(column.name, column.udf_name, len(rows), {str(reason): n for reason, n in counts.items()})


def _computed(spec: FeatureSpec, column: InputColumn, inputs: Mapping[str, list[Any]], count: int) -> list[Any]:
    """A function's values; NotImplemented, which is like none, for a row that it fails on."""
    functions = OnlineFunctions(spec)

    def values(rows: slice) -> list[Any]:
        given = {name: each[rows] for name, each in inputs.items()}
        return list(functions.compute(column, given, len(range(count)[rows])).to_pylist(maps_as_pydicts="lossy"))

    with suppress(InvalidInput):
        return values(slice(count))
    found: list[Any] = [NotImplemented] * count
    for row in range(count):
        with suppress(InvalidInput):
            [found[row]] = values(slice(row, row + 1))
    return found


def _typed(column: InputColumn, served: list[Any]) -> list[Any]:
    """Values of the log, whose JSON has no times and decimals, in the type that the function gives."""
    try:
        return as_arguments(column.udf_name, column.name, served, column.data_type)
    except InvalidInput:  # a request gave another
        return served


def _near(one: Any, other: Any) -> bool:
    if isinstance(one, float | int) and isinstance(other, float | int):
        return abs(one - other) <= 1e-9 * max(1.0, abs(other))
    return bool(one == other)


def _summed(found: Sequence[FeatureSkew]) -> tuple[FeatureSkew, ...]:
    """One entry a feature, over all versions that were served."""
    whole: dict[tuple[str, str], FeatureSkew] = {}
    for skew in found:
        before = whole.get((skew.feature, skew.table), FeatureSkew(skew.feature, skew.table, 0))
        mismatches = {r: n + before.mismatches.get(r, 0) for r, n in skew.mismatches.items()}
        whole[skew.feature, skew.table] = FeatureSkew(skew.feature, skew.table, before.values + skew.values, mismatches)
    return tuple(whole.values())
