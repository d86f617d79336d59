"""The API's own page of its routes, made from its OpenAPI description; nothing is fetched from elsewhere."""

from html import escape
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from boathouse.server.ui.page import HEADERS

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>API · Boathouse</title>
<style>body{{font:15px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}}
td{{padding:.3rem .8rem .3rem 0;vertical-align:top}}code{{font-size:.9em}}h2{{margin-top:2rem}}</style>
<h1>Boathouse API {version}</h1><p>Send a token as <code>Authorization: Bearer …</code>. The whole description is
<a href="/api/openapi.json">OpenAPI</a>; an error is <code>{{"error_code", "message", "details"}}</code>.</p>{rooms}</html>"""


def describe(api: FastAPI) -> str:
    """The page."""
    rooms: dict[str, list[str]] = {}
    for path, methods in api.openapi()["paths"].items():
        for method, route in methods.items():
            rooms.setdefault((route.get("tags") or ["other"])[0], []).append(_row(method, path, route))
    parts = [f"<h2>{escape(room)}</h2><table>{''.join(rows)}</table>" for room, rows in sorted(rooms.items())]
    return _PAGE.format(version=escape(api.version), rooms="".join(parts))


def _row(method: str, path: str, route: dict[str, Any]) -> str:
    where = [p["name"] for p in route.get("parameters", ()) if p["in"] == "query"]
    asked = f" <code>?{escape('&'.join(where))}</code>" if where else ""
    said = escape(route.get("description") or route.get("summary") or "")
    return f"<tr><td><code>{method.upper()}</code><td><code>{escape(path)}</code>{asked}<td>{said}"


def add_docs(api: FastAPI) -> None:
    """Serve the page at /api/docs."""

    @api.get("/api/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(describe(api), headers=HEADERS)
