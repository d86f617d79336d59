"""Logging in at an OpenID Connect provider: the authorization code flow with PKCE, state and nonce."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from boathouse.errors import Unauthenticated, Unavailable
from boathouse.identity.codes import Codes, challenge_of
from boathouse.identity.issuers import Issuers, check_address

if TYPE_CHECKING:
    import httpx

_TIME_TO_LOG_IN = timedelta(minutes=10)


@dataclass(frozen=True)
class Provider:
    """Where people log in besides here, and what its claims mean. `groups` maps its groups to ours."""

    issuer: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    name: str = "single sign-on"
    scopes: str = "openid profile email"
    username_claim: str = "email"
    groups_claim: str = "groups"
    groups: Mapping[str, str] = field(default_factory=dict)
    create_users: bool = False
    domains: tuple[str, ...] = ()


class OidcLogin:
    """Sends browsers to the provider, and proves what they bring back."""

    def __init__(self, provider: Provider, issuers: Issuers, codes: Codes) -> None:
        self.provider = provider
        self._issuers = issuers
        self._codes = codes

    def begin(self, redirect_uri: str, wanted: str, browser: str) -> str:
        """The provider's address to send this browser to. Raises Unavailable.

        What it brings back is good once, for ten minutes, and in this browser (a cookie's value) alone.
        """
        from authlib.oauth2.rfc6749.parameters import prepare_grant_uri

        endpoint = self._endpoint("authorization_endpoint")
        nonce, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        kept = {"nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri, "next": wanted, "browser": _digest(browser)}
        state = self._codes.make("oidc", _TIME_TO_LOG_IN, kept)
        return str(
            prepare_grant_uri(
                endpoint, self.provider.client_id, "code", redirect_uri, self.provider.scopes, state, nonce=nonce,
                code_challenge=challenge_of(verifier), code_challenge_method="S256",
            )
        )  # fmt: skip

    def finish(self, brought: Mapping[str, str], browser: str) -> tuple[dict[str, Any], str]:
        """(claims, where the browser wanted to go) for what the provider sent the browser back with.

        Raises Unauthenticated for a state that is unknown, used, too old or another browser's, for a refusal by the
        provider, and for a token that is not its own, not for us or not for this login; Unavailable.
        """
        kept = self._codes.redeem("oidc", brought.get("state", ""))
        if kept is None or not hmac.compare_digest(kept["browser"], _digest(browser)):
            raise Unauthenticated("this login was used already, took too long, or began in another browser; try again")
        if brought.get("error") or brought.get("iss", self.provider.issuer) != self.provider.issuer:
            raise Unauthenticated(f"{self.provider.name} refused: {brought.get('error', 'another issuer answered')[:80]}")
        token = self._fetch(brought.get("code", ""), kept)
        given, audience = str(token.get("id_token", "")), self.provider.client_id
        claims = self._issuers.claims(self.provider.issuer, given, audience, kept["nonce"])
        return self._completed(claims, str(token.get("access_token", ""))), kept["next"]

    def _fetch(self, code: str, kept: Mapping[str, str]) -> dict[str, Any]:
        """The provider's tokens for a code."""
        from authlib.oauth2.auth import ClientAuth
        from authlib.oauth2.rfc6749.parameters import prepare_token_request

        body = prepare_token_request(
            "authorization_code", redirect_uri=kept["redirect_uri"], code=code, code_verifier=kept["verifier"]
        )
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        by = ClientAuth(self.provider.client_id, self.provider.client_secret, self._method())
        url, headers, body = by.prepare("POST", self._endpoint("token_endpoint"), headers, body)
        answer = self._ask("POST", url, headers, body)
        token = _object(answer)
        if not answer.is_success:
            reason = token.get("error", answer.status_code)
            raise Unauthenticated(f"{self.provider.name} gave no token for this login ({str(reason)[:80]}); try again")
        return token

    def _completed(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """Some providers keep e-mail and groups out of the token: they are asked for, for the same subject."""
        if self.provider.username_claim in claims and (not self.provider.groups or self.provider.groups_claim in claims):
            return claims
        endpoint = self._issuers.metadata(self.provider.issuer).get("userinfo_endpoint")
        if not endpoint or not access_token:
            return claims
        url = check_address(str(endpoint), f"the userinfo_endpoint of {self.provider.issuer}")
        more = _object(self._ask("GET", url, {"Authorization": f"Bearer {access_token}"}))
        if more.get("sub") != claims["sub"]:
            raise Unauthenticated(f"{self.provider.name} does not say more of this account")
        return {**more, **claims}

    def _method(self) -> str:
        """How we prove to the provider that we are its client: as the standard says first, unless it wants otherwise."""
        if not self.provider.client_secret:
            return "none"
        offered = self._issuers.metadata(self.provider.issuer).get("token_endpoint_auth_methods_supported")
        plain = isinstance(offered, list) and "client_secret_basic" not in offered and "client_secret_post" in offered
        return "client_secret_post" if plain else "client_secret_basic"

    def _ask(self, method: str, url: str, headers: Mapping[str, str], body: str = "") -> "httpx.Response":
        import httpx

        try:
            return httpx.request(method, url, headers=dict(headers), content=body or None, timeout=10)
        except httpx.HTTPError as error:
            raise Unavailable(f"{self.provider.name} does not answer ({error}); try again in a moment") from error

    def _endpoint(self, name: str) -> str:
        return check_address(str(self._issuers.metadata(self.provider.issuer).get(name)), f"the {name} of {self.provider.issuer}")


def _object(answer: "httpx.Response") -> dict[str, Any]:
    """What was answered, if it is a JSON object; else an empty one."""
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _digest(word: str) -> str:
    return hashlib.sha256(word.encode()).hexdigest()
