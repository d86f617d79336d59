"""Publishing: the online store says of every key what a point-in-time read of now would say."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

from boathouse import clock
from boathouse.catalog import Table, TableInfo
from boathouse.context import Context
from boathouse.errors import Conflict, InvalidInput, NotFound, Unavailable
from boathouse.feature_engineering.streaming import Query, pause_of
from boathouse.features import DEFAULT_STORE, OnlineStore, OnlineTable, Publication, listed, open_online_store, quote
from boathouse.names import nearest

SNAPSHOT, TRIGGERED, CONTINUOUS = MODES = ("SNAPSHOT", "TRIGGERED", "CONTINUOUS")
_BATCH = 50_000


@dataclass(frozen=True)
class PublishedTable:
    """What a publish left in the online store: rows, the source's version, and how it was done."""

    online_table_name: str
    rows: int
    version: int
    mode: str = SNAPSHOT
    pipeline_id: str | None = None


@dataclass(frozen=True)
class Wish:
    """What shall be online: all columns or some `features`, all rows or those of `condition`."""

    source: str
    name: str
    features: tuple[str, ...] = ()
    condition: str | None = None
    ttl: timedelta | None = None
    store: str = DEFAULT_STORE


def newest_sql(scan: str, info: TableInfo, at: datetime | None = None) -> str:
    """Each key's newest row that had happened, and was known, at a moment (now)."""
    times = [t for t in (info.event_time, info.known_time) if t]
    if not times:
        return f"SELECT * FROM {scan}"
    order = ", ".join(f"{quote(t)} DESC" for t in times)
    past = " AND ".join(f"{quote(t)} <= {_literal(at or clock.now())}" for t in times)
    return (f"SELECT * FROM {scan} WHERE {past} "
            f"QUALIFY row_number() OVER (PARTITION BY {listed(info.keys)} ORDER BY {order}) = 1")  # fmt: skip


def store_for(context: Context, table: str, write: bool, store: str | None = None) -> OnlineStore:
    """A named store, or the one that holds the table, for whoever may publish (write) or read the table.

    Raises NotPermitted, NotFound, and Conflict for an embedded one of another machine.
    """
    location = context.online_location(table, write, store)
    if _elsewhere(context, location):
        raise Conflict(f"the online store of {table} is embedded in the server, on another machine: do this in a job")
    return open_online_store(location, context.environment)


def _elsewhere(context: Context, location: str) -> bool:
    """Whether a store is embedded, and not on this machine."""
    return "://" not in location and not context.same_machine


def publish(context: Context, wish: Wish, mode: str) -> PublishedTable:
    """Bring one table online: the changed keys alone where that suffices (TRIGGERED), else all of it.

    Raises InvalidInput, NotFound, NotPermitted, DuplicateKey, Unavailable, Conflict.
    """
    table, location = context.table_to_publish(wish.source, wish.store)
    info = table.info
    if not info.keys:
        raise InvalidInput(f"{info.name} has no primary keys besides its event time, so nothing can look it up")
    _check_columns(context, table, wish)
    if _elsewhere(context, location):
        return _published_there(context, info.name, wish, mode)
    store = open_online_store(location, context.environment)
    asked = Publication(
        table=context.complete(wish.name), source=info.name, source_id=f"{info.location} {info.created_at}",
        keys=tuple(info.keys), version=table.version, time=info.event_time, ttl=wish.ttl.total_seconds() if wish.ttl else None,
        mode=mode, store=wish.store, condition=wish.condition, as_of=clock.now(),
    )  # fmt: skip
    before = store.find(asked.table) if mode != SNAPSHOT else None
    done = _update(context, table, store, asked, wish, before) if before else None
    if done is None:
        rows = context.engine.relation(_rows(table, asked, wish)).duckdb().to_arrow_reader(_BATCH)
        done = store.publish(asked, rows)
    if not table.is_there():  # whoever dropped it has looked into the store before
        with suppress(NotFound):
            store.withdraw(done.table)
        raise NotFound(f"{info.name} was dropped while it was published")
    return PublishedTable(done.table, done.rows, done.version, SNAPSHOT if before is None else mode)


def _check_columns(context: Context, table: Table, wish: Wish) -> None:
    """Raises InvalidInput naming the feature or the condition that the table's rows cannot have."""
    known = [column.name for column in table.info.columns]
    if missing := [name for name in wish.features if name not in known]:
        near = nearest(missing[0], known)
        hint = f"did you mean {near!r}?" if near else f"it has {', '.join(known)}"
        raise InvalidInput(f"{table.name} has no feature {missing[0]!r}; {hint}")
    if wish.condition:
        try:
            context.engine.relation(f"SELECT 1 FROM {table.scan()} WHERE ({wish.condition}\n) LIMIT 0")
        except InvalidInput as error:
            raise InvalidInput(f"the filter_condition of {table.name} cannot be asked: {error}") from error


def _published_there(context: Context, table: str, wish: Wish, mode: str) -> PublishedTable:
    """Let the server publish, whose store it is."""
    if mode == CONTINUOUS:
        raise Conflict(f"{table} cannot be followed from another machine into the server's embedded online store: let a job "
                       f"follow it, or publish with TRIGGERED")  # fmt: skip
    body = {
        "name": context.complete(wish.name), "features": list(wish.features), "condition": wish.condition,
        "ttl_seconds": wish.ttl.total_seconds() if wish.ttl else None, "store": wish.store, "mode": mode,
    }  # fmt: skip
    return PublishedTable(**context.call("POST", f"/api/v1/online-tables/{table}/publish", body))


def _rows(table: Table, asked: Publication, wish: Wish, keys: str = "") -> str:
    info, scan = table.info, table.scan(asked.version)
    chosen = list(dict.fromkeys((*info.keys, *([info.event_time] if info.event_time else []), *wish.features)))
    columns = listed(chosen) if wish.features else "*"
    if keys:
        scan = f"(SELECT * FROM {scan} SEMI JOIN {keys} USING ({listed(info.keys)}))"
    condition = f" WHERE ({wish.condition}\n)" if wish.condition else ""
    return f"SELECT {columns} FROM ({newest_sql(scan, info, asked.as_of)}){condition}"


def _update(context: Context, table: Table, store: OnlineStore, asked: Publication, wish: Wish,
            before: OnlineTable) -> OnlineTable | None:  # fmt: skip
    """The keys that changed, or whose time came, since the publication before; None where all has to be published."""
    engine = context.engine
    query = _rows(table, asked, wish)
    columns = [c for c in engine.relation(query).columns if c not in asked.keys]
    same = all(getattr(asked, part) == getattr(before, part) for part in ("source", "source_id", "keys", "condition"))
    if not same or tuple(columns) != before.columns or before.version > asked.version or before.as_of is None:
        return None
    commits = table.history(asked.version - before.version) if asked.version > before.version else []
    if any("RESTORE" in str(commit.get("operation")) for commit in commits):
        return None
    made = f"touched_{clock.now():%Y%m%d%H%M%S%f}"
    try:
        engine.connection.execute(f"CREATE TABLE {made} AS {_touched(context, table, asked, before)}")
        # cursors, since a store that refuses leaves rows unread, and a connection takes no other query before they are
        touched = engine.connection.cursor().sql(f"SELECT * FROM {made}").to_arrow_reader(_BATCH)
        rows = engine.connection.cursor().sql(_rows(table, asked, wish, made)).to_arrow_reader(_BATCH)
        return store.update(asked, before.version, touched, rows)
    except (Conflict, InvalidInput):  # another shape, or changes that are kept no more
        return None
    finally:
        engine.connection.execute(f"DROP TABLE IF EXISTS {made}")


def _touched(context: Context, table: Table, asked: Publication, before: OnlineTable) -> str:
    """Keys of the change feed, and of rows whose time has come meanwhile."""
    info, keys = table.info, listed(asked.keys)
    parts = []
    if asked.version > before.version:
        changes = table.changes(before.version, asked.version).select(*(quote(key) for key in asked.keys))
        parts.append(f"SELECT {keys} FROM {context.engine.register(changes.to_arrow())}")
    assert before.as_of is not None
    assert asked.as_of is not None
    for time in (t for t in (info.event_time, info.known_time) if t):
        due = f"{quote(time)} > {_literal(before.as_of)} AND {quote(time)} <= {_literal(asked.as_of)}"
        parts.append(f"SELECT {keys} FROM {table.scan(asked.version)} WHERE {due}")
    nothing = f"SELECT {keys} FROM {table.scan(asked.version)} LIMIT 0"
    return "SELECT DISTINCT * FROM (" + " UNION ALL ".join(parts or [nothing]) + ")"


class PublishingQuery(Query):
    """Follows a table into the online store. Its position stands in the store, so any process can go on with it.

    It tells what a `PublishedTable` tells: `online_table_name` and `pipeline_id`.
    """

    def __init__(self, context: Context, wish: Wish, pause: float | None) -> None:
        self._wish = wish
        self.online_table_name = context.complete(wish.name)
        self.pipeline_id: str | None = None
        super().__init__(context, wish.source, f"online {wish.name}", pause)

    def _batch(self) -> None:
        try:
            done = publish(self._context, self._wish, CONTINUOUS)
        except (Conflict, Unavailable) as error:  # the store may come back; rows online stay as they are
            if self._pause is None:
                raise
            self.lastProgress = {"error": str(error)}
            return
        self.lastProgress = {"source_version": done.version, "rows": done.rows}


def follow(context: Context, wish: Wish, trigger: Mapping[str, Any] | None) -> PublishingQuery:
    """Publish once, so that the caller hears what is wrong, then after every change. Raises what `publish` does."""
    pause = pause_of(trigger or {"processingTime": "5 seconds"})
    publish(context, wish, CONTINUOUS)
    return PublishingQuery(context, wish, pause)


def wish_of(source: str, name: str | None, features: Sequence[str] | str | None, condition: str | None,
            ttl: timedelta | None, store: Any) -> Wish:  # fmt: skip
    """What the arguments of `publish_table` ask for. Raises InvalidInput."""
    chosen = (features,) if isinstance(features, str) else tuple(features or ())
    if ttl is not None and ttl <= timedelta(0):
        raise InvalidInput(f"the ttl {ttl} is no time to live: give a positive timedelta, or none")
    return Wish(source, name or source, chosen, condition, ttl, store_name(store))


def withdraw(context: Context, table: str, store: Any = None, force: bool = False) -> None:
    """End serving a table in a store, or in the only one that has it.

    Raises NotFound, NotPermitted, InvalidInput, and Conflict while an endpoint answers from it, unless forced.
    """
    asked = f"&store={quote_plus(store_name(store))}" if store is not None else ""
    context.call("DELETE", f"/api/v1/online-tables/{context.complete(table)}?force={str(force).lower()}{asked}")


def store_name(store: Any) -> str:
    """What an `online_store` argument names: a store, its name, or nothing for the default one. Raises InvalidInput."""
    name = getattr(store, "name", store) or DEFAULT_STORE
    if not isinstance(name, str):
        raise InvalidInput(f"{store!r} is no online store: give its name, or what get_online_store gives")
    return name


def published(context: Context) -> list[dict[str, Any]]:
    """Which version of which table is online since when, of the tables that the caller may read."""
    found: list[dict[str, Any]] = context.call("GET", f"/api/v1/online-tables?environment={context.environment}")
    return found


def one_published(context: Context, table: str) -> dict[str, Any]:
    """One of `published`. Raises NotFound."""
    name = context.complete(table)
    for found in published(context):
        if name in (found["table"], found["source"]):
            return found
    raise NotFound(f"{name} is not published in the online store: publish it first")


def _literal(moment: datetime) -> str:
    return f"TIMESTAMPTZ '{moment.isoformat()}'"
