"""What a browser gets instead of a page: the way to log in, or what was refused and why."""

from contextlib import suppress
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from boathouse.errors import BoathouseError, Unauthenticated
from boathouse.identity import Identity
from boathouse.server.auth import identity_of
from boathouse.server.ui.page import page

_NOT_PAGES = ("/api", "/serving-endpoints", "/health", "/metrics", "/static", "/mlflow", "/ajax-api")
_TITLES = {
    400: "This cannot be right",
    401: "Who are you?",
    403: "Not permitted",
    404: "Not here",
    409: "Not now",
    503: "Not available",
}


def is_page(request: Request) -> bool:
    """Whether a path belongs to the UI, so that its errors are pages."""
    path = request.url.path
    return not any(path == root or path.startswith(f"{root}/") for root in _NOT_PAGES)


def refusal(request: Request, status: int, message: str, error: BoathouseError | None = None) -> Response:
    """A page that says what was refused; without an identity, the way to the login."""
    if isinstance(error, Unauthenticated) and request.method in ("GET", "HEAD"):
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse("/login" if wanted == "/" else f"/login?next={quote(wanted)}", 303)
    who: Identity | None = None
    with suppress(BoathouseError):
        who = identity_of(request)
    title = _TITLES.get(status, "This failed")
    return page(request, who, "refusal.html", status=status, title=title, code=status, message=message)
