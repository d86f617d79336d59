"""Tables, SQL and the audit log."""

import base64
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from boathouse import clock
from boathouse.catalog import Source, TableSpec, declared
from boathouse.lake import Origin, schema_of
from boathouse.server.auth import Caller, Served, check_auditor
from boathouse.server.paging import After, Count, Limit, lead_on
from boathouse.server.routes.lineage import Reading

router = APIRouter(prefix="/api/v1", tags=["catalog"])
ARROW = "application/vnd.apache.arrow.stream"
_MAX_JSON_ROWS = 10_000


class NewTable(BaseModel):
    """A table to make: columns as `{name: type}`, or an Arrow schema in base64."""

    name: str
    columns: dict[str, str] | None = None
    arrow_schema: str | None = None
    primary_keys: list[str] = []
    event_time: str | None = None
    known_time: str | None = None
    partition_by: list[str] = []
    description: str = ""
    tags: dict[str, str] = {}
    column_comments: dict[str, str] = {}
    constraints: dict[str, str] = {}
    properties: dict[str, str] = {}
    exists_ok: bool = False
    location: str | None = None
    expectations: dict[str, Any] = {}
    freshness: float | None = None


class Opening(BaseModel):
    """What a caller wants to do with a table."""

    privileges: list[str] = ["SELECT"]
    columns: dict[str, str] | None = None
    """Name -> type, where the table is about to have other columns."""
    force: bool = False


class Written(BaseModel):
    """A version a caller wrote, and what it was made out of."""

    version: int
    operation: str
    sources: list[Reading] = []
    columns: list[tuple[str, str]] | None = None
    origin: dict[str, Any] | None = None
    replaces: bool = False
    restored: int | None = None


@router.get("/catalogs")
def catalogs(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """Catalogs the caller may use."""
    return [s.__dict__ for s in platform.catalog.listed(who, "catalog")]


@router.post("/catalogs/{name}")
def create_catalog(name: str, who: Caller, platform: Served, comment: str = "") -> dict[str, Any]:
    """A new catalog for data alone, in which no jobs run."""
    return platform.securables.create_catalog(who, name, comment).__dict__


@router.delete("/catalogs/{name}")
def drop_catalog(name: str, who: Caller, platform: Served, cascade: bool = False, force: bool = False) -> None:
    """Remove a catalog that is no environment's."""
    platform.securables.drop_catalog(who, name, cascade, force)


@router.get("/schemas")
def schemas(who: Caller, platform: Served, request: Request, response: Response, environment: str | None = None,
            limit: Limit = None, after: After = None) -> list[dict[str, Any]]:  # fmt: skip
    """Schemas the caller may use."""
    found = platform.catalog.listed(who, "schema", catalog=environment, limit=limit, after=after)
    return [s.__dict__ for s in lead_on(request, response, found, limit, lambda s: s.name)]


@router.post("/schemas/{name}")
def create_schema(name: str, who: Caller, platform: Served, comment: str = "") -> dict[str, Any]:
    """A new schema."""
    return platform.catalog.create_schema(who, name, comment).__dict__


@router.delete("/schemas/{name}")
def drop_schema(name: str, who: Caller, platform: Served, cascade: bool = False, force: bool = False) -> None:
    """Remove a schema."""
    platform.catalog.drop_schema(who, name, cascade, force)


@router.get("/tables")
def tables(who: Caller, platform: Served, request: Request, response: Response, environment: str | None = None,
           schema: str | None = None, limit: Limit = None, after: After = None) -> list[dict[str, Any]]:  # fmt: skip
    """Tables the caller may know of."""
    found = platform.catalog.tables(who, schema, catalog=environment, limit=limit, after=after)
    return [t.to_dict() for t in lead_on(request, response, found, limit, lambda t: t.name)]


@router.post("/tables")
def create_table(body: NewTable, who: Caller, platform: Served) -> dict[str, Any]:
    """A new table, empty; or, with a location and no columns, the one that lies there."""
    if body.arrow_schema:
        schema = pa.ipc.read_schema(pa.py_buffer(base64.b64decode(body.arrow_schema)))
    else:
        schema = None if body.location and not body.columns else schema_of(body.columns or {})
    spec = TableSpec(
        name=body.name, schema=schema, primary_keys=tuple(body.primary_keys), event_time=body.event_time,
        known_time=body.known_time, partition_by=tuple(body.partition_by), description=body.description,
        tags=body.tags, column_comments=body.column_comments, constraints=body.constraints, properties=body.properties,
        location=body.location, expectations=declared(body.expectations, schema, body.name) if body.expectations else {},
        freshness=body.freshness,
    )  # fmt: skip
    return platform.catalog.create_table(who, spec, exists_ok=body.exists_ok).to_dict()


@router.get("/tables/{name}")
def table(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A table's description, with its newest version."""
    if not platform.catalog.visible(who, "table", name):
        platform.access.authorize(who, "SELECT", "table", name)
    info = platform.catalog.table(name)
    if info.view is not None:
        return {**info.to_dict(), "version": None}
    folder = platform.catalog.folder(info)
    return {**info.to_dict(), "version": folder.version(), "properties": folder.properties(),
            "checks": platform.catalog.quarantine.results(name) if info.expectations else []}  # fmt: skip


@router.patch("/tables/{name}")
def alter_table(name: str, body: dict[str, Any], who: Caller, platform: Served, force: bool = False) -> dict[str, Any]:
    """Change description, tags, masks, row filter, expectations or freshness; `force` changes columns that are in use."""
    if body.get("expectations"):
        platform.access.authorize(who, "MANAGE", "table", name)
        body = {**body, "expectations": declared(body["expectations"], platform.catalog.folder(name).schema(), name)}
    return platform.catalog.describe(who, name, body, force).to_dict()


@router.delete("/tables/{name}")
def drop_table(name: str, who: Caller, platform: Served, force: bool = False) -> None:
    """Remove a table and its files; one in use is kept unless `force` is said."""
    platform.catalog.drop_table(who, name, force)


@router.post("/tables/{name}/open")
def open_table(name: str, body: Opening, who: Caller, platform: Served) -> dict[str, Any]:
    """Where a table's files are, for a caller who may reach them, and may give it other columns where it says so."""
    opened = platform.catalog.open_table(who, name, body.privileges)
    if body.columns is not None:
        platform.catalog.check_columns(who, name, body.columns, body.force)
    return opened.to_dict()


@router.post("/tables/{name}/commits")
def note_write(name: str, body: Written, who: Caller, platform: Served) -> None:
    """Tell of a version that was written: lineage, audit, triggers."""
    platform.catalog.note_write(
        who, name, body.version, body.operation, [Source(*s) for s in body.sources], body.columns,
        origin=Origin.from_dict(body.origin or {}), replaces=body.replaces, restored=body.restored,
    )  # fmt: skip


@router.get("/tables/{name}/history")
def history(name: str, who: Caller, platform: Served, limit: Count = 50) -> list[dict[str, Any]]:
    """Commits of a table, newest first, with the models that need a version."""
    access = platform.catalog.granted(who, name, ["SELECT"])
    commits, needed = platform.catalog.folder(access.info).history(limit), platform.catalog.pins.of(name)
    for commit in commits:
        commit["needed_by"] = needed.get(commit["version"])
        commit["timestamp"] = datetime.fromtimestamp(commit["timestamp"] / 1000, UTC).isoformat()
    return json.loads(json.dumps(commits, default=str))  # type: ignore[no-any-return]


@router.get("/audit")
def audit(request: Request, response: Response, who: Caller, platform: Served,
          limit: Annotated[int, Query(ge=1, le=10_000)] = 100, subject: str | None = None, principal: str | None = None,
          action: str | None = None, outcome: str | None = None, since: datetime | None = None, until: datetime | None = None,
          after: int | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """The newest entries of the audit log; for members of admins and ml-engineers.

    Those that follow entry `after`, which are older. A Link header leads to the next page.
    """
    check_auditor(who)
    found = platform.audit.entries(limit, subject, principal=principal, action=action, outcome=outcome,
                                   since=clock.parse_instant(since) if since else None,
                                   until=clock.parse_instant(until) if until else None, before=after)  # fmt: skip
    return [e.__dict__ for e in lead_on(request, response, found, limit, lambda e: str(e.sequence))]


@router.post("/system-tables")
def copy_to_system_tables(who: Caller, platform: Served) -> dict[str, int]:
    """Bring `system.audit` and `system.lineage` up to date now instead of within a minute; for those who may read the log."""
    check_auditor(who)
    return {"rows": platform.housekeeping.tidy()}


@router.get("/audit/verify")
def verify(who: Caller, platform: Served) -> dict[str, Any]:
    """Whether the chain is whole; for those who may read it."""
    check_auditor(who)
    fault = platform.audit.verify()
    return {"whole": fault is None, "fault": fault, "head": platform.audit.publish_head() if fault is None else None}
