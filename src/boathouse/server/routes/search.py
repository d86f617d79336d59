"""Search: what there is, by name, description, tag and column."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from boathouse.server.auth import Caller, Served
from boathouse.server.paging import After, Limit, lead_on

router = APIRouter(prefix="/api/v1", tags=["search"])


@router.get("/search")
def search(
    q: str, who: Caller, platform: Served, request: Request, response: Response,
    kind: Annotated[list[str], Query()] = [],  # noqa: B006
    environment: str | None = None, limit: Limit = 50, after: After = None,
) -> list[dict[str, Any]]:  # fmt: skip
    """Tables, volumes, models, functions, schemas and shares that hold every word and that the caller may see."""
    found = platform.search.find(who, q, kind, environment, limit, after)
    return [f.to_dict() for f in lead_on(request, response, found, limit, lambda f: f.place)]
