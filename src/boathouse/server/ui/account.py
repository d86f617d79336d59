"""One's own account: password, tokens, sessions."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from boathouse.clock import parse_span
from boathouse.environments import ENVIRONMENTS
from boathouse.errors import BoathouseError, InvalidInput
from boathouse.identity import Identity
from boathouse.platform import Platform
from boathouse.server.auth import COOKIE, Address, Caller, Served
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import done, page

router = APIRouter()
HERE = "/account"


@router.get(HERE)
def account(request: Request, who: Caller, platform: Served) -> HTMLResponse:
    """Who one is here, and every way in that one has."""
    return _account(request, who, platform)


@router.post(f"{HERE}/password")
def change_password(request: Request, who: Caller, platform: Served, fields: Fields, address: Address) -> Response:
    """Change one's own password."""
    fresh, again = fields.get("password", ""), fields.get("again", "")
    try:
        if fresh != again:
            raise InvalidInput("the two new passwords differ")
        platform.logins.set_password(who, who.principal, fresh, fields.get("current", ""), address)
    except BoathouseError as error:
        return _account(request, who, platform, wrong=error)
    return done(HERE, "The password is changed; your other sessions have ended.")


@router.post(f"{HERE}/tokens")
def create_token(request: Request, who: Caller, platform: Served, fields: Fields) -> Response:
    """A token of one's own; its secret is shown on the page that answers, and nowhere again."""
    try:
        return _account(request, who, platform, secret=make_token(who, platform, fields))
    except BoathouseError as error:
        return _account(request, who, platform, wrong=error)


@router.post(HERE + "/tokens/{token_id}/revoke")
def revoke_token(token_id: str, who: Caller, platform: Served) -> Response:
    """Make a token worthless."""
    platform.people.revoke(who, token_id)
    return done(HERE, "The token is revoked.")


@router.post(HERE + "/sessions/{session_id}/end")
def end_session(session_id: str, who: Caller, platform: Served) -> Response:
    """End one session."""
    platform.logins.end(who, session_id)
    return done(HERE, "The session has ended.")


@router.post(f"{HERE}/sessions/end")
def end_sessions(who: Caller, platform: Served) -> Response:
    """Log out everywhere, here too."""
    platform.logins.end_all(who)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def make_token(who: Identity, platform: Platform, fields: dict[str, str], principal: str | None = None) -> str:
    """The token that a form asks for. Raises InvalidInput."""
    span = fields.get("expires", "").strip()
    try:
        lifetime = parse_span(span) if span else None
    except ValueError as error:
        raise InvalidInput(f"expires: {error}") from error
    return platform.people.issue(who, principal, comment=fields.get("comment", "").strip(), lifetime=lifetime,
                                 environment=fields.get("environment") or None)  # fmt: skip


def _account(request: Request, who: Identity, platform: Platform, *, wrong: BoathouseError | None = None,
             secret: str = "") -> HTMLResponse:  # fmt: skip
    return page(
        request, who, "account.html", status=wrong.http_status if wrong else 200, wrong=str(wrong or ""), secret=secret,
        user=platform.identities.get(who.principal), tokens=platform.people.tokens(who),
        sessions=platform.logins.sessions.sessions(who.principal), has_password=platform.logins.passwords.has(who.principal),
        shortest=platform.logins.passwords.minimum, environments=ENVIRONMENTS, lifetime=platform.settings.token_lifetime,
    )  # fmt: skip
