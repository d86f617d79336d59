"""Principals, groups, tokens and grants."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.catalog import Grant, SecurableKind
from boathouse.errors import NotPermitted
from boathouse.identity import Identity, Principal
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["identity"])
_DEPLOYED = {"job": "job", "endpoint": "model_serving_endpoint"}


class NewToken(BaseModel):
    """A token to make."""

    comment: str = ""
    days: float | None = 90
    principal: str | None = None
    environment: str | None = None


class NewPrincipal(BaseModel):
    """A principal to make."""

    name: str
    kind: str = "user"


class GrantChange(BaseModel):
    """A privilege to give or take."""

    principal: str
    privilege: str
    kind: SecurableKind
    securable: str


@router.get("/whoami")
def whoami(who: Caller) -> dict[str, Any]:
    """The caller's principal, groups and, for a run, its environment."""
    return {"principal": who.principal, "groups": sorted(who.groups), "environment": who.environment,
            "run_id": who.run_id, "scratch": who.scratch}  # fmt: skip


@router.get("/tokens")
def tokens(who: Caller, platform: Served) -> list[dict[str, Any]]:
    """The caller's tokens, without their secrets."""
    return [t.__dict__ for t in platform.identities.tokens(who.principal)]


@router.post("/tokens")
def create_token(body: NewToken, who: Caller, platform: Served) -> dict[str, str]:
    """A new token; its secret is shown this once."""
    principal = body.principal or who.principal
    if principal != who.principal:
        _only_admins(who, "make a token for another principal")
    if who.run_id:
        raise NotPermitted("a run cannot make tokens")
    lifetime = None if body.days is None else timedelta(days=body.days)
    secret = platform.identities.issue(principal, comment=body.comment, lifetime=lifetime, environment=body.environment)
    platform.audit.record(who.principal, "create token", principal, {"comment": body.comment})
    return {"token": secret, "principal": principal}


@router.delete("/tokens/{token_id}")
def revoke_token(token_id: str, who: Caller, platform: Served) -> None:
    """Revoke a token of one's own; admins anyone's."""
    platform.identities.revoke(token_id, None if "admins" in who.groups else who.principal)
    platform.audit.record(who.principal, "revoke token", token_id)


@router.get("/principals")
def principals(who: Caller, platform: Served) -> list[Principal]:
    """Users, groups and service principals."""
    return platform.identities.principals()


@router.post("/principals")
def create_principal(body: NewPrincipal, who: Caller, platform: Served) -> Principal:
    """A new user, group or service principal."""
    _only_admins(who, "make principals")
    made = platform.identities.create(body.name, body.kind)  # type: ignore[arg-type]
    platform.audit.record(who.principal, f"create {body.kind}", body.name)
    return made


@router.put("/groups/{group}/members/{member}")
def add_member(group: str, member: str, who: Caller, platform: Served) -> None:
    """Put a principal into a group."""
    _only_admins(who, "change groups")
    platform.identities.add_member(group, member)
    platform.audit.record(who.principal, "add member", group, {"member": member})


@router.delete("/groups/{group}/members/{member}")
def remove_member(group: str, member: str, who: Caller, platform: Served) -> None:
    """Take a principal out of a group."""
    _only_admins(who, "change groups")
    platform.identities.remove_member(group, member)
    platform.audit.record(who.principal, "remove member", group, {"member": member})


@router.get("/grants")
def grants(who: Caller, platform: Served, kind: SecurableKind | None = None, name: str | None = None) -> list[Grant]:
    """Grants on what the caller manages; of everything else only the caller's own."""
    found = platform.access.grants(kind, name)
    return [g for g in found if g.principal in who.names or platform.access.allows(who, "MANAGE", g.kind, g.securable)]


@router.post("/grants")
def add_grant(body: GrantChange, who: Caller, platform: Served) -> None:
    """Give a privilege; needs MANAGE on the securable or above."""
    _check(body, who, platform)
    platform.identities.get(body.principal)
    platform.access.grant(who.principal, [body.principal], [body.privilege], body.kind, body.securable)


@router.post("/grants/revoke")
def remove_grant(body: GrantChange, who: Caller, platform: Served) -> None:
    """Take a privilege away; holds at once."""
    _check(body, who, platform)
    platform.access.revoke(who.principal, body.principal, body.privilege, body.kind, body.securable)


def _check(body: GrantChange, who: Identity, platform: Platform) -> None:
    platform.access.authorize(who, "MANAGE", body.kind, body.securable)
    if body.kind in _DEPLOYED:
        environment, _, name = body.securable.partition(".")
        platform.deployments.resource(_DEPLOYED[body.kind], environment, name)
    else:
        platform.catalog.require(body.kind, body.securable)


def _only_admins(who: Identity, what: str) -> None:
    if "admins" not in who.groups:
        raise NotPermitted(f"only members of admins may {what}", missing={"group": "admins"})
