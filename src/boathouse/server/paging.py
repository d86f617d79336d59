"""Lists in pages: `?limit=` rows, those after `?after=NAME`; a Link header (RFC 8288) leads to the next page."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Query, Request, Response

LONGEST = 10_000
Limit = Annotated[int | None, Query(ge=1, le=LONGEST, description="at most so many; all without it")]
Count = Annotated[int, Query(ge=1, le=LONGEST, description="at most so many")]
After = Annotated[str | None, Query(description="only names that come after this one")]
T = TypeVar("T")


def lead_on(request: Request, response: Response, rows: Sequence[T], limit: int | None, name: Callable[[T], str]) -> Sequence[T]:
    """The rows, with the way to the next page in the answer's head; a page that is not full is the last."""
    if limit is not None and len(rows) == limit:
        asked = [(k, v) for k, v in request.query_params.multi_items() if k not in ("limit", "after")]
        asked += [("limit", str(limit)), ("after", name(rows[-1]))]
        response.headers["Link"] = f'<{request.url.path}?{urlencode(asked)}>; rel="next"'
    return rows


def gathered(read: Callable[[str | None, int | None], Sequence[T]], seen: Callable[[T], bool], name: Callable[[T], str],
             limit: int | None, after: str | None) -> list[Any]:  # fmt: skip
    """A page of what may be seen, out of as many pages of what there is as it takes.

    `read(after, limit)` gives rows by name.
    """
    found: list[T] = []
    while True:
        page = read(after, limit)
        found += [row for row in page if seen(row)]
        if limit is None or len(page) < limit or len(found) >= limit:
            return found[:limit]
        after = name(page[-1])
