"""Logging in outside of browsers, passwords and sessions."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from boathouse.identity import Session
from boathouse.server.auth import Address, Caller, Served

router = APIRouter(prefix="/api/v1", tags=["login"])


class PasswordLogin(BaseModel):
    """A user with the password; `comment` says what the token is for."""

    user: str
    password: str
    comment: str = "login"


class CodeLogin(BaseModel):
    """What the browser handed to the command line, and what the command line alone knows."""

    code: str
    verifier: str


class NewPassword(BaseModel):
    """A password to have, and the one of now."""

    password: str
    current: str | None = None


@router.get("/login")
def ways_in(platform: Served) -> dict[str, Any]:
    """How one may log in here; anyone may ask."""
    oidc = platform.federation.oidc
    return {"methods": ["password", "token", "browser"], "provider": oidc.provider.name if oidc else None}


@router.post("/login/password")
def by_password(body: PasswordLogin, platform: Served, address: Address) -> dict[str, str]:
    """A token for a user's password. Wrong ones are answered alike, and ever more slowly."""
    principal = platform.logins.check_password(body.user, body.password, address)
    return {"principal": principal, "token": platform.logins.issue(principal, "password", body.comment, address)}


@router.post("/login/code")
def by_code(body: CodeLogin, platform: Served, address: Address) -> dict[str, str]:
    """A token for the code that a browser handed to the command line; good once."""
    principal, token = platform.logins.redeem_code(body.code, body.verifier, address)
    return {"principal": principal, "token": token}


@router.post("/logout")
def logout(who: Caller, platform: Served) -> None:
    """End the session that asks, or revoke the token that asks if a login made it; any other token stays."""
    platform.logins.logout(who)


@router.post("/login/link")
def make_link(who: Caller, platform: Served) -> dict[str, str]:
    """A path that opens the UI as the caller, once."""
    return {"path": platform.logins.make_link(who)}


@router.get("/sessions")
def sessions(who: Caller, platform: Served) -> list[Session]:
    """The caller's sessions in browsers."""
    return platform.logins.sessions.sessions(who.principal)


@router.delete("/sessions")
def end_sessions(who: Caller, platform: Served) -> dict[str, int]:
    """End all of the caller's sessions."""
    return {"ended": platform.logins.end_all(who)}


@router.delete("/sessions/{session_id}")
def end_session(session_id: str, who: Caller, platform: Served) -> None:
    """End one of the caller's sessions."""
    platform.logins.end(who, session_id)


@router.put("/users/{name}/password")
def set_password(name: str, body: NewPassword, who: Caller, platform: Served, address: Address) -> None:
    """Give a user a password: admins anyone, others themselves, with the current one if there is one."""
    platform.logins.set_password(who, name, body.password, body.current, address)
