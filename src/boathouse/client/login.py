"""Getting a token from a server: for a password or an identity token, or through the browser (RFC 8252: loopback, with PKCE)."""

import secrets
import socket
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from boathouse.client.http import Http
from boathouse.errors import NotPermitted, Unauthenticated

_DONE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Boathouse</title>
<p>You can close this page and go back to the command line.</p></html>"""


def by_password(url: str, user: str, password: str) -> str:
    """A token for a user's password. Raises Unauthenticated, TooManyRequests."""
    body = {"user": user, "password": password, "comment": f"boathouse login on {socket.gethostname()}"}
    return _token(url, "/api/v1/login/password", body)


def by_identity_token(url: str, token: str, principal: str = "") -> str:
    """A token of an hour for the identity token of a CI job; `principal` where it may stand for several.

    Raises Unauthenticated saying what is wrong with it, Unavailable where its issuer does not answer.
    """
    return _token(url, "/api/v1/login/oidc-token", {"token": token, **({"principal": principal} if principal else {})})


def by_browser(url: str, show: Callable[[str], None], seconds: float = 300) -> str:
    """A token for whoever says yes in a browser on this machine; `show` gets the address to open.

    Raises Unauthenticated when nobody does in time, NotPermitted for a no.
    """
    from boathouse.identity import challenge_of

    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    with _Listener() as listener:
        asked = {"port": listener.server_port, "state": state, "challenge": challenge_of(verifier), "host": socket.gethostname()}
        show(f"{url.rstrip('/')}/login/cli?{urlencode(asked)}")
        answer = listener.answer(state, seconds)
    if "error" in answer:
        raise NotPermitted("the browser said no; nothing was changed")
    return _token(url, "/api/v1/login/code", {"code": answer["code"], "verifier": verifier})


def _token(url: str, path: str, body: dict[str, str]) -> str:
    http = Http(url, None)
    try:
        return str(http.call("POST", path, body)["token"])
    finally:
        http.close()


class _Listener(HTTPServer):
    """Listens on loopback for the browser's one answer."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: list[dict[str, str]] = []

    def answer(self, state: str, seconds: float) -> dict[str, str]:
        """The first answer that carries the state; others are none of ours."""
        limit = time.monotonic() + seconds
        while (left := limit - time.monotonic()) > 0:
            self.timeout = left
            self.handle_request()
            for found in self.answers:
                if secrets.compare_digest(found.get("state", "").encode(), state.encode()):
                    return found
        raise Unauthenticated("no browser answered in time; run `boathouse login` again, or use --user or --token")


class _Answer(BaseHTTPRequestHandler):
    """Takes what the browser brings, and lets it go."""

    server: _Listener
    timeout = 10

    def do_GET(self) -> None:
        """The address that the server sent the browser to."""
        self.server.answers.append({k: v[-1] for k, v in parse_qs(urlsplit(self.path).query).items()})
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(_DONE)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the address holds the code."""
