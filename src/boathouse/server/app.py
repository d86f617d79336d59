"""The app: our API as FastAPI, and a dispatcher that gives every path one named owner."""

import logging
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from boathouse.database import gone
from boathouse.errors import BoathouseError, Unavailable
from boathouse.platform import Platform
from boathouse.server.api_docs import add_docs
from boathouse.server.body_limit import BodyLimit
from boathouse.server.dispatcher import Dispatcher
from boathouse.server.heads import Heads
from boathouse.server.metrics import router as metrics
from boathouse.server.openapi import description
from boathouse.server.routes import ROUTERS
from boathouse.server.sharing import add_sharing
from boathouse.server.suggestions import with_suggestion
from boathouse.server.ui import is_page, refusal
from boathouse.server.ui import router as pages
from boathouse.server.unity import add_unity

_log = logging.getLogger(__name__)


def create_app(platform: Platform) -> Dispatcher:
    """The ASGI app over a platform."""
    api = FastAPI(title="Boathouse", docs_url=None, openapi_url="/api/openapi.json", redoc_url=None)
    api.state.platform = platform
    for router in (*ROUTERS, metrics):  # included, a router is searched by FastAPI twice, and slowly: it was a third of a request
        api.router.routes.extend(router.routes)
    add_unity(api)
    add_sharing(api)
    api.include_router(pages)
    add_docs(api)
    api.add_exception_handler(BoathouseError, _refused)
    api.add_exception_handler(HTTPException, _unrouted)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, _failed)
    api.add_exception_handler(OverflowError, _too_large)
    api.add_middleware(BodyLimit)
    api.add_middleware(Heads, routes=api.routes)
    api.openapi = partial(description, api)  # type: ignore[method-assign]

    @api.get("/health", include_in_schema=False)
    def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    dispatcher = Dispatcher(api, platform)
    api.state.model_store, api.state.invocations = dispatcher.model_store, dispatcher.invocations
    return dispatcher


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, BoathouseError)
    body = with_suggestion(request, error, request.app.state.platform)
    response = _answer(request, error.http_status, body, error)
    if "retry_after" in error.details:
        response.headers["Retry-After"] = str(error.details["retry_after"])
    if error.http_status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _unrouted(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "RESOURCE_DOES_NOT_EXIST", 405: "METHOD_NOT_ALLOWED", 413: "REQUEST_TOO_LARGE"}
    code = codes.get(error.status_code, "BAD_REQUEST")
    message = f"{request.method} {request.url.path}: {error.detail}"
    response = _answer(request, error.status_code, {"error_code": code, "message": message, "details": {}})
    response.headers.update(error.headers or {})  # what a 405 allows
    return response


def _too_large(request: Request, error: Exception) -> Response:
    """A number that no database column and no table's log can hold."""
    message = f"a number is out of bounds: {error}"
    return _answer(request, 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message, "details": {}})


def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    message = f"{where}: {first['msg']}"
    if first["type"] == "json_invalid":
        message = f"the body is not JSON: {first['ctx']['error']}, at character {where}"
    elif where == "body":
        message = "the body is a JSON object, sent with `Content-Type: application/json`"
    return _answer(request, 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": message, "details": {}})


def _failed(request: Request, error: Exception) -> Response:
    if gone(error):
        _log.error("%s %s: the database does not answer: %s", request.method, request.url.path, error)
        return _refused(request, Unavailable("the database does not answer; try again in a moment"))
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    message = f"the server failed at {request.method} {request.url.path}: {type(error).__name__}: {error}"
    return _answer(request, 500, {"error_code": "INTERNAL_ERROR", "message": message, "details": {}})


def _answer(request: Request, status: int, body: dict[str, Any], error: BoathouseError | None = None) -> Response:
    """A page where people look, JSON for programs."""
    if is_page(request):
        return refusal(request, status, str(body["message"]), error)
    return JSONResponse(body, status)
