"""A page: a template with the navigation around it, and the headers that keep foreign code out."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from boathouse.identity import Identity, form_token
from boathouse.server.auth import COOKIE, FIELD
from boathouse.server.ui import shown
from boathouse.server.ui.static import asset, graph_style, vega

NAVIGATION = (
    ("", (("/", "Environments"),)),
    ("Data", (("/tables", "Tables"), ("/features", "Features"), ("/lineage", "Lineage"), ("/sql", "SQL"))),
    ("Models", (("/models", "Models"), ("/endpoints", "Endpoints"), ("/monitoring", "Monitoring"),
                ("/trace", "Trace"), ("/mlflow/#/experiments", "MLflow"))),
    ("Work", (("/jobs", "Jobs"), ("/runs", "Runs"))),
    ("Code", (("/requests", "Requests"), ("/releases", "Releases"))),
    ("Governance", (("/access", "Access"), ("/audit", "Audit"))),
)  # fmt: skip
_SAID = "boathouse_said"
# Vega sets styles on its elements; scripts come from this server alone, without eval.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
_FORM = re.compile(r"<form\b[^>]*\bmethod=\"post\"[^>]*>")

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= shown.FILTERS
_templates.globals |= {"asset": asset, "vega": vega, "navigation": NAVIGATION}


def page(
    request: Request, who: Identity | None, template: str, *, status: int = 200, **values: Any
) -> HTMLResponse:
    """A whole page. What an earlier POST said is shown once, and each form carries the session's form token.

    Where there is no session yet, `door` is the cookie that forms are bound to.
    """
    said = unquote(request.cookies.get(_SAID, ""))
    door = values.pop("door", "")
    cookie = request.cookies.get(COOKIE) if who else door
    token = form_token(cookie) if cookie else ""
    body = fragment(template, who=who, path=request.url.path, said=said, form_token=token, **values)
    response = HTMLResponse(with_token(body, token), status, HEADERS)
    if said:
        response.delete_cookie(_SAID)
    return response


def with_token(body: str, token: str) -> str:
    """A page whose forms carry a token, each without being asked, so that none can be forgotten."""
    field = f'<input type="hidden" name="{FIELD}" value="{token}">'
    return _FORM.sub(lambda found: found[0] + field, body) if token else body


def fragment(template: str, **values: Any) -> str:
    """A template alone."""
    return _templates.get_template(template).render(values)


def part(template: str, **values: Any) -> HTMLResponse:
    """A piece of a page, for a script that puts it in place."""
    return HTMLResponse(fragment(template, **values), headers=HEADERS)


def done(url: str, said: str = "") -> Response:
    """The answer to a POST that worked: go and look, with a word of what was done."""
    response = RedirectResponse(url, 303)
    if said:
        response.set_cookie(_SAID, quote(said), max_age=30, httponly=True, samesite="lax")
    return response


def query(url: str, **values: Any) -> str:
    """An address with the values that are there."""
    pairs = [f"{name}={quote(str(value))}" for name, value in values.items() if value not in (None, "")]
    return f"{url}?{'&'.join(pairs)}" if pairs else url


_templates.globals["query"] = query
_templates.globals["graph_style"] = graph_style


def chosen(wanted: str, offered: Mapping[str, Any] | tuple[str, ...] | list[str]) -> str:
    """What was asked for if it is offered, else the first."""
    return wanted if wanted in offered else next(iter(offered), "")
