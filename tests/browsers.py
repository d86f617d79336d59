"""People's browsers, as clients of a server."""

import contextlib
from collections.abc import Callable, Iterator

import httpx

from boathouse.identity import form_token
from boathouse.server import Server

Browser = Callable[..., httpx.Client]


@contextlib.contextmanager
def browsers(server: Server) -> Iterator[Browser]:
    """Opens clients with somebody's session, as a browser would send it; without a name nobody's."""
    with contextlib.ExitStack() as opened:

        def open_as(name: str = "") -> httpx.Client:
            client = opened.enter_context(httpx.Client(base_url=server.url, verify=False, trust_env=False, timeout=60))
            client.headers["Origin"] = server.url
            if name:
                who = server.platform.operator if name == "operator" else name
                cookie = server.platform.logins.open(who, "password", address="test")
                client.cookies["boathouse_session"] = cookie
                client.headers["X-CSRF-Token"] = form_token(cookie)
            return client

        yield open_as
