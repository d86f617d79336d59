"""The app: our API as FastAPI, and a dispatcher that gives every path one named owner."""

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse

from boathouse.errors import BoathouseError
from boathouse.platform import Platform
from boathouse.server.dispatcher import Dispatcher
from boathouse.server.routes import ROUTERS

_log = logging.getLogger(__name__)


def create_app(platform: Platform) -> Dispatcher:
    """The ASGI app over a platform."""
    api = FastAPI(title="Boathouse", docs_url="/api/docs", openapi_url="/api/openapi.json", redoc_url=None)
    api.state.platform = platform
    for router in ROUTERS:
        api.include_router(router)
    api.add_exception_handler(BoathouseError, _refused)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, _failed)

    @api.get("/health", include_in_schema=False)
    def health() -> PlainTextResponse:
        return PlainTextResponse("OK")

    return Dispatcher(api, platform)


def _refused(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, BoathouseError)
    return JSONResponse(error.to_dict(), error.http_status)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    return JSONResponse({"error_code": "INVALID_PARAMETER_VALUE", "message": f"{where}: {first['msg']}", "details": {}}, 400)


def _failed(request: Request, error: Exception) -> JSONResponse:
    _log.error("%s %s", request.method, request.url.path, exc_info=error)
    message = f"the server failed at {request.method} {request.url.path}: {type(error).__name__}: {error}"
    return JSONResponse({"error_code": "INTERNAL_ERROR", "message": message, "details": {}}, 500)
