"""Temporary credentials for the files of tables and model versions."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import LocationAccess
from boathouse.errors import InvalidInput, NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.files import check_files, check_open, credentials
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import identifier, named

router = APIRouter(route_class=UnityRoute)
_PATH = ("PATH_READ", "PATH_READ_WRITE", "PATH_CREATE_TABLE")
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
    return credentials(access.info.location, access.credentials, access.expires_at)


@router.post("/temporary-path-credentials")
def path_credentials(body: ForPath, who: Caller, platform: Served) -> dict[str, Any]:
    """Credentials for a path at a table of the caller's, or in an external location: READ FILES, or WRITE FILES to write."""
    if body.operation not in _PATH:
        raise InvalidInput(f"{body.operation!r} is no path operation; they are {', '.join(_PATH)}")
    url, write = body.url.rstrip("/"), body.operation != "PATH_READ"
    for info in platform.catalog.tables(who):
        if info.location.rstrip("/") == url:
            wanted = "READ_WRITE" if write else "READ"
            return table_credentials(ForTable(table_id=identifier("table", info.name), operation=wanted), who, platform)
    for location in platform.locations.list(who):
        if f"{url}/".startswith(f"{location.url.rstrip('/')}/"):
            return _of_location(platform.locations.open(who, location.name, write), who, platform)
    raise NotFound(f"no table and no external location that {who.principal} may read is at {body.url}", kind="path")


def _of_location(opened: LocationAccess, who: Identity, platform: Platform) -> dict[str, Any]:
    check_open(who, platform, opened.url, opened.url)
    return credentials(opened.url, opened.credentials, opened.expires_at)
