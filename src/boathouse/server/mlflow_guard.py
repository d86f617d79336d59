"""What stands before MLflow: who asks, from where, for which route. Names and models are its stores' business.

A route that the table does not hold, or holds as refused, is not there.
"""

import base64
import binascii
import json
import re
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import replace
from functools import cache, partial
from html import escape
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

import anyio.to_thread

from boathouse.database import Database
from boathouse.errors import BoathouseError, InvalidInput, NotFound, NotPermitted, Unauthenticated
from boathouse.registry import MAY_LOG, MAY_READ, Actor, Denied, acting_as, check_files, unheard
from boathouse.server.mlflow_routes import ROUTES

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

UI = "/mlflow"
ROOTS = (
    "/api/2.0/mlflow/", "/api/2.0/mlflow-artifacts/", "/api/3.0/mlflow/", "/ajax-api/", "/graphql", "/version",
    "/get-artifact", "/model-versions/get-artifact", "/v1/traces",
)  # fmt: skip
FILES = "/api/2.0/mlflow-artifacts/"
_SAFE = ("GET", "HEAD")
_JSON = [(b"content-type", b"application/json")]
_PAGE = [(b"content-type", b"text/html; charset=utf-8"), (b"x-content-type-options", b"nosniff"),
         (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")]  # fmt: skip
_REFUSAL = """<!doctype html><html lang="en"><meta charset="utf-8"><title>MLflow · Boathouse</title>
<style>body{{font:16px/1.5 system-ui;max-width:40rem;margin:4rem auto;padding:0 1rem;color-scheme:light dark}}</style>
<h1>MLflow is not open to you</h1><p>{message}</p><p><a href="/">To the environments</a></p></html>"""
_NOTHING = b'{"endpoints": [], "scorers": []}'
"""What MLflow's pages are told of the parts that are shut: that there are none."""
_FENCE = {
    b"content-security-policy": (
        b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
        b"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; frame-src 'self' blob: data:; "
        b"object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
    ),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"SAMEORIGIN",
    b"referrer-policy": b"same-origin",
}
"""Headers of MLflow's pages. Their scripts are what they are; `connect-src` falls back to this server alone."""
_OF_EXPERIMENTS = re.compile(r"/api/[23]\.0/mlflow/(runs|experiments|logged-models)/|/api/2\.0/mlflow-artifacts/")
"""What may be written in an experiment that is shared, by who does not work in its environment."""
_TWISTED = re.compile(r"//|/\.\.?(/|$)|\\|[\x00-\x1f\x7f]|%[0-9a-fA-F]{2}")


class Identity(Protocol):
    """What the guard needs of an identity."""

    @property
    def principal(self) -> str:
        """The name that grants and the audit log know."""

    @property
    def environment(self) -> str | None:
        """The one environment the token was made for, if any."""


Authenticate = Callable[[str | None], Identity]
Allow = Callable[[Any, str, str], bool]
Shared = Callable[[Any, str], tuple[int, ...]]
"""(identity, privilege) -> the experiments on which it was granted it."""


def _nothing(_identity: Any, _privilege: str) -> tuple[int, ...]:
    return ()


def owns(path: str) -> bool:
    """Whether a path of the port belongs to MLflow."""
    return path == UI or path.startswith(f"{UI}/") or any(path == r or (r[-1] == "/" and path.startswith(r)) for r in ROOTS)


class Guard:
    """An ASGI app in front of another."""

    def __init__(
        self, app: App, database: Database, authenticate: Authenticate, allow: Allow, *,
        session: Authenticate | None = None, cookie: str | None = None, login_url: str | None = None,
        environments: Sequence[str] = ("dev", "staging", "prod"), denied: Denied = unheard, shared: Shared = _nothing,
    ) -> None:  # fmt: skip
        self._app = app
        self._shared = shared
        self._denied = denied
        self._database = database
        self._authenticate = authenticate
        self._allow = allow
        self._session = session or authenticate
        self._cookie = cookie
        self._login_url = login_url
        self._environments = environments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, on behalf of whoever sent it, or answer why not."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in scope["headers"]}
        if scope["path"] == UI:
            await _redirect(send, f"{UI}/")
            return
        try:
            path = canonical(scope["path"])
            kind = route(path, scope["method"])
            check_origin(scope["method"], headers, by_cookie="authorization" not in headers and "cookie" in headers)
            if kind == "open":
                await self._app(_passed(scope, path), receive, send)
                return
            query = scope.get("query_string", b"").decode("latin-1")
            actor = await anyio.to_thread.run_sync(self._admit, kind, path, headers, query)
            if kind == "empty":
                await _answer(send, 200, _JSON, _NOTHING)
                return
        except Unauthenticated as error:
            if self._login_url and "text/html" in headers.get("accept", ""):
                await _redirect(send, f"{self._login_url}?next={quote(scope['path'])}")
            else:
                await _refuse(send, error)
        except BoathouseError as error:
            await (_show if "text/html" in headers.get("accept", "") else _refuse)(send, error)
        else:
            with acting_as(actor):
                await self._app(_passed(scope, path), receive, _fenced(send) if kind == "page" else _sandboxed(send))

    def _admit(self, kind: str, path: str, headers: dict[str, str], query: str) -> Actor:
        token, asked = credentials(headers, self._cookie, self._environments)
        known_by = self._authenticate if "authorization" in headers or not token else self._session
        identity = known_by(token)
        if identity.environment and asked not in (None, identity.environment):
            raise NotPermitted(f"the token is for {identity.environment}, not for {asked}")

        def allow(privilege: str, name: str) -> bool:
            return self._allow(identity, privilege, name)

        wanted = identity.environment or asked
        usable = [e for e in ([wanted] if wanted else self._environments) if allow("USE CATALOG", e)]
        if not usable:
            self._denied(identity.principal, "USE CATALOG", wanted or self._environments[0])
            raise NotPermitted(f"{identity.principal} lacks USE CATALOG on {wanted or ' and '.join(self._environments)}")
        environment = usable[0]
        bound = identity.environment is not None
        scratch, run = getattr(identity, "scratch", None), getattr(identity, "run_id", None)
        known = tuple(self._environments)
        shared = cache(partial(self._shared, identity))
        actor = Actor(identity.principal, allow, environment, scratch, bound, self._denied, known, run, shared)
        writes = kind in ("write", "files-write")
        a_task = run or actor.scratch
        if writes and not a_task and not actor.may(MAY_LOG, environment):
            if _OF_EXPERIMENTS.match(_plain(path)) and shared("MODIFY"):
                return self._outside(actor, kind, path, query)
            self._denied(actor.principal, MAY_LOG[0], environment)
            raise NotPermitted(f"{actor.principal} lacks {' or '.join(MAY_LOG)} on {environment}, which logging takes")
        if kind in ("read", "files") and not a_task and not actor.may(MAY_READ, environment):
            if shared("SELECT"):
                return self._outside(actor, kind, path, query)
            self._denied(actor.principal, MAY_READ[0], environment)
            raise NotPermitted(f"{actor.principal} lacks {' or '.join(MAY_READ)} on {environment}, which MLflow's runs take")
        return self._at_files(actor, kind, path, query)

    def _outside(self, actor: Actor, kind: str, path: str, query: str) -> Actor:
        """One who does not work in the environment, and has experiments there that are shared."""
        return self._at_files(replace(actor, outside=True), kind, path, query)

    def _at_files(self, actor: Actor, kind: str, path: str, query: str) -> Actor:
        if kind.startswith("files"):
            check_files(self._database, actor, file_path(path, query), write=kind == "files-write")
        return actor


def canonical(path: str) -> str:
    """The path as MLflow's routes know it: decoded once, without the UI's prefix. Raises InvalidInput."""
    if _TWISTED.search(path):
        raise InvalidInput(f"the path {path!r} is not written plainly")
    return path.removeprefix(UI) if path.startswith(f"{UI}/") else path


def file_path(path: str, query: str) -> str:
    """The artifact that a request to MLflow's files means, whether the path or the query names it. Raises InvalidInput."""
    verb, _, rest = _plain(path).removeprefix(FILES).partition("/")
    named = parse_qs(query, keep_blank_values=True).get("path", [])
    if rest and not named:
        return rest
    if rest or len(named) != 1 or verb != "artifacts" or _TWISTED.search(f"/{named[0]}"):
        raise InvalidInput("name one artifact, written plainly, below a run, a logged model or a trace")
    return named[0]


def _plain(path: str) -> str:
    return re.sub("^/ajax-api/", "/api/", path)


def route(path: str, method: str) -> str:
    """What a request needs, after the table. Raises NotFound."""
    plain = _plain(path)
    method = "GET" if method == "HEAD" else method
    found = _EXACT.get((plain, method)) or next((k for shape, m, k in _SHAPED if m == method and shape.fullmatch(plain)), None)
    if found in (None, "refused"):
        raise NotFound(f"Boathouse does not serve {method} {path} of MLflow")
    return str(found)


def check_origin(method: str, headers: dict[str, str], *, by_cookie: bool) -> None:
    """Pass unless a change comes from another site's page. Raises NotPermitted."""
    origin = headers.get("origin")
    if method in _SAFE or (origin is None and not by_cookie):
        return
    if origin is None or origin.partition("://")[2] != headers.get("host"):
        raise NotPermitted(f"a page of {origin or 'unknown origin'} may not change anything here")


def credentials(headers: dict[str, str], cookie: str | None, environments: Sequence[str]) -> tuple[str | None, str | None]:
    """(token, environment): a bearer token or a password, `TOKEN` or `TOKEN@ENV`, or the session.

    The user beside a password is an environment, or any name: the token alone says who asks.
    """
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        token, _, asked = value.strip().partition("@")
        return token, asked or None
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None, None
        token, _, asked = password.partition("@")
        return token, asked or (user if user in environments else None)
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(cookie) if cookie else None
    except CookieError:
        morsel = None
    return (morsel.value if morsel else None), None


def _table(rows: Iterable[tuple[str, str, str]]) -> tuple[dict[tuple[str, str], str], list[tuple[re.Pattern[str], str, str]]]:
    exact, shaped = {}, []
    for kind, path, methods in rows:
        for method in methods.split():
            if "<" in path:
                shape = re.sub("<path:[^>]*>", "(?:.+)", re.sub("<[^:>]*>", "(?:[^/]+)", path))
                shaped.append((re.compile(shape), method, kind))
            else:
                exact[path, method] = kind
    return exact, shaped


_EXACT, _SHAPED = _table(ROUTES)


def _passed(scope: Scope, path: str) -> Scope:
    # the origin was checked here; MLflow would know local ones only. Its credentials end here, too.
    headers = [(k, v) for k, v in scope["headers"] if k.lower() not in (b"origin", b"authorization", b"cookie")]
    return {**scope, "path": path, "raw_path": quote(path).encode(), "root_path": "", "headers": headers}


def _fenced(send: Send) -> Send:
    """MLflow's own pages load nothing from elsewhere, tell nothing to elsewhere, and are framed by nobody else."""

    async def fenced(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = [(k, v) for k, v in message.get("headers", ()) if k.lower() not in _FENCE]
            message = {**message, "headers": [*kept, *_FENCE.items()]}
        await send(message)

    return fenced


def _sandboxed(send: Send) -> Send:
    """Files that users made open without rights to this site: no script, no session."""

    async def sandboxed(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kinds = [v for k, v in message.get("headers", ()) if k.lower() == b"content-disposition"]
            if kinds:
                message = {**message, "headers": [*message["headers"], (b"content-security-policy", b"sandbox")]}
        await send(message)

    return sandboxed


async def _refuse(send: Send, error: BoathouseError) -> None:
    asks = [(b"www-authenticate", b'Bearer realm="Boathouse"')] if error.http_status == 401 else []
    await _answer(send, error.http_status, [*_JSON, *asks], json.dumps(error.to_dict()).encode())


async def _show(send: Send, error: BoathouseError) -> None:
    """A refusal for whoever looks at MLflow's pages in a browser."""
    page = _REFUSAL.format(message=escape(str(error))).encode()
    await _answer(send, error.http_status, _PAGE, page)


async def _redirect(send: Send, location: str) -> None:
    await _answer(send, 303, [(b"location", location.encode())], b"")


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
