"""Who a request comes from: a bearer token, a password that is a token, or the UI's session cookie."""

import base64
import binascii
from typing import Annotated

from fastapi import Depends, Request

from boathouse.catalog import SecurableKind
from boathouse.errors import NotPermitted
from boathouse.identity import Identity
from boathouse.platform import Platform

COOKIE = "boathouse_session"
_SAFE = ("GET", "HEAD", "OPTIONS")
_BY_LEVELS: dict[int, SecurableKind] = {0: "catalog", 1: "schema", 2: "model"}


def token_of(headers: dict[str, str], cookies: dict[str, str]) -> str | None:
    """The token a request carries, wherever."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return None
    return cookies.get(COOKIE)


def platform_of(request: Request) -> Platform:
    """The platform behind the app."""
    platform: Platform = request.app.state.platform
    return platform


def caller(request: Request) -> Identity:
    """The identity of a request. Raises Unauthenticated; NotPermitted for a cookie sent from a foreign page."""
    headers = {k.lower(): v for k, v in request.headers.items()}
    identity = platform_of(request).identities.authenticate(token_of(headers, dict(request.cookies)))
    by_cookie = "authorization" not in headers
    origin = headers.get("origin")
    if by_cookie and request.method not in _SAFE and origin != f"{request.url.scheme}://{headers.get('host')}":
        raise NotPermitted("a change by cookie must come from this server's own pages")
    return identity


def allows(platform: Platform, identity: Identity, privilege: str, name: str) -> bool:
    """What the registry asks: whether a privilege is held on a catalog, schema or model, told apart by the name's levels."""
    return platform.access.allows(identity, privilege, _BY_LEVELS[name.count(".")], name)


Caller = Annotated[Identity, Depends(caller)]
Served = Annotated[Platform, Depends(platform_of)]
