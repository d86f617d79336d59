"""Who may do what, and who did what."""

from collections.abc import Sequence
from typing import cast

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boathouse.catalog import PRIVILEGES, Grant, SecurableKind
from boathouse.environments import ENVIRONMENTS
from boathouse.errors import InvalidInput
from boathouse.server.auth import AUDITORS, Caller, Served, check_auditor
from boathouse.server.ui import sight
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import done, page
from boathouse.server.ui.tables import visible_grants

router = APIRouter()
_KINDS = ("catalog", "schema", "table", "volume", "model", "endpoint", "job")
_LEVELS = {"catalog": 1, "schema": 2, "endpoint": 2, "job": 2}


@router.get("/access")
def access(
    request: Request, who: Caller, platform: Served, principal: str = "", securable: str = ""
) -> HTMLResponse:
    """Groups and their members, users, service principals, and grants."""
    found = [
        g
        for g in visible_grants(who, platform, platform.access.grants())
        if principal in ("", g.principal) and securable.strip() in g.securable
    ]
    principals = platform.identities.principals()
    return page(
        request,
        who,
        "access.html",
        principals=principals,
        grants=_gathered(found),
        principal=principal,
        securable=securable,
        admin=platform.people.is_admin(who),
        privileges=PRIVILEGES,
        kinds=_KINDS,
        may_grant=any(platform.access.allows(who, "MANAGE", "catalog", e) for e in ENVIRONMENTS),
    )


@router.post("/access/grants")
def grant(who: Caller, platform: Served, fields: Fields) -> Response:
    """Give a privilege; needs MANAGE on the securable or above."""
    wanted = _wanted(fields)
    platform.access.authorize(who, "MANAGE", wanted.kind, wanted.securable)
    platform.catalog.require(wanted.kind, wanted.securable)
    platform.identities.get(wanted.principal)
    platform.access.grant(
        who.principal, [wanted.principal], [wanted.privilege], wanted.kind, wanted.securable
    )
    return done("/access", f"{wanted.principal} now holds {wanted.privilege} on {wanted.securable}.")


@router.post("/access/revoke")
def revoke(who: Caller, platform: Served, fields: Fields) -> Response:
    """Take a privilege away; holds at once."""
    wanted = _wanted(fields)
    platform.access.authorize(who, "MANAGE", wanted.kind, wanted.securable)
    platform.access.revoke(who.principal, wanted.principal, wanted.privilege, wanted.kind, wanted.securable)
    return done("/access", f"{wanted.principal} no longer holds {wanted.privilege} on {wanted.securable}.")


@router.get("/audit")
def audit(
    request: Request,
    who: Caller,
    platform: Served,
    *,
    subject: str = "",
    principal: str = "",
    limit: int = 200,
) -> HTMLResponse:
    """The newest entries of the audit log; others than admins and ml-engineers see their own."""
    entries = sight.activity(who, platform, min(max(limit, 1), 2000), subject.strip() or None)
    found = [e for e in entries if principal.strip() in ("", e.principal)]
    return page(
        request,
        who,
        "audit.html",
        entries=found,
        subject=subject,
        principal=principal,
        limit=limit,
        fault=None,
        verified=False,
        auditor=bool(who.groups & AUDITORS),
    )


@router.get("/audit/verify")
def verify(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Whether the chain of the audit log is whole."""
    check_auditor(who)
    return page(
        request,
        who,
        "audit.html",
        entries=sight.activity(who, platform, 50),
        subject="",
        principal="",
        limit=50,
        fault=platform.audit.verify(),
        verified=True,
        auditor=True,
    )


def _wanted(fields: dict[str, str]) -> Grant:
    """The grant that a form names. Raises InvalidInput."""
    principal, privilege, kind, name = (
        fields.get(k, "").strip() for k in ("principal", "privilege", "kind", "securable")
    )
    if kind not in _KINDS or len(name.split(".")) != _LEVELS.get(kind, 3):
        raise InvalidInput(f"{name!r} is no full name of a {kind or 'securable'}")
    return Grant(principal, privilege, cast(SecurableKind, kind), name)


def _gathered(found: Sequence[Grant]) -> list[tuple[str, str, str, list[str]]]:
    """(principal, kind, securable, privileges), so that a catalog's dozen privileges take one row."""
    rows: dict[tuple[str, str, str], list[str]] = {}
    for g in found:
        rows.setdefault((g.securable, g.principal, g.kind), []).append(g.privilege)
    return [(who, kind, name, held) for (name, who, kind), held in sorted(rows.items())]
