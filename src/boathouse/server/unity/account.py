"""The caller and their tokens, at the paths where databricks-sdk looks for them."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.identity import Token
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import millis

router = APIRouter(route_class=UnityRoute, prefix="/api/2.0")


class NewToken(BaseModel):
    """CreateTokenRequest."""

    comment: str = ""
    lifetime_seconds: int | None = None


class Revoked(BaseModel):
    """RevokeTokenRequest."""

    token_id: str


@router.get("/preview/scim/v2/Me")
def me(who: Caller, platform: Served) -> dict[str, Any]:
    """The caller as a SCIM user, with all groups, direct or not."""
    return {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": who.principal, "userName": who.principal,
        "displayName": who.principal, "active": True,
        "groups": [{"display": g, "value": g, "type": "direct"} for g in sorted(who.groups)],
    }  # fmt: skip


@router.get("/token/list")
def list_tokens(who: Caller, platform: Served) -> dict[str, Any]:
    """The caller's tokens, without their secrets."""
    return {"token_infos": [token_info(t) for t in platform.people.tokens(who)]}


@router.post("/token/create")
def create_token(body: NewToken, who: Caller, platform: Served) -> dict[str, Any]:
    """A new token of the caller's; its secret is shown this once. A run cannot make tokens."""
    lifetime = timedelta(seconds=body.lifetime_seconds) if body.lifetime_seconds else None
    bound = who.environment if who.bound else None
    secret = platform.people.issue(who, comment=body.comment, lifetime=lifetime, environment=bound)
    made = next(t for t in platform.people.tokens(who) if secret.startswith(t.prefix))
    return {"token_value": secret, "token_info": token_info(made)}


@router.post("/token/delete")
def delete_token(body: Revoked, who: Caller, platform: Served) -> dict[str, Any]:
    """Revoke a token of one's own, or of a principal that one manages; holds at once."""
    platform.people.revoke(who, body.token_id)
    return {}


def token_info(token: Token) -> dict[str, Any]:
    """PublicTokenInfo."""
    return {"token_id": token.id, "comment": token.comment, "creation_time": millis(token.created_at),
            "expiry_time": millis(token.expires_at) if token.expires_at else -1}  # fmt: skip
