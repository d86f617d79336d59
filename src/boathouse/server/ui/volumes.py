"""One volume: its files folder by folder, its facts, lineage and grants."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.catalog import SecurableKind, VolumeInfo
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import lineage
from boathouse.server.ui.page import page
from boathouse.server.ui.tables import visible_grants

router = APIRouter()
_FILES = 200
_OF_VOLUMES = ("READ VOLUME", "WRITE VOLUME", "BROWSE", "MANAGE", "ALL PRIVILEGES")


@router.get("/volumes/{name}")
def volume(name: str, request: Request, who: Caller, platform: Served, folder: str = "", after: str = "") -> HTMLResponse:
    """A volume, with the files of one of its folders."""
    info = _seen(who, platform, name)
    reads = platform.access.allows(who, "READ VOLUME", "volume", name)
    found = platform.volumes.files(who, name, folder, after or None, _FILES, recursive=False) if reads else None
    levels = folder.strip("/").split("/") if folder.strip("/") else []
    node = f"volume:{name}"
    return page(
        request, who, "volume.html", volume=info, files=found, folder=folder, quote=quote, href=lineage.href, node=node,
        trail=[(level, "/".join(levels[: i + 1])) for i, level in enumerate(levels)],
        family=lineage.family(who, platform, node), grants=_grants(who, platform, name),
        manages=platform.access.allows(who, "MANAGE", "volume", name),
    )  # fmt: skip


def _seen(who: Identity, platform: Platform, name: str) -> VolumeInfo:
    if not platform.catalog.visible(who, "volume", name):
        raise NotFound(f"there is no volume {name!r} that you may see")
    return platform.volumes.get(who, name)


def _grants(who: Identity, platform: Platform, name: str) -> list[object]:
    levels = name.split(".")
    places: tuple[tuple[SecurableKind, str], ...] = (
        ("catalog", levels[0]), ("schema", ".".join(levels[:2])), ("volume", name),
    )  # fmt: skip
    found = [g for kind, place in places for g in platform.access.grants(kind, place)]
    return [g for g in visible_grants(who, platform, found) if g.privilege in _OF_VOLUMES]
