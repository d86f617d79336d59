"""SQL over everything the caller may read."""

import time
import uuid
from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi import Query as QueryParam
from fastapi.responses import HTMLResponse, Response

from boathouse.errors import BoathouseError, InvalidInput
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.routes.sql import Query, QueryResponse
from boathouse.server.ui import sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import chosen, page

router = APIRouter()
_ROWS = 500
_ENDINGS = {"csv": "csv", "json": "json", "parquet": "parquet", "arrow": "arrows"}


@router.get("/sql")
def sql(
    request: Request,
    who: Caller,
    platform: Served,
    q: str = "",
    environment: str = "",
    query_id: Annotated[str, QueryParam(pattern="^([0-9a-f]{32})?$")] = "",
) -> HTMLResponse:
    """An editor, the catalog beside it, and the rows of a query."""
    offered = sight.environments(who, platform)
    where = chosen(environment, offered)
    found = _run(who, platform, q, where, query_id) if q.strip() and where else None
    tree: dict[str, dict[str, list[Any]]] = {}
    for info in sorted(platform.catalog.tables(who), key=lambda t: sight.rank(t.name)):
        catalog, schema, _ = info.name.split(".")
        tree.setdefault(catalog, {}).setdefault(schema, []).append(info)
    status = 400 if found and found["fault"] else 200
    return page(
        request,
        who,
        "sql.html",
        status=status,
        q=q,
        environment=where,
        environments=offered,
        found=found,
        tree=tree,
        most=_ROWS,
        next_id=uuid.uuid4().hex,
    )


@router.post("/sql/download")
def download(who: Caller, platform: Served, fields: Fields) -> Response:
    """All rows of a query as a file."""
    form = fields.get("form", "csv")
    if form not in _ENDINGS:
        raise InvalidInput(f"rows are not downloaded as {form}; choose one of {', '.join(_ENDINGS)}")
    asked = Query(query=fields.get("q", ""), environment=fields.get("environment") or "dev")
    return QueryResponse(platform.sql, who, asked, form, reading=True, filename=f"rows.{_ENDINGS[form]}")


def _run(who: Identity, platform: Platform, query: str, environment: str, query_id: str) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        with platform.sql.run(who, query, environment, limit=_ROWS + 1, query_id=query_id) as result:
            rows = result.to_arrow()
            types = result.types
    except BoathouseError as error:
        return {"fault": str(error), "columns": [], "rows": [], "more": False, "seconds": 0.0, "types": {}}
    listed = [list(row.values()) for row in rows.slice(0, _ROWS).to_pylist()]
    return {
        "fault": "",
        "columns": rows.column_names,
        "rows": listed,
        "more": rows.num_rows > _ROWS,
        "types": types,
        "seconds": time.monotonic() - begun,
    }
