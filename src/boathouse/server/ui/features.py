"""Features: the feature tables there are, and one of them with keys, freshness, sources and users."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.compute as pc
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse import clock
from boathouse.catalog import TableInfo
from boathouse.errors import BoathouseError
from boathouse.features import KEPT
from boathouse.identity import Identity
from boathouse.lake import batches
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import lineage, sight
from boathouse.server.ui.page import page
from boathouse.server.ui.tables import grants_on

router = APIRouter()
_PAGES = {"model": "/models/", "endpoint": "/endpoints/"}


@router.get("/features")
def features(request: Request, who: Caller, platform: Served, environment: str = "", q: str = "", tag: str = "",
             owner: str = "") -> HTMLResponse:  # fmt: skip
    """The feature tables the caller may see that hold every word, with a tag and of an owner."""
    from boathouse.feature_engineering import discovery

    key, _, value = tag.strip().partition("=")
    seen = [t for t in platform.catalog.tables(who) if t.is_feature_table]
    found = [
        t for t in discovery.matching(seen, q, {}, owner or None)
        if environment in ("", t.name.partition(".")[0]) and (not key or (key in t.tags and value in ("", t.tags[key])))
    ]  # fmt: skip
    return page(
        request, who, "features.html", q=q, tag=tag, owner=owner, environment=environment,
        tables=[(t, freshness(who, platform, t)) for t in sorted(found, key=lambda t: sight.rank(t.name))],
        owners=sorted({t.owner for t in seen}), tags=sorted({key for t in seen for key in t.own_tags}),
        environments=sight.environments(who, platform),
    )  # fmt: skip


@router.get("/features/{name}")
def feature_table(name: str, request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """One feature table."""
    info = sight.table(who, platform, name)
    drawn = lineage.family(who, platform, name)
    return page(
        request, who, "feature.html", table=info, fresh=freshness(who, platform, info), family=drawn, href=lineage.href,
        features=[c for c in info.columns if c.name not in (*info.primary_keys, info.event_time, info.known_time)],
        declared=_declared(info), users=_users(who, platform, info), pages=_PAGES,
        sources=sorted({e.source for e in drawn.graph.edges if e.target == name and ":" not in e.source}),
        online=_online(who, platform, info), grants=grants_on(who, platform, name),
        checks=platform.catalog.quarantine.results(name) if info.expectations else [],
    )  # fmt: skip


def freshness(who: Identity, platform: Platform, info: TableInfo) -> dict[str, Any]:
    """Last commit, newest event by the statistics of its files, and `ok` or `late`; nothing for who may not read it."""
    if info.view is not None or not platform.access.allows(who, "SELECT", "table", info.name):
        return {"committed": None, "event": None, "lag": None, "state": ""}
    try:
        folder = platform.catalog.folder(info)
        last = folder.history(1)
        event = None if info.event_time in (None, *info.masks) or info.row_filter else _newest(folder, str(info.event_time))
    except BoathouseError:
        return {"committed": None, "event": None, "lag": None, "state": "unreachable"}
    lag = None if event is None else clock.now() - event
    committed = datetime.fromtimestamp(last[0]["timestamp"] / 1000, UTC) if last and last[0].get("timestamp") else None
    late = bool(info.freshness and lag and lag > timedelta(seconds=info.freshness))
    return {
        "committed": committed, "event": event, "lag": lag,
        "state": "" if info.freshness is None or lag is None else "late" if late else "ok",
    }


def _newest(folder: Any, column: str) -> datetime | None:
    files = batches(folder.held().get_add_actions(flatten=True)).read_all()
    if f"max.{column}" not in files.column_names or not files.num_rows:
        return None
    newest = pc.max(files.column(f"max.{column}")).as_py()
    return clock.parse_instant(newest) if isinstance(newest, datetime) else None


def _declared(info: TableInfo) -> dict[str, str]:
    """What declared features compute, by name."""
    from boathouse.feature_engineering import DeltaTableSource, features_in

    kept = features_in(info) if KEPT in info.tags else []
    return {f.name: f"{f.told} over {f.source.full_name}" for f in kept if isinstance(f.source, DeltaTableSource)}


def _users(who: Identity, platform: Platform, info: TableInfo) -> Collection[Any]:
    used = platform.catalog.protection.users("table", info.name, ())
    return sorted(user for user in used if platform.access.sees(who, user.kind, user.name))


def _online(who: Identity, platform: Platform, info: TableInfo) -> list[Any]:
    if not platform.access.allows(who, "SELECT", "table", info.name):
        return []
    kept = platform.online_stores.tables(info.name.partition(".")[0])
    return [table for _, table in kept if info.name in (table.table, table.source)]
