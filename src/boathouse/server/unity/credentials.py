"""Temporary credentials for the files of tables and model versions."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.errors import InvalidInput, NotFound
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.files import check_files, credentials
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import identifier, named

router = APIRouter(route_class=UnityRoute)
_TABLE = {"READ": ("SELECT",), "READ_WRITE": ("SELECT", "MODIFY")}


class ForTable(BaseModel):
    """GenerateTemporaryTableCredential."""

    table_id: str
    operation: str


class ForPath(BaseModel):
    """GenerateTemporaryPathCredential."""

    url: str
    operation: str


@router.post("/temporary-table-credentials")
def table_credentials(body: ForTable, who: Caller, platform: Served) -> dict[str, Any]:
    """Credentials for a table's files: SELECT to read, with MODIFY to write."""
    if body.operation not in _TABLE:
        raise InvalidInput(f"{body.operation!r} is no table operation; they are {', '.join(_TABLE)}")
    name = named("table", body.table_id)
    access = platform.catalog.open_table(who, name, _TABLE[body.operation])
    check_files(who, platform, access)
    if body.operation == "READ_WRITE":
        platform.audit.record(who.principal, "hand out write credentials", name)
    return credentials(access)


@router.post("/temporary-path-credentials")
def path_credentials(body: ForPath, who: Caller, platform: Served) -> dict[str, Any]:
    """Credentials for a path that a table of the caller's lies at."""
    wanted = {"PATH_READ": "READ", "PATH_READ_WRITE": "READ_WRITE"}.get(body.operation)
    if wanted is None:
        raise InvalidInput(f"{body.operation!r} is not to be had for a path: the catalog chooses where tables are made")
    for info in platform.catalog.tables(who):
        if info.location.rstrip("/") == body.url.rstrip("/"):
            return table_credentials(ForTable(table_id=identifier("table", info.name), operation=wanted), who, platform)
    raise NotFound(f"no table that {who.principal} may read lies at {body.url}", kind="table")
