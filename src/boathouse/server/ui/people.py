"""A principal's page: what it is in, and for who manages it, its tokens and what becomes of it."""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from boathouse.environments import ENVIRONMENTS
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import Address, Caller, Served
from boathouse.server.ui.account import make_token
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import done, page

router = APIRouter()
_ONE = "/access/principals/{name}"
_KINDS = ("user", "group", "service_principal")


@router.get(_ONE)
def principal(request: Request, name: str, who: Caller, platform: Served) -> HTMLResponse:
    """One user, group or service principal."""
    return _shown(request, name, who, platform)


@router.post("/access/principals")
def create(who: Caller, platform: Served, fields: Fields) -> Response:
    """A new user, group or service principal."""
    kind, name = fields.get("kind", ""), fields.get("name", "").strip()
    if kind not in _KINDS:
        raise InvalidInput(f"{kind!r} is no kind of principal; they are {', '.join(_KINDS)}")
    platform.people.create(who, name, kind)  # type: ignore[arg-type]
    return done(_at(name), f"{name} is there now.")


@router.post(_ONE + "/members")
def change_members(name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """Put somebody into a group, or take somebody out."""
    member = fields.get("member", "").strip()
    if fields.get("change") == "remove":
        platform.people.remove_member(who, name, member)
        return done(_at(name), f"{member} is no longer in {name}.")
    platform.people.add_member(who, name, member)
    return done(_at(name), f"{member} is in {name}.")


@router.post(_ONE + "/tokens")
def create_token(request: Request, name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """A token of somebody whom the caller manages; its secret is shown on the page that answers, and nowhere again."""
    try:
        return _shown(request, name, who, platform, secret=make_token(who, platform, fields, name))
    except BoathouseError as error:
        return _shown(request, name, who, platform, wrong=error)


@router.post(_ONE + "/tokens/{token_id}/revoke")
def revoke_token(name: str, token_id: str, who: Caller, platform: Served) -> Response:
    """Make a token worthless."""
    platform.people.revoke(who, token_id)
    return done(_at(name), "The token is revoked.")


@router.post(_ONE + "/workloads/{rule_id}/remove")
def distrust(name: str, rule_id: str, who: Caller, platform: Served) -> Response:
    """Trust an issuer no more."""
    platform.federation.distrust(who, name, rule_id)
    return done(_at(name), "The rule is removed.")


@router.post(_ONE + "/password")
def set_password(request: Request, name: str, who: Caller, platform: Served, fields: Fields, address: Address) -> Response:
    """Give a user a password."""
    try:
        platform.logins.set_password(who, name, fields.get("password", ""), None, address)
    except BoathouseError as error:
        return _shown(request, name, who, platform, wrong=error)
    return done(_at(name), f"{name} has a new password, and no session any more.")


@router.post(_ONE + "/disable")
def disable(name: str, who: Caller, platform: Served) -> Response:
    """Let somebody in no more."""
    platform.people.disable(who, name)
    return done(_at(name), f"{name} is disabled; all tokens and sessions have ended.")


@router.post(_ONE + "/enable")
def enable(name: str, who: Caller, platform: Served) -> Response:
    """Let somebody in again."""
    platform.people.enable(who, name)
    return done(_at(name), f"{name} is enabled.")


@router.post(_ONE + "/delete")
def delete(request: Request, name: str, who: Caller, platform: Served, fields: Fields) -> Response:
    """Forget somebody; what they own goes to another."""
    try:
        moved = platform.people.delete(who, name, fields.get("to", "").strip() or None)
    except BoathouseError as error:
        return _shown(request, name, who, platform, wrong=error)
    return done("/access", f"{name} is deleted" + (f"; {fields['to']} owns its {moved} securables." if moved else "."))


def _at(name: str) -> str:
    return f"/access/principals/{quote(name, safe='')}"


def _shown(request: Request, name: str, who: Identity, platform: Platform, *, wrong: BoathouseError | None = None,
           secret: str = "") -> HTMLResponse:  # fmt: skip
    found = platform.identities.get(name)
    manages = platform.people.manages(who, name)
    return page(
        request, who, "principal.html", status=wrong.http_status if wrong else 200, wrong=str(wrong or ""), secret=secret,
        one=found, here=_at(name), groups=sorted(platform.identities.groups_of(name)), manages=manages,
        admin=platform.people.is_admin(who), everyone=[p.name for p in platform.identities.principals()],
        tokens=platform.people.tokens(who, name) if manages and found.kind != "group" else (),
        trusted=platform.federation.trusted(who, name) if manages and found.kind == "service_principal" else (),
        sessions=platform.logins.sessions.sessions(name) if manages else (), owned=platform.people.owned(who, name),
        shortest=platform.logins.passwords.minimum, environments=ENVIRONMENTS, lifetime=platform.settings.token_lifetime,
    )  # fmt: skip
