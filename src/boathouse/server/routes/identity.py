"""Principals, groups and tokens."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.clock import parse_span
from boathouse.errors import InvalidInput
from boathouse.identity import Principal, PrincipalKind, Token
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["identity"])


class NewToken(BaseModel):
    """A token to make. `expires` is a length of time such as `90d` or `12h`; `days` says the same in days."""

    comment: str = ""
    expires: str | None = None
    days: float | None = None
    principal: str | None = None
    environment: str | None = None


class NewPrincipal(BaseModel):
    """A principal to make."""

    name: str
    kind: PrincipalKind = "user"


@router.get("/whoami")
def whoami(who: Caller, platform: Served) -> dict[str, Any]:
    """The caller's principal, groups and, for a run or a token made for one, its environment.

    Where the `home` has a file with this `mark`, the caller is on the server's machine and may open files itself.
    """
    return {"principal": who.principal, "groups": sorted(who.groups), "environment": who.environment,
            "run_id": who.run_id, "scratch": who.scratch, "via": who.via, "home": str(platform.settings.home),
            "mark": platform.home.mark}  # fmt: skip


@router.get("/tokens")
def tokens(who: Caller, platform: Served, principal: str | None = None, everyone: bool = False) -> list[Token]:
    """The caller's tokens, without their secrets; those of a principal that the caller manages; everyone's for admins."""
    return platform.people.tokens(who, principal, everyone=everyone)


@router.post("/tokens")
def create_token(body: NewToken, who: Caller, platform: Served) -> dict[str, str]:
    """A new token; its secret is shown this once."""
    span = body.expires or (f"{body.days}d" if body.days is not None else None)
    try:
        lifetime = parse_span(span) if span else None
    except ValueError as error:
        raise InvalidInput(f"expires: {error}") from error
    secret = platform.people.issue(
        who, body.principal, comment=body.comment, lifetime=lifetime, environment=body.environment
    )
    return {"token": secret, "principal": body.principal or who.principal}


@router.delete("/tokens/{token_id}")
def revoke_token(token_id: str, who: Caller, platform: Served) -> None:
    """Revoke a token of one's own, or of a principal that one manages."""
    platform.people.revoke(who, token_id)


@router.get("/principals")
def principals(who: Caller, platform: Served) -> list[Principal]:
    """Users, groups and service principals."""
    return platform.identities.principals()


@router.post("/principals")
def create_principal(body: NewPrincipal, who: Caller, platform: Served) -> Principal:
    """A new user, group or service principal; needs MANAGE on the metastore."""
    return platform.people.create(who, body.name, body.kind)


@router.post("/principals/{name}/disable")
def disable_principal(name: str, who: Caller, platform: Served) -> None:
    """Let a user or service principal in no more; its tokens and sessions end now."""
    platform.people.disable(who, name)


@router.post("/principals/{name}/enable")
def enable_principal(name: str, who: Caller, platform: Served) -> None:
    """Let a disabled principal in again, with new tokens."""
    platform.people.enable(who, name)


@router.delete("/principals/{name}")
def delete_principal(name: str, who: Caller, platform: Served, to: str | None = None) -> dict[str, int]:
    """Forget a principal; what it owns goes to `to`, and without that is a reason to refuse."""
    return {"moved": platform.people.delete(who, name, to)}


@router.put("/groups/{group}/members/{member}")
def add_member(group: str, member: str, who: Caller, platform: Served) -> None:
    """Put a principal into a group; needs MANAGE on the metastore."""
    platform.people.add_member(who, group, member)


@router.delete("/groups/{group}/members/{member}")
def remove_member(group: str, member: str, who: Caller, platform: Served) -> None:
    """Take a principal out of a group; needs MANAGE on the metastore."""
    platform.people.remove_member(who, group, member)
