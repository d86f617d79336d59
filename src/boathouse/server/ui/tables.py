"""Tables: what there is, and one table with its columns, rows, history, lineage and grants."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.catalog import Grant, SecurableKind, TableInfo
from boathouse.errors import BoathouseError
from boathouse.identity import Identity
from boathouse.lake import DeltaFolder
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import lineage, sight
from boathouse.server.ui.page import page

router = APIRouter()
_SAMPLE_ROWS = 20
_OF_TABLES = ("SELECT", "MODIFY", "BROWSE", "MANAGE", "ALL PRIVILEGES")
_HISTORY = 30


@router.get("/tables")
def tables(
    request: Request, who: Caller, platform: Served, environment: str = "", q: str = ""
) -> HTMLResponse:
    """The tables and volumes the caller may see."""
    wanted = q.strip().lower()
    found = [
        info
        for info in platform.catalog.tables(who)
        if environment in ("", info.name.partition(".")[0])
        and wanted in f"{info.name} {info.description} {' '.join(c.name for c in info.columns)}".lower()
    ]
    volumes = [
        info
        for info in platform.volumes.list(who, environment or None)
        if wanted in f"{info.name} {info.comment}".lower()
    ]
    return page(
        request,
        who,
        "tables.html",
        tables=sorted(found, key=lambda t: sight.rank(t.name)),
        volumes=sorted(volumes, key=lambda v: sight.rank(v.name)),
        q=q,
        environment=environment,
        environments=sight.environments(who, platform),
    )


@router.get("/tables/{name}")
def table(name: str, request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """One table."""
    info = sight.table(who, platform, name)
    folder = None if info.view is not None else platform.catalog.folder(info)
    reads = platform.access.allows(who, "SELECT", "table", name)
    manages = platform.access.allows(who, "MANAGE", "table", name)
    values: dict[str, Any] = {
        "sample": sample(who, platform, name) if reads else None,
        "history": _history(platform, folder) if folder and reads else None,
        "version": folder.version() if folder else None,
        "family": lineage.family(who, platform, name),
        "grants": grants_on(who, platform, name),
        "manages": manages,
        "table": info,
        "pins": platform.catalog.pins.of(name),
        "monitors": _monitors(who, platform, info),
        "checks": platform.catalog.quarantine.results(name) if info.expectations else [],
    }
    return page(request, who, "table.html", href=lineage.href, **values)


def sample(
    who: Identity, platform: Platform, name: str, where: str = "true", rows: int = _SAMPLE_ROWS
) -> Mapping[str, Any]:
    """Some rows, under the table's masks and row filter; `fault` says why there are none."""
    quoted = ".".join(f'"{level}"' for level in name.split("."))
    try:
        query = f"SELECT * FROM {quoted} WHERE {where} LIMIT {rows}"
        with platform.sql.run(who, query, name.partition(".")[0]) as result:
            found = result.to_arrow()
    except BoathouseError as error:
        return {"columns": [], "rows": [], "fault": str(error)}
    return {"columns": found.column_names, "rows": [list(r.values()) for r in found.to_pylist()], "fault": ""}


def grants_on(who: Identity, platform: Platform, name: str) -> list[Grant]:
    """Who may do what with a table, by grants on it, its schema and its catalog that the caller may see."""
    levels = name.split(".")
    places: tuple[tuple[SecurableKind, str], ...] = (
        ("catalog", levels[0]), ("schema", ".".join(levels[:2])), ("table", name),
    )  # fmt: skip
    found = [g for kind, place in places for g in platform.access.grants(kind, place)]
    return [g for g in visible_grants(who, platform, found) if g.privilege in _OF_TABLES]


def visible_grants(who: Identity, platform: Platform, found: Sequence[Grant]) -> list[Grant]:
    """The caller's own grants, and all on what the caller manages."""
    manages = {
        (kind, name): platform.access.allows(who, "MANAGE", kind, name)
        for kind, name in {(g.kind, g.securable) for g in found}
    }
    return [g for g in found if g.principal in who.names or manages[g.kind, g.securable]]


def _history(platform: Platform, folder: DeltaFolder) -> list[dict[str, Any]]:
    written = {e.details.get("version"): e for e in platform.audit.entries(500, folder.name)}
    return [_step(commit, written.get(commit.get("version"))) for commit in folder.history(_HISTORY)]


def _step(commit: Mapping[str, Any], entry: Any) -> dict[str, Any]:
    metrics = commit.get("operationMetrics") or {}
    counts = {
        word: int(metrics[key])
        for key, word in (
            ("num_added_rows", "added"), ("num_target_rows_inserted", "inserted"),
            ("num_target_rows_updated", "updated"), ("num_deleted_rows", "deleted"),
            ("num_target_rows_deleted", "deleted"),
        )
        if metrics.get(key)
    }  # fmt: skip
    return {
        "version": commit.get("version"),
        "at": datetime.fromtimestamp(commit["timestamp"] / 1000, UTC) if commit.get("timestamp") else None,
        "operation": commit.get("operation", ""),
        "counts": counts,
        "by": entry.principal if entry else "",
        "run": entry.details.get("run") if entry else None,
    }


def _monitors(who: Identity, platform: Platform, info: TableInfo) -> list[str]:
    environment = info.name.partition(".")[0]
    found = platform.deployments.resources("quality_monitor", environment)
    named = [(m.name, platform.monitors.get(environment, m.name)["monitor"].get("table_name")) for m in found]
    return [f"{environment}/{name}" for name, watched in named if info.name == f"{environment}.{watched}"]
