"""Grants on a securable: read, changed, and as they come down from above."""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from boathouse.catalog import METASTORE, Grant, SecurableKind
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Caller, Served
from boathouse.server.unity.dialect import speaks_sdk, spelled
from boathouse.server.unity.route import UnityRoute
from boathouse.server.unity.securable import KINDS, check_principal, kind_of, seen

router = APIRouter(route_class=UnityRoute)
_TYPES: dict[str, str] = {kind: name.upper() for name, kind in KINDS.items()}


class Change(BaseModel):
    """PermissionsChange: privileges to give a principal, and to take."""

    principal: str
    add: list[str] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)


class Changes(BaseModel):
    """UpdatePermissions."""

    changes: list[Change] = Field(default_factory=list)


@router.get("/permissions/{securable_type}/{full_name}")
def permissions(securable_type: str, full_name: str, who: Caller, platform: Served, request: Request,
                principal: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Grants on this securable itself: all for who manages it, else the caller's own."""
    kind, name = _target(who, platform, securable_type, full_name)
    return {"privilege_assignments": _assignments(_shown(who, platform, kind, name, principal), speaks_sdk(request))}


@router.patch("/permissions/{securable_type}/{full_name}")
def change_permissions(securable_type: str, full_name: str, body: Changes, who: Caller, platform: Served,
                       request: Request) -> dict[str, Any]:  # fmt: skip
    """Give and take privileges, all or none; needs MANAGE."""
    kind, name = _target(who, platform, securable_type, full_name)
    platform.access.authorize_grant(who, kind, name)
    for change in body.changes:
        check_principal(platform, change.principal)
    with platform.database.writing():
        for change in body.changes:
            platform.access.grant(who.principal, [change.principal], change.add, kind, name)
            for privilege in change.remove:
                platform.access.revoke(who.principal, change.principal, privilege, kind, name)
    return {"privilege_assignments": _assignments(_shown(who, platform, kind, name, None), speaks_sdk(request))}


@router.get("/effective-permissions/{securable_type}/{full_name}")
def effective_permissions(securable_type: str, full_name: str, who: Caller, platform: Served, request: Request,
                          principal: str | None = None) -> dict[str, Any]:  # fmt: skip
    """Grants that hold here, with the securable above that each comes from."""
    kind, name = _target(who, platform, securable_type, full_name)
    shown = None if platform.access.may_grant(who, kind, name) else who.names
    held: dict[str, list[dict[str, Any]]] = {}
    for reason in platform.access.effective(kind, name):
        if principal not in (None, reason.principal) or (shown is not None and reason.principal not in shown):
            continue
        for privilege in spelled([reason.privilege], speaks_sdk(request)):
            found: dict[str, Any] = {"privilege": privilege}
            if (reason.kind, reason.securable) != (kind, name):
                found |= {"inherited_from_type": _TYPES[reason.kind], "inherited_from_name": reason.securable}
            held.setdefault(reason.principal, []).append(found)
    return {"privilege_assignments": [{"principal": p, "privileges": held[p]} for p in sorted(held)]}


def _target(who: Identity, platform: Platform, securable_type: str, full_name: str) -> tuple[SecurableKind, str]:
    kind = kind_of(platform, securable_type, full_name)
    if kind == "metastore":  # there is one, whatever a client calls it
        return kind, METASTORE
    name = seen(who, platform, kind, full_name)
    platform.catalog.require(kind, name)
    return kind, name


def _shown(who: Identity, platform: Platform, kind: SecurableKind, name: str, principal: str | None) -> list[Grant]:
    manages = platform.access.may_grant(who, kind, name)
    return [
        g for g in platform.access.grants(kind, name)
        if (manages or g.principal in who.names) and principal in (None, g.principal)
    ]  # fmt: skip


def _assignments(grants: Iterable[Grant], sdk: bool) -> list[dict[str, Any]]:
    held: dict[str, list[str]] = {}
    for grant in grants:
        held.setdefault(grant.principal, []).extend(spelled([grant.privilege], sdk))
    return [{"principal": p, "privileges": sorted(held[p])} for p in sorted(held) if held[p]]
