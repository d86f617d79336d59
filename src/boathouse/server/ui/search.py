"""Search: one box for tables, models, volumes and functions, by name, description, tag and column."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from boathouse.catalog import SEARCHED, Found
from boathouse.errors import InvalidInput
from boathouse.server.auth import Caller, Served
from boathouse.server.ui import sight
from boathouse.server.ui.page import page

router = APIRouter()
_ROWS = 50
_PAGES = {"table": "/tables/", "model": "/models/", "volume": "/volumes/"}


@router.get("/search")
def search(request: Request, who: Caller, platform: Served, q: str = "", kind: str = "", environment: str = "",
           after: str = "") -> HTMLResponse:  # fmt: skip
    """What holds every word, names first."""
    found: list[Found] = []
    fault = ""
    if q.strip():
        try:
            kinds = [kind] if kind in SEARCHED else []
            found = platform.search.find(who, q, kinds, environment or None, _ROWS, after or None)
        except InvalidInput as error:
            fault = str(error)
    return page(
        request, who, "search.html", status=400 if fault else 200, q=q, kind=kind, environment=environment, found=found,
        fault=fault, kinds=SEARCHED, environments=sight.environments(who, platform), href=href, after=after,
        more=found[-1].place if len(found) == _ROWS else "",
    )  # fmt: skip


def href(found: Found) -> str:
    """Its page; none for what has no page."""
    return _PAGES[found.kind] + found.name if found.kind in _PAGES else ""
