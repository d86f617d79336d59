"""Logging in at a server and out, and opening its UI."""

import contextlib
import sys
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import typer

from boathouse.cli.output import say
from boathouse.cli.session import connected, options

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_WAYS = ("browser", "password", "token")


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(login)
    app.command()(logout)
    app.command()(ui)


def login(
    url: str,
    token: str = typer.Option("", "--token", help="a token; better typed at the prompt, where no history keeps it"),
    user: str = typer.Option("", "--user", help="log in by this user's password"),
    stdin: bool = typer.Option(False, "--stdin", help="read the password, or without --user the token, from standard input"),
    identity: bool = typer.Option(False, "--identity-token", help="read a CI job's identity token from standard input"),
    browser: bool = typer.Option(False, "--browser", help="log in through the browser on this machine, in whatever way it does"),
) -> None:
    """Log in at a server. Commands and `boathouse.connect()` then use it, and the token it gave, kept for you alone."""
    from boathouse.client import Credentials, Http
    from boathouse.client.credentials import place

    url = place(url)
    if url.startswith("http://") and urlsplit(url).hostname not in _LOOPBACK:
        print("Warning: http:// to another machine sends what you type in the clear; use https://", file=sys.stderr)
    http = Http(url, _token(url, token, user, stdin, browser, identity))
    try:
        who = http.call("GET", "/api/v1/whoami")["principal"]
    finally:
        http.close()
    home = _home()
    Credentials(home / "credentials.json").put(url, who, http.token or "")
    _remember(home, url)
    say(f"logged in at {url} as {who}")


def logout(url: str = typer.Argument("", help="the server (default: the one that commands use)")) -> None:
    """Forget a server and its token; a token that `login` got is revoked."""
    from boathouse import settings
    from boathouse.client import Credentials, Http
    from boathouse.client.credentials import place
    from boathouse.errors import BoathouseError, NotFound

    home, url = _home(), url or settings.load(home=options.home).url or ""
    url = place(url) if url else ""
    token = Credentials(home / "credentials.json").remove(url) if url else None
    _remember(home, None, url)
    if not token:
        raise NotFound(f"no login at {url} is remembered" if url else "you are logged in nowhere; say which server is meant")
    http = Http(url, token)
    with contextlib.suppress(BoathouseError):  # the server may be away, or the token gone
        http.call("POST", "/api/v1/logout")
    http.close()
    say(f"logged out of {url}")


def ui(browser: bool = typer.Option(True, "--browser/--no-browser", help="open it, or only print the address")) -> None:
    """A link that opens the UI as you, once. The server must be up."""
    from boathouse.errors import Unavailable

    with connected() as lake:
        if lake.owns_home:
            raise Unavailable("no server runs on this home; `boathouse up` starts one")
        url = lake.http.url + lake.call("POST", "/api/v1/login/link")["path"]
        say(url)
        if browser:
            webbrowser.open(url)


def _token(url: str, token: str, user: str, stdin: bool, browser: bool, identity: bool) -> str:
    from boathouse.client import by_browser, by_identity_token, by_password

    if identity and (token or browser):
        raise typer.BadParameter("choose one of --identity-token, --token and --browser")
    if sum(map(bool, (token, user, browser))) > 1 or (stdin and (token or browser)):
        raise typer.BadParameter("choose one of --token, --user and --browser")
    if stdin or identity:
        word = sys.stdin.readline().strip("\r\n")
        if identity:
            return by_identity_token(url, word.strip(), user)
        return by_password(url, user, word) if user else word
    way = "token" if token else "password" if user else "browser" if browser else _choice()
    if way == "browser":
        return by_browser(url, _open)
    if way == "password":
        user = user or typer.prompt("User")
        return by_password(url, user, typer.prompt("Password", hide_input=True))
    return token or str(typer.prompt("Token", hide_input=True)).strip()


def _choice() -> str:
    if not sys.stdin.isatty():
        return "token"
    while (way := str(typer.prompt("Log in by browser, password or token", default="browser")).strip()) not in _WAYS:
        say(f"{way!r} is no way to log in")
    return way


def _open(address: str) -> None:
    say(f"Go on in the browser: {address}")
    webbrowser.open(address)


def _home() -> Path:
    from boathouse import settings

    return settings.load(home=options.home).home


def _remember(home: Path, url: str | None, former: str | None = None) -> None:
    """Write the server that commands use into the home's settings, or take it out if it is `former`."""
    from boathouse import settings

    if url is None and settings.load({}, home=str(home)).url != former:
        return
    settings.keep(home, url=url, token=None)
