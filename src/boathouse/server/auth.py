"""Who a request comes from: a bearer token, a password that is a token, or the session of a browser."""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends, Request

from boathouse.catalog import SecurableKind
from boathouse.errors import NotPermitted
from boathouse.identity import Identity, is_form_token
from boathouse.platform import Platform

COOKIE = "boathouse_session"
FIELD, HEADER = "csrf", "x-csrf-token"
"""Where a change by a session carries the session's form token: a field of a form, or a header of a script."""
AUDITORS = frozenset({"admins", "ml-engineers"})
"""Groups whose members read the whole audit log."""
_SAFE = ("GET", "HEAD", "OPTIONS")
_LOOPBACK = ("127.0.0.1", "::1")
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_BY_LEVELS: dict[int, SecurableKind] = {0: "catalog", 1: "schema", 2: "model"}


def token_of(headers: Mapping[str, str]) -> str | None:
    """The token in a request's headers."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return None


def platform_of(request: Request) -> Platform:
    """The platform behind the app."""
    platform: Platform = request.app.state.platform
    return platform


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else "unknown"


def is_near(request: Request) -> bool:
    """Whether a request comes from this machine itself, by whichever of its addresses, and by no proxy that says so."""
    own = (*_LOOPBACK, *(request.scope.get("server") or ())[:1])
    return address_of(request) in own and not any(header in request.headers for header in _FORWARDED)


async def _form_token(request: Request) -> str:
    """The form token that a change by a session carries."""
    if request.method in _SAFE or COOKIE not in request.cookies or "authorization" in request.headers:
        return ""
    if given := request.headers.get(HEADER):
        return given
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        fields = parse_qs((await request.body()).decode("utf-8", "replace"))
        return fields.get(FIELD, [""])[-1]
    return ""


FormToken = Annotated[str, Depends(_form_token)]


def caller(request: Request, form_token: FormToken = "") -> Identity:
    """The identity of a request.

    Raises Unauthenticated; NotPermitted for a change by a session that its pages did not send; NotFound for one about an
    environment that is not there.
    """
    identity = identity_of(request)
    if identity.via == "session" and request.method not in _SAFE:
        check_origin(request)
        if not is_form_token(request.cookies[COOKIE], form_token or request.headers.get(HEADER, "")):
            raise NotPermitted("this form is of an earlier session; load its page again")
    if asked := request.query_params.get("environment"):
        platform_of(request).access.check_catalog(identity, asked)
    return identity


def identity_of(request: Request) -> Identity:
    """Whose token or session a request carries, whatever it wants to do. Raises Unauthenticated."""
    platform, cookie = platform_of(request), request.cookies.get(COOKIE)
    if "authorization" in request.headers or not cookie:
        found = platform.identities.authenticate(token_of(request.headers))
    else:
        found = platform.logins.identify(cookie)
    platform.audit.comes_from(found.principal)
    return found


def check_origin(request: Request) -> None:
    """Pass when a form was sent by a page of this server. Raises NotPermitted."""
    if request.headers.get("origin") != f"{request.url.scheme}://{request.headers.get('host')}":
        raise NotPermitted("a change by a browser must come from this server's own pages")


def allows(platform: Platform, identity: Identity, privilege: str, name: str) -> bool:
    """What the registry asks: whether a privilege is held on a catalog, schema or model, told apart by the name's levels."""
    return platform.access.allows(identity, privilege, _BY_LEVELS[name.count(".")], name)


def check_auditor(who: Identity) -> None:
    """Pass members of admins and ml-engineers. Raises NotPermitted."""
    if not who.groups & AUDITORS:
        raise NotPermitted("the audit log is for members of admins and ml-engineers", missing={"group": "ml-engineers"})


Caller = Annotated[Identity, Depends(caller)]
Served = Annotated[Platform, Depends(platform_of)]
Address = Annotated[str, Depends(address_of)]
