"""Logging in, by a password, a token or a link that is good once, and out."""

import secrets
from contextlib import suppress

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from boathouse.errors import BoathouseError, NotPermitted, TooManyRequests, Unauthenticated
from boathouse.identity import Token, is_form_token
from boathouse.platform import Platform
from boathouse.server.auth import COOKIE, FIELD, FormToken, Served, address_of, caller, check_origin, identity_of
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import page

router = APIRouter()
DOOR = "boathouse_door"
"""A cookie of browsers that are not in yet: what they send must come from the page that they were shown."""
_DOOR_SECONDS = 3600


@router.get("/login")
def login(request: Request, platform: Served, once: str = "", next: str = "/") -> Response:
    """The form; with `?once=` straight in, unless another site led here: then a button asks first."""
    wanted = inside(next)
    foreign = request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if not once or foreign or "prefetch" in request.headers.get("sec-purpose", ""):
        return form(request, platform, wanted, once=once)
    return _by_link(request, platform, once, wanted)


def door(request: Request, fields: Fields) -> None:
    """Pass when a form was sent from the login page that this browser was shown. Raises NotPermitted."""
    check_origin(request)
    if not is_form_token(request.cookies.get(DOOR, ""), fields.get(FIELD, "")):
        raise NotPermitted("this login page was open for too long: load it again (it needs cookies)")


@router.post("/login", dependencies=[Depends(door)])
def enter(request: Request, platform: Served, fields: Fields) -> Response:
    """The form, filled in."""
    wanted, address = inside(fields.get("next", "/")), address_of(request)
    if once := fields.get("once"):
        return _by_link(request, platform, once, wanted)
    try:
        if given := fields.get("token", "").strip():
            token = platform.logins.check_token(given)
            return let_in(request, platform, token.principal, "token", wanted, token)
        name = platform.logins.check_password(fields.get("username", "").strip(), fields.get("password", ""), address)
        return let_in(request, platform, name, "password", wanted)
    except (Unauthenticated, NotPermitted, TooManyRequests) as error:
        return form(request, platform, wanted, wrong=error, name=fields.get("username", "").strip())


@router.post("/logout")
def logout(request: Request, platform: Served, form_token: FormToken) -> Response:
    """End this browser's session."""
    with suppress(Unauthenticated):
        platform.logins.logout(caller(request, form_token))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def form(request: Request, platform: Platform, wanted: str, *, wrong: BoathouseError | None = None, once: str = "",
         name: str = "") -> Response:  # fmt: skip
    """The login page."""
    bound = request.cookies.get(DOOR) or secrets.token_urlsafe(24)
    response = page(request, None, "login.html", status=wrong.http_status if wrong else 200, door=bound, next=wanted,
                    wrong=str(wrong or ""), once=once, name=name, oidc=platform.federation.oidc)  # fmt: skip
    if wrong and "retry_after" in wrong.details:
        response.headers["Retry-After"] = str(wrong.details["retry_after"])
    keep(request, response, DOOR, bound, _DOOR_SECONDS)
    return response


def let_in(request: Request, platform: Platform, principal: str, method: str, wanted: str,
           token: Token | None = None) -> Response:  # fmt: skip
    """A new session for this browser, in place of the one it had."""
    cookie = platform.logins.open(
        principal, method, address=address_of(request), agent=request.headers.get("user-agent", ""),
        former=request.cookies.get(COOKIE), token=token,
    )  # fmt: skip
    response = RedirectResponse(wanted, 303)
    keep(request, response, COOKIE, cookie, int(platform.logins.sessions.lifetime.total_seconds()))
    response.delete_cookie(DOOR)
    return response


def keep(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    """A cookie that no script reads, and that no other site's form takes along."""
    secure = request.url.scheme == "https"
    response.set_cookie(name, value, max_age=seconds, httponly=True, samesite="lax", secure=secure)


def inside(target: str) -> str:
    """A path on this server, whatever was asked for."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target and target.isprintable()
    return target if plain else "/"


def _by_link(request: Request, platform: Platform, once: str, wanted: str) -> Response:
    try:
        return let_in(request, platform, platform.logins.redeem_link(once), "link", wanted)
    except Unauthenticated as error:
        with suppress(BoathouseError):
            identity_of(request)  # the link was followed a second time, in the browser that it let in
            return RedirectResponse(wanted, 303)
        return form(request, platform, wanted, wrong=error)
