"""How the skin answers: Unity Catalog's error codes and statuses, and lists in pages."""

import base64
import binascii
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from boathouse.errors import AlreadyExists, BoathouseError, InvalidInput, NotFound

T = TypeVar("T")
_KINDS = {"model": "REGISTERED_MODEL"}
_NAMED = {"catalogs": "CATALOG", "schemas": "SCHEMA", "tables": "TABLE", "volumes": "VOLUME", "models": "REGISTERED_MODEL"}
_PAGE = 100
_LARGEST_PAGE = 1000


class UnityRoute(APIRoute):
    """A route whose errors are in the words that Unity Catalog's clients know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, its errors translated."""
        answer = super().get_route_handler()
        noun = next((_NAMED[part] for part in self.path.split("/") if part in _NAMED), "RESOURCE")

        async def translated(request: Request) -> Response:
            try:
                return await answer(request)
            except BoathouseError as error:
                return refusal(error, noun)
            except RequestValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"][1:])
                return refusal(InvalidInput(f"{where}: {first['msg']}"), noun)

        return translated


def refusal(error: BoathouseError, noun: str) -> JSONResponse:
    """An error as Unity Catalog answers it."""
    kind = error.details.get("kind")
    noun = _KINDS.get(str(kind), str(kind).upper()) if kind else noun
    code, status = error.error_code, error.http_status
    if isinstance(error, NotFound):
        code = f"{noun}_NOT_FOUND"
    elif isinstance(error, AlreadyExists):  # MLflow's client looks for RESOURCE_…, the others for the kind
        code, status = f"{noun if noun in ('CATALOG', 'SCHEMA', 'TABLE') else 'RESOURCE'}_ALREADY_EXISTS", 400
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code, "domain": "boathouse",
                "metadata": {k: str(v) for k, v in error.details.items()}}]  # fmt: skip
    return JSONResponse({"error_code": code, "message": str(error), "details": details}, status)


class Page:
    """The part of a list that a client asked for: up to `max_results`, after the name in `page_token`."""

    def __init__(self, max_results: Annotated[int | None, Query()] = None,
                 page_token: Annotated[str | None, Query()] = None) -> None:  # fmt: skip
        if max_results is not None and max_results < 0:
            raise InvalidInput("max_results cannot be negative")
        self.limit = min(max_results or _PAGE, _LARGEST_PAGE)
        self.after = _after(page_token) if page_token else ""

    def of(self, key: str, found: Iterable[T], name: Callable[[T], str], shape: Callable[[T], dict[str, Any]]) -> dict[str, Any]:
        """An answer with a page of what was found, by name; only what is shown is shaped."""
        left = sorted((one for one in found if name(one) > self.after), key=name)
        shown = left[: self.limit]
        more = len(left) > len(shown)
        return {key: [shape(one) for one in shown], "next_page_token": _token(name(shown[-1])) if more else None}


    def read(self, key: str, fetch: Callable[[str | None, int], Sequence[T]], name: Callable[[T], str],
             shape: Callable[[T], dict[str, Any]]) -> dict[str, Any]:  # fmt: skip
        """The same where the catalog itself reads a page: `fetch(after, limit)`, one more than is shown."""
        found = fetch(self.after or None, self.limit + 1)
        shown = found[: self.limit]
        more = len(found) > self.limit
        return {key: [shape(one) for one in shown], "next_page_token": _token(name(shown[-1])) if more else None}


Paged = Annotated[Page, Depends()]


def _token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _after(token: str) -> str:
    try:
        return base64.b64decode(token, altchars="-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidInput("the page_token is not one that this server gave") from error
