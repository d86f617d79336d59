"""Lets the command line of one's own machine in, from the browser (RFC 8252: a loopback address, with PKCE)."""

import re

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from boathouse.errors import InvalidInput
from boathouse.server.auth import Caller, Served
from boathouse.server.ui.form import Fields
from boathouse.server.ui.page import HEADERS, page, query

router = APIRouter()
_HERE = "/login/cli"
_WORD = re.compile(r"[A-Za-z0-9_-]{16,128}")


@router.get(_HERE)
def ask(request: Request, who: Caller, platform: Served, port: int, state: str, challenge: str, host: str = "") -> Response:
    """Whether the command line that opened this page may act as who is logged in here."""
    _check(port, state, challenge)
    response = page(request, who, "command_line.html", port=port, state=state, challenge=challenge, host=host[:80],
                    lifetime=platform.settings.token_lifetime)  # fmt: skip
    back = f"form-action 'self' http://127.0.0.1:{port}"  # browsers hold what a form's answer leads to against it
    response.headers["Content-Security-Policy"] = HEADERS["Content-Security-Policy"].replace("form-action 'self'", back)
    return response


@router.post(_HERE)
def answer(who: Caller, platform: Served, fields: Fields) -> Response:
    """Hand a code to the command line, on this browser's own machine and nowhere else."""
    given = fields.get("port", "")
    port = int(given) if given.isdecimal() else 0
    state, challenge = fields.get("state", ""), fields.get("challenge", "")
    _check(port, state, challenge)
    back = f"http://127.0.0.1:{port}/"
    if fields.get("answer") != "yes":
        return RedirectResponse(query(back, error="refused", state=state), 303)
    code = platform.logins.make_code(who, challenge, f"boathouse login on {fields.get('host', '')[:80] or 'a machine'}")
    return RedirectResponse(query(back, code=code, state=state), 303)


def _check(port: int, state: str, challenge: str) -> None:
    if not 1024 <= port <= 65535 or not _WORD.fullmatch(state) or not _WORD.fullmatch(challenge):
        raise InvalidInput("this address is not one that `boathouse login` makes; run it again")
