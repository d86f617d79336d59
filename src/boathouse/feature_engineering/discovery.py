"""Finding features: which there are, what they are made of, who uses them, and how fresh they are."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from boathouse import clock
from boathouse.catalog import TableInfo
from boathouse.context import Context
from boathouse.errors import BoathouseError, NotFound, NotPermitted
from boathouse.feature_engineering.publishing import published
from boathouse.features import FeatureSpec, quote


def matching(tables: Iterable[TableInfo], text: str, tags: Mapping[str, str], owner: str | None) -> list[TableInfo]:
    """Feature tables that hold every word of `text` in name, columns, comments or description, with these tags and owner."""
    words = text.casefold().split()
    return [
        t for t in tables
        if t.is_feature_table and owner in (None, t.owner) and tags.items() <= t.tags.items()
        and all(word in _said(t) for word in words)
    ]  # fmt: skip


def _said(table: TableInfo) -> str:
    columns = (f"{c.name} {c.comment}" for c in table.columns)
    tags = (f"{key} {value}" for key, value in table.own_tags.items())
    return " ".join([table.name, table.description, *columns, *tags]).casefold()


def located(context: Context, name: str) -> tuple[TableInfo, str | None]:
    """The table, and the column where `TABLE.COLUMN` was meant. Raises NotFound, NotPermitted."""
    try:
        return context.table_info(name), None
    except (NotFound, NotPermitted):
        table, _, column = name.rpartition(".")
        if "." not in table:
            raise
        info = context.table_info(table)
    if column not in (c.name for c in info.columns):
        raise NotFound(f"{info.name} has no column {column!r}; it has {', '.join(c.name for c in info.columns)}")
    return info, column


def uses(context: Context, info: TableInfo, column: str | None) -> dict[str, Any]:
    """Tables that it is made from, and the functions, specs, models and endpoints that use it, as far as you may see."""
    node = f"{info.name}.{column}" if column else info.name
    up, down = (_edges(context, node, way) for way in ("up", "down"))
    reached = {edge["target"] for edge in down}
    specs = [(s["name"], FeatureSpec.from_yaml(s["spec"])) for s in _specs(context)]
    using = [(name, spec) for name, spec in specs if _looks_up(context, spec, info.name, column)]
    functions = {c.udf_name for _, spec in using for c in spec.functions if _bound(context, spec, c, info.name, column)}
    return {
        "sources": sorted({edge["source"] for edge in up if ":" not in edge["source"]}),
        "functions": sorted(functions),
        "specs": sorted(name for name, _ in using),
        "models": sorted(n.removeprefix("model:") for n in reached if n.startswith("model:")),
        "endpoints": sorted(n.removeprefix("endpoint:") for n in reached if n.startswith("endpoint:")),
    }  # fmt: skip


def freshness(context: Context, info: TableInfo) -> dict[str, Any]:
    """Last commit, newest event, its lag behind now in seconds (`late` beyond what is expected), and the version online."""
    table = context.table(info.name)
    committed = next((c["timestamp"] for c in table.history() if c.get("timestamp") is not None), None)
    newest = None
    if info.event_time:
        at = quote(info.event_time)
        newest = context.engine.relation(f"SELECT epoch_us(max({at})) AS at FROM {table.scan()}").to_dicts()[0]["at"]
    event = None if newest is None else datetime.fromtimestamp(newest / 1_000_000, UTC)
    lag = None if event is None else round((clock.now() - event).total_seconds())
    return {
        "version": table.version,
        "last_commit": None if committed is None else datetime.fromtimestamp(committed / 1000, UTC),
        "newest_event": event,
        "lag_seconds": lag,
        "expected_lag_seconds": info.freshness,
        "state": None if info.freshness is None or lag is None else "late" if lag > info.freshness else "ok",
        "online_version": _online(context, info),
    }


def freshness_told(context: Context, info: TableInfo) -> dict[str, Any]:
    """`freshness`, or nothing of it for a table that you may not read, or that cannot be opened."""
    try:
        return freshness(context, info)
    except BoathouseError as error:
        return {"state": "unknown", "reason": str(error)}


def _online(context: Context, info: TableInfo) -> int | None:
    online = [t for t in published(context) if info.name in (t["table"], t["source"])]
    newest = max(online, key=lambda t: str(t["published_at"]), default=None)
    return int(newest["version"]) if newest else None


def _edges(context: Context, node: str, way: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = context.call("GET", f"/api/v1/lineage/{node}?direction={way}&environment={context.environment}")
    return found


def _specs(context: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = context.call("GET", f"/api/v1/feature-specs?environment={context.environment}")
    return found


def _looks_up(context: Context, spec: FeatureSpec, table: str, column: str | None) -> bool:
    return any(
        context.complete(c.table_name) == table and column in (None, c.feature_name, *spec.tables[c.table_name].keys)
        for c in spec.input_columns if c.table_name
    )  # fmt: skip


def _bound(context: Context, spec: FeatureSpec, function: Any, table: str, column: str | None) -> bool:
    taken = set(function.input_bindings.values())
    return any(
        c.name in taken and context.complete(c.table_name) == table and column in (None, c.feature_name)
        for c in spec.input_columns if c.table_name
    )  # fmt: skip
