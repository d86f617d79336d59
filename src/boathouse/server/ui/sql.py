"""SQL over everything the caller may read."""

import time
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.errors import BoathouseError
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight
from boathouse.server.ui.page import chosen, page

router = APIRouter()
_ROWS = 500


@router.get("/sql")
def sql(request: Request, who: Caller, platform: Served, q: str = "", environment: str = "") -> HTMLResponse:
    """An editor, the catalog beside it, and the rows of a query."""
    offered = sight.environments(who, platform)
    where = chosen(environment, offered)
    found = _run(who, platform, q, where) if q.strip() and where else None
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
    )


def _run(who: Identity, platform: Platform, query: str, environment: str) -> dict[str, Any]:
    begun = time.monotonic()
    try:
        with platform.sql.run(who, query, environment, limit=_ROWS + 1) as result:
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
