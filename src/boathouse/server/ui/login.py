"""Logging in by a token, in a form or by one click, and out."""

import html

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from boathouse.errors import NotPermitted, Unauthenticated
from boathouse.server.auth import COOKIE, Served
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import HEADERS, page

router = APIRouter()
_LIFETIME_SECONDS = 30 * 24 * 3600


@router.get("/login")
def login(request: Request, platform: Served, token: str = "", next: str = "/") -> Response:
    """The form; with `?token=` straight in."""
    if token:
        return _enter(request, platform, token, _inside(next))
    return page(request, None, "login.html", next=_inside(next), wrong="")


@router.post("/login")
def enter(request: Request, platform: Served, fields: Fields) -> Response:
    """The form, filled in."""
    origin = request.headers.get("origin")
    if origin is not None and origin != f"{request.url.scheme}://{request.headers.get('host')}":
        raise NotPermitted("logging in must come from this server's own page")
    return _enter(request, platform, fields.get("token", "").strip(), _inside(fields.get("next", "/")))


@router.post("/logout")
def logout() -> Response:
    """Forget the session; the token itself stays good until it is revoked or expires."""
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def _enter(request: Request, platform: Served, token: str, wanted: str) -> Response:
    try:
        platform.identities.authenticate(token)
    except Unauthenticated:
        return page(
            request,
            None,
            "login.html",
            status=401,
            next=wanted,
            wrong="This token is unknown, revoked or expired.",
        )
    response: Response = RedirectResponse(wanted, 303)
    if request.headers.get("sec-fetch-site") == "cross-site":
        # a redirect would still count as foreign, and the browser would hold the strict cookie back
        target = html.escape(wanted)
        response = HTMLResponse(
            f'<!doctype html><html lang="en"><title>Boathouse</title>'
            f'<meta http-equiv="refresh" content="0;url={target}">'
            f'<a href="{target}">Go on</a></html>',
            headers=HEADERS,
        )
    response.set_cookie(
        COOKIE,
        token,
        max_age=_LIFETIME_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


def _inside(target: str) -> str:
    """A path on this server, whatever was asked for."""
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if plain else "/"
