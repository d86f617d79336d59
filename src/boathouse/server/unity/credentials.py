"""Temporary credentials for the files of tables and model versions."""

from contextlib import suppress
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.errors import InvalidInput, NotFound
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
    if table := _table_at(url, platform):
        if platform.catalog.visible(who, "table", table):
            wanted = "READ_WRITE" if write else "READ"
            return table_credentials(ForTable(table_id=identifier("table", table), operation=wanted), who, platform)
    elif (location := platform.catalog.places.covering(url)) and platform.catalog.visible(who, "external_location", location):
        opened = platform.locations.open(who, location, write)
        check_open(who, platform, opened.url, opened.url)
        return credentials(opened.url, opened.credentials, opened.expires_at)
    raise NotFound(f"no table and no external location that {who.principal} may read is at {body.url}", kind="path")


def _table_at(url: str, platform: Platform) -> str | None:
    """The table that lies exactly there."""
    names = [name for kind, name in platform.catalog.places.inside(url) if kind == "table"]
    for catalog in platform.catalog.securables("catalog"):
        below = url.removeprefix(f"{platform.catalog.storage(catalog.name).url}/")
        if below != url and below.count("/") == 1:
            names.append(f"{catalog.name}.{below.replace('/', '.')}")
    for name in names:
        with suppress(NotFound):
            if platform.catalog.table(name).location.rstrip("/") == url:
                return name
    return None
