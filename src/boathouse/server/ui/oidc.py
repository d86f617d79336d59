"""Logging in at the OpenID Connect provider that the settings name."""

import secrets

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from boathouse.errors import BoathouseError
from boathouse.server.auth import Served, address_of
from boathouse.server.ui.login import DOOR, form, inside, keep, let_in

router = APIRouter()
_CALLBACK = "/login/oidc/callback"
_SECONDS = 600


@router.get("/login/oidc")
def begin(request: Request, platform: Served, next: str = "/") -> Response:
    """Send the browser to the provider."""
    browser = request.cookies.get(DOOR) or secrets.token_urlsafe(24)
    back = f"{request.url.scheme}://{request.headers.get('host')}{_CALLBACK}"
    try:
        address = platform.federation.provider().begin(back, inside(next), browser)
    except BoathouseError as error:
        return form(request, platform, inside(next), wrong=error)
    response = RedirectResponse(address, 303)
    keep(request, response, DOOR, browser, _SECONDS)
    return response


@router.get(_CALLBACK)
def finish(request: Request, platform: Served) -> Response:
    """The provider sent the browser back: prove what it brings, and let the user in."""
    try:
        brought = dict(request.query_params)
        user, wanted = platform.federation.log_in(brought, request.cookies.get(DOOR, ""), address_of(request))
        return let_in(request, platform, user, "oidc", inside(wanted))
    except BoathouseError as error:
        return form(request, platform, "/", wrong=error)
