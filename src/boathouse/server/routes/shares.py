"""Shares: which tables are handed out by Delta Sharing, and to whom."""

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from boathouse.catalog import Securable, ShareToken
from boathouse.clock import parse_span
from boathouse.errors import InvalidInput
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["shares"])


class NewShared(BaseModel):
    """A table for a share, under its own `schema.table` unless said."""

    table: str
    shared_as: str = ""


class Invitation(BaseModel):
    """Who shall read a share, and how long: `90d`, `12h`."""

    principal: str
    expires: str | None = None


@router.get("/shares")
def shares(who: Caller, platform: Served) -> list[Securable]:
    """Shares that the caller manages."""
    return platform.sharing.shares.managed_by(who)


@router.post("/shares/{name}")
def create_share(name: str, who: Caller, platform: Served) -> Securable:
    """A new share, without tables; needs CREATE SHARE."""
    return platform.sharing.shares.create(who, name)


@router.get("/shares/{name}")
def share(name: str, who: Caller, platform: Served) -> dict[str, Any]:
    """A share's tables and its recipients' tokens; needs MANAGE."""
    tokens = platform.sharing.shares.tokens(who, name)
    return {**platform.catalog.require("share", name).__dict__, "tables": platform.sharing.shares.tables(name), "tokens": tokens}


@router.delete("/shares/{name}")
def drop_share(name: str, who: Caller, platform: Served) -> None:
    """End a share; its tables stay. Needs MANAGE."""
    platform.sharing.shares.drop(who, name)


@router.post("/shares/{name}/tables")
def add_table(name: str, body: NewShared, who: Caller, platform: Served) -> dict[str, Any]:
    """Put a table into a share; needs MANAGE on both."""
    return platform.sharing.shares.add(who, name, body.table, body.shared_as).__dict__


@router.delete("/shares/{name}/tables/{table}")
def remove_table(name: str, table: str, who: Caller, platform: Served) -> None:
    """Take a table out of a share; holds at once. Needs MANAGE."""
    platform.sharing.shares.remove(who, name, table)


@router.post("/shares/{name}/recipients")
def invite(name: str, body: Invitation, who: Caller, platform: Served, request: Request) -> dict[str, Any]:
    """A profile file that opens the share as a principal that the caller may act for; its secret is shown this once."""
    try:
        lifetime = parse_span(body.expires) if body.expires else None
    except ValueError as error:
        raise InvalidInput(f"expires: {error}") from error
    secret, made = platform.sharing.invite(who, name, body.principal, lifetime)
    return {"profile": _profile(secret, made, f"{request.base_url}delta-sharing"), "token": made}


@router.delete("/shares/{name}/recipients/{token_id}")
def revoke(name: str, token_id: str, who: Caller, platform: Served) -> None:
    """Make a recipient's token and its links worthless at once; needs MANAGE."""
    platform.sharing.shares.revoke(who, name, token_id)


def _profile(secret: str, made: ShareToken, endpoint: str) -> dict[str, Any]:
    return {"shareCredentialsVersion": 1, "endpoint": endpoint, "bearerToken": secret,
            "expirationTime": made.expires_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}  # fmt: skip
