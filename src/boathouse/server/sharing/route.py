"""How Delta Sharing answers: errors as `{"errorCode", "message"}`, lists in pages, files as lines of JSON."""

import base64
import binascii
import json
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Annotated, Any

from fastapi import Depends, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from fastapi.routing import APIRoute

from boathouse.errors import BoathouseError, InvalidInput

_PAGE = 500


class SharingRoute(APIRoute):
    """A route whose errors are in the protocol's words."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, its errors translated."""
        answer = super().get_route_handler()

        async def translated(request: Request) -> Response:
            try:
                return await answer(request)
            except BoathouseError as error:
                return JSONResponse({"errorCode": error.error_code, "message": str(error)}, error.http_status)
            except RequestValidationError as error:
                message = f"{'.'.join(str(p) for p in error.errors()[0]['loc'][1:])}: {error.errors()[0]['msg']}"
                return JSONResponse({"errorCode": "INVALID_PARAMETER_VALUE", "message": message}, 400)

        return translated


class Page:
    """The part of a list that was asked for; the token is the number of what was shown before."""

    def __init__(self, max_results: Annotated[int, Query(alias="maxResults", ge=0)] = _PAGE,
                 page_token: Annotated[str, Query(alias="pageToken")] = "") -> None:  # fmt: skip
        self._size = max_results
        try:
            self._start = int(base64.b64decode(page_token, validate=True) or b"0")
        except (binascii.Error, ValueError) as error:
            raise InvalidInput("the pageToken is not one that this server gave") from error

    def of(self, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """An answer with the page's items."""
        end = self._start + self._size
        more = {"nextPageToken": base64.b64encode(str(end).encode()).decode()} if end < len(items) else {}
        return {"items": list(items[self._start : end]), **more}


Paged = Annotated[Page, Depends()]


def lines(version: int, values: Iterable[dict[str, Any]]) -> Response:
    """Lines of JSON, with the table's version in a header."""
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    headers = {"Delta-Table-Version": str(version), "Delta-Sharing-Capabilities": "responseformat=parquet"}
    return Response(text, media_type="application/x-ndjson; charset=utf-8", headers=headers)
