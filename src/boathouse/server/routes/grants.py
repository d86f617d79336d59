"""Grants and owners: who may do what, why, and how that changes."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel

from boathouse.catalog import Grant, SecurableKind
from boathouse.errors import NotFound
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served

router = APIRouter(prefix="/api/v1", tags=["grants"])
Kind = Annotated[SecurableKind | None, Query(description="needed where securables of several kinds have the name")]


class GrantChange(BaseModel):
    """A privilege to give or take."""

    principal: str
    privilege: str
    kind: SecurableKind
    securable: str


class NewOwner(BaseModel):
    """A user, group or service principal who shall own a securable."""

    owner: str


@router.get("/grants")
def grants(who: Caller, platform: Served, kind: Kind = None, name: str | None = None,
           principal: str | None = None) -> list[Grant]:  # fmt: skip
    """Grants on what the caller manages; of everything else only the caller's own."""
    found = platform.access.grants(kind, name, principal)
    manages = {(k, n): platform.access.may_grant(who, k, n) for k, n in {(g.kind, g.securable) for g in found}}
    return [g for g in found if g.principal in who.names or manages[g.kind, g.securable]]


@router.get("/effective-grants")
def effective_grants(name: str, who: Caller, platform: Served, kind: Kind = None,
                     principal: str | None = None) -> list[dict[str, Any]]:  # fmt: skip
    """What holds on a securable, by grants on it and above, and as owner; of others only for who manages it.

    With `principal`, what it holds by itself and by its groups.
    """
    found = platform.securables.find(who, name, kind)
    names = None if principal is None else Identity(principal, platform.identities.groups_of(principal)).names
    shown = None if platform.access.may_grant(who, found.kind, found.name) else who.names
    return [
        {"principal": r.principal, "privilege": r.privilege, "kind": found.kind, "securable": found.name,
         "inherited_from_kind": r.kind if r.securable != found.name else None,
         "inherited_from": r.securable if r.securable != found.name else None}
        for r in platform.access.effective(found.kind, found.name)
        if (names is None or r.principal in names) and (shown is None or r.principal in shown)
    ]  # fmt: skip


@router.get("/grants/check")
def check(principal: str, privilege: str, name: str, who: Caller, platform: Served, kind: Kind = None) -> dict[str, Any]:
    """Whether a principal holds a privilege, and why or why not; about others only for who manages the securable."""
    found = platform.securables.find(who, name, kind)
    if principal != who.principal:
        platform.access.authorize_grant(who, found.kind, found.name)
    asked = Identity(platform.identities.get(principal).name, platform.identities.groups_of(principal))
    steps = platform.access.explain(asked, privilege, found.kind, found.name)
    return {
        "principal": principal, "privilege": privilege, "kind": found.kind, "securable": found.name,
        "allowed": all(step.reason for step in steps),
        "steps": [{"privilege": s.privilege, "kind": s.kind, "securable": s.securable, "held": s.reason is not None,
                   "by": s.reason and {"principal": s.reason.principal, "privilege": s.reason.privilege,
                                       "kind": s.reason.kind, "securable": s.reason.securable}} for s in steps],
    }  # fmt: skip


@router.post("/grants")
def add_grant(body: GrantChange, who: Caller, platform: Served) -> None:
    """Give a privilege; needs to own the securable or what is above it, or MANAGE."""
    _check(body, who, platform)
    platform.identities.get(body.principal)
    platform.access.grant(who.principal, [body.principal], [body.privilege], body.kind, body.securable)


@router.post("/grants/revoke")
def remove_grant(body: GrantChange, who: Caller, platform: Served) -> None:
    """Take a privilege away; holds at once."""
    _check(body, who, platform)
    platform.access.revoke(who.principal, body.principal, body.privilege, body.kind, body.securable)


@router.get("/securables/{name}")
def securable(name: str, who: Caller, platform: Served, kind: Kind = None) -> dict[str, Any]:
    """What has a name: its kind, owner and comment."""
    return platform.securables.find(who, name, kind).__dict__


@router.put("/securables/{kind}/{name}/owner")
def set_owner(kind: SecurableKind, name: str, body: NewOwner, who: Caller, platform: Served) -> dict[str, str]:
    """Hand a securable over; needs to own it or what is above it, or MANAGE."""
    return {"owner": platform.securables.alter(who, kind, name, owner=body.owner).owner}


def _check(body: GrantChange, who: Identity, platform: Platform) -> None:
    if body.kind == "service_principal":
        platform.people.check_manages(who, body.securable)
        return
    platform.access.authorize_grant(who, body.kind, body.securable)
    if not platform.catalog.exists(body.kind, body.securable):
        raise NotFound(f"no {body.kind.replace('_', ' ')} is named {body.securable}")
