"""Projects and where they come from."""

import sys

import typer

from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput

projects = typer.Typer(help="Projects known to the server, and their Git remotes.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(projects, name="projects")


@projects.command("list")
def list_projects(as_json: bool = JSON) -> None:
    """Projects, with the remote that each comes from."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/projects"), ["name", "origin", "created_by", "created_at"], as_json, empty="no projects")


@projects.command("show")
def show_project(name: str, as_json: bool = JSON) -> None:
    """One project."""
    with connected() as lake:
        found = [p for p in lake.call("GET", "/api/v1/projects") if p["name"] == name]
        if not found:
            raise InvalidInput(f"no project is named {name!r}; `boathouse projects list` shows them")
        facts(found[0], as_json)


@projects.command()
def remote(
    name: str,
    url: str = typer.Argument("", help="https://…, ssh://…, git@host:path, or a path on the server's machine"),
    none: bool = typer.Option(False, "--none", help="from no remote any more"),
    token_stdin: bool = typer.Option(False, "--token-stdin", help="read a token for a private https remote from stdin"),
) -> None:
    """Say where a project comes from, and fetch it. `boathouse projects remote shop https://github.com/acme/shop.git`."""
    if bool(url) == none:
        raise InvalidInput("give a URL, or --none")
    token = sys.stdin.readline().strip() if token_stdin else None
    with connected() as lake:
        lake.call("PUT", f"/api/v1/projects/{name}/origin", {"url": url or None, "token": token})
        if url:
            _say_moved(lake.call("POST", f"/api/v1/projects/{name}/fetch")["moved"], name)
        else:
            say(f"{name} comes from no remote")


@projects.command()
def fetch(name: str) -> None:
    """Bring the server's copy of a project up to its remote. `boathouse projects fetch shop`."""
    with connected() as lake:
        _say_moved(lake.call("POST", f"/api/v1/projects/{name}/fetch")["moved"], name)


@projects.command()
def webhook(name: str) -> None:
    """A new secret, shown this once, and the address for a Git host's webhooks. `boathouse projects webhook shop`."""
    with connected() as lake:
        made = lake.call("PUT", f"/api/v1/projects/{name}/webhook")
        say(f"payload URL  {lake.http.url}{made['path']}")
        say(f"secret       {made['secret']}")
        say("events       pushes and pull (merge) requests, as application/json")


@projects.command()
def statuses(
    name: str,
    url: str = typer.Option("", "--url", help="the API's address of the repository, where the remote's host does not tell"),
    token_stdin: bool = typer.Option(False, "--token-stdin", help="read the token that may set statuses from stdin"),
    none: bool = typer.Option(False, "--none", help="tell the host nothing any more"),
) -> None:
    """Tell GitHub or GitLab of a project's checks as commit statuses. `projects statuses shop --token-stdin < token`."""
    if token_stdin == none:
        raise InvalidInput("give a token with --token-stdin, or --none")
    token = sys.stdin.readline().strip() if token_stdin else None
    with connected() as lake:
        made = lake.call("PUT", f"/api/v1/projects/{name}/statuses", {"url": url or None, "token": token})["url"]
        say(f"{name}: checks are told to {made}" if made else f"{name}: no Git host is told of checks")


def _say_moved(moved: dict[str, str], name: str) -> None:
    for branch, head in moved.items():
        say(f"{branch} is at {head[:12]}")
    if not moved:
        say(f"{name} is up to date")
