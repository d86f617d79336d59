"""Files behind signed links. The link says which; whether it still holds is asked again at every fetch."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from boathouse.catalog import TableInfo
from boathouse.errors import NotFound, NotPermitted
from boathouse.platform import Platform
from boathouse.server.auth import Served
from boathouse.server.sharing.links import Pass
from boathouse.server.sharing.offers import local_file
from boathouse.server.sharing.protocol import PREFIX
from boathouse.server.sharing.route import SharingRoute
from boathouse.server.sharing.visit import links_of, offers_of, spool_of

router = APIRouter(prefix=PREFIX, tags=["delta-sharing"], route_class=SharingRoute)


@router.get("/files/{link}")
def fetch(link: str, platform: Served) -> FileResponse:
    """One Parquet file, whole or a range of its bytes; needs no token beside the link."""
    return FileResponse(_opened(link, platform), media_type="application/vnd.apache.parquet")


@router.head("/files/{link}")
def measure(link: str, platform: Served) -> FileResponse:
    """How large the file is."""
    return fetch(link, platform)


def _opened(link: str, platform: Platform) -> Path:
    """The file. Raises NotPermitted when the token, the share or the grant is gone since, NotFound for a file that is."""
    given = links_of(platform).read(link)
    recipient, identity = platform.sharing.enter(token_id=given.token_id)
    if all(t.table != given.table for t in platform.sharing.shares.tables(recipient.share)):
        raise NotPermitted(f"the share {recipient.share} no longer holds this table")
    platform.access.authorize(identity, "SELECT", "table", given.table)
    info = platform.catalog.table(given.table)
    if offers_of(platform).guard(identity, info) != given.guard:
        raise NotPermitted(f"the masks or the row filter of {given.table} changed since: query the table again")
    found = spool_of(platform).path(given.file) if given.spooled else _of_table(info, given, platform)
    if found is None or not found.is_file():
        raise NotFound("this file is gone: query the table again")
    return found


def _of_table(info: TableInfo, given: Pass, platform: Platform) -> Path | None:
    folder = platform.catalog.folder(info).local
    return local_file(folder, given.file) if folder else None
