"""OpenID Connect issuers: their metadata, their keys, and whether a token is theirs and meant for us."""

import base64
import binascii
import ipaddress
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from boathouse.errors import InvalidInput, Unauthenticated, Unavailable

if TYPE_CHECKING:
    import httpx
    from joserfc.jwk import KeySet

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a private key. A token without one, or one by a shared secret, is nobody's."""

_LEEWAY = 60
_LONGEST = 16_384
_KEPT = 3600.0
_AGAIN = 60.0
"""Keys are asked for anew this often at most when a token names one that is not known."""


@dataclass
class _Known:
    metadata: dict[str, Any]
    keys: "KeySet"
    at: float = field(default_factory=time.monotonic)


class Issuers:
    """Asks issuers, and keeps what they said for an hour."""

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def metadata(self, issuer: str) -> dict[str, Any]:
        """What the issuer publishes about itself. Raises Unavailable, InvalidInput for an address that cannot be trusted."""
        return self._of(issuer, _KEPT).metadata

    def claims(self, issuer: str, token: str, audience: str, nonce: str | None = None) -> dict[str, Any]:
        """The claims of a token that this issuer signed for this audience, and that is good now.

        Raises Unauthenticated saying what is wrong with it, Unavailable.
        """
        from joserfc import jwt
        from joserfc.errors import JoseError

        if len(token) > _LONGEST:
            raise Unauthenticated("the identity token is too long to be one")
        try:
            claims = jwt.decode(token, self._keys(issuer, token), algorithms=list(ALGORITHMS)).claims
            known = {"iss": issuer, "aud": audience, **({} if nonce is None else {"nonce": nonce})}
            wanted: dict[str, Any] = {name: {"essential": True, "value": value} for name, value in known.items()}
            wanted |= {name: {"essential": True} for name in ("sub", "exp", "iat")}
            jwt.JWTClaimsRegistry(leeway=_LEEWAY, **wanted).validate(claims)
        except (JoseError, ValueError, TypeError) as error:
            raise Unauthenticated(f"the identity token of {issuer} is not good: {error}") from error
        if not isinstance(claims["sub"], str) or not 0 < len(claims["sub"]) <= 255:
            raise Unauthenticated(f"the identity token of {issuer} names no subject")
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else audience) != audience:
            raise Unauthenticated(f"the identity token of {issuer} was made for another party")
        return claims

    def _keys(self, issuer: str, token: str) -> "KeySet":
        keys = self._of(issuer, _KEPT).keys
        named = _part(token, 0).get("kid")
        if named is not None and all(key.kid != named for key in keys):
            keys = self._of(issuer, _AGAIN).keys  # they may have been changed since
        return keys

    def _of(self, issuer: str, oldest: float) -> _Known:
        with self._lock:
            known = self._known.get(issuer)
        if known and time.monotonic() - known.at < oldest:
            return known
        fresh = _ask(issuer)
        with self._lock:
            self._known[issuer] = fresh
        return fresh


def issuer_of(token: str) -> str:
    """Whose token this says it is; nothing is proved by that. Empty for what is no token."""
    return str(_part(token, 1).get("iss", "")) if len(token) <= _LONGEST else ""


def audiences_of(token: str) -> list[str]:
    """For whom this says it is, before anything is proved."""
    named = _part(token, 1).get("aud", [])
    return [str(one) for one in (named if isinstance(named, list) else [named])]


def check_address(url: str, what: str) -> str:
    """An address that nobody between can change: https, or this machine. Raises InvalidInput."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname and (parts.hostname == "localhost" or _is_loopback(parts.hostname)):
        return url
    raise InvalidInput(f"{what} {url!r} must begin with https://")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _ask(issuer: str) -> _Known:
    import httpx
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    check_address(issuer, "the issuer")
    try:
        with httpx.Client(timeout=10) as client:
            metadata = _json(client, f"{issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != issuer:
                raise InvalidInput(f"{issuer} says that it is {metadata.get('issuer')!r}; use exactly what it says")
            keys = _json(client, check_address(str(metadata.get("jwks_uri")), f"the jwks_uri of {issuer}"))
        return _Known(metadata, KeySet.import_key_set(keys))  # type: ignore[arg-type]
    except (httpx.HTTPError, ValueError, KeyError, TypeError, JoseError) as error:
        raise Unavailable(f"{issuer} does not answer as an OpenID Connect issuer ({type(error).__name__}: {error})") from error


def _json(client: "httpx.Client", url: str) -> dict[str, Any]:
    answer = client.get(url)
    answer.raise_for_status()
    body = answer.json()
    if not isinstance(body, dict):
        raise ValueError(f"{url} answers no JSON object")
    return body


def _part(token: str, number: int) -> dict[str, Any]:
    """The header (0) or the claims (1) of a token, before anything is proved."""
    try:
        word = token.split(".")[number]
        body = json.loads(base64.urlsafe_b64decode(word + "=" * (-len(word) % 4)))
    except (IndexError, ValueError, binascii.Error):
        return {}
    return body if isinstance(body, dict) else {}
