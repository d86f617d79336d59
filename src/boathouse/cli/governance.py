"""Who may do what, and who did: principals, groups, grants, tokens, the audit log."""

import typer

from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import connected

grants = typer.Typer(help="Privileges on environments, schemas, tables, models, endpoints and jobs.", no_args_is_help=True)
users = typer.Typer(help="People.", no_args_is_help=True)
groups = typer.Typer(help="Groups of principals; grants usually name groups.", no_args_is_help=True)
principals = typer.Typer(help="Users, groups and service principals.", no_args_is_help=True)
tokens = typer.Typer(help="Your tokens for HTTP, MLflow clients and CI.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    for group, name in ((grants, "grants"), (users, "users"), (groups, "groups"), (principals, "principals"), (tokens, "tokens")):
        app.add_typer(group, name=name)
    app.command()(whoami)
    app.command()(audit)


def whoami(as_json: bool = JSON) -> None:
    """Who you are here, and your groups."""
    with connected() as lake:
        facts({**lake.call("GET", "/api/v1/whoami"), "server": lake.http.url}, as_json)


@grants.command("list")
def list_grants(name: str = typer.Argument("", help="one securable only"), as_json: bool = JSON) -> None:
    """Grants you may see."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/grants", params={"name": name or None})
        show(rows, ["securable", "kind", "principal", "privilege"], as_json)


def _securable(**given: str) -> tuple[str, str]:
    named = [(kind, name) for kind, name in given.items() if name]
    if len(named) != 1:
        raise typer.BadParameter("name one of --catalog, --schema, --table, --model, --endpoint, --job, --function")
    return named[0]


def _change(verb: str, privilege: str, principal: str, securable: tuple[str, str]) -> None:
    with connected() as lake:
        body = {"principal": principal, "privilege": privilege, "kind": securable[0], "securable": securable[1]}
        lake.call("POST", f"/api/v1/grants{verb}", body)


@grants.command("add")
def add_grant(
    privilege: str,
    to: str = typer.Option(..., "--to", help="a user, group or service principal"),
    catalog: str = "", schema: str = "", table: str = "", model: str = "", endpoint: str = "", job: str = "", function: str = "",
) -> None:  # fmt: skip
    """Give a privilege, for example `grants add SELECT --table prod.features.weather --to data-scientists`."""
    securable = _securable(catalog=catalog, schema=schema, table=table, model=model, endpoint=endpoint, job=job,
                            function=function)  # fmt: skip
    _change("", privilege, to, securable)
    say(f"{to} holds {privilege.upper()} on {securable[1]}")


@grants.command("remove")
def remove_grant(
    privilege: str,
    source: str = typer.Option(..., "--from", help="who holds it"),
    catalog: str = "", schema: str = "", table: str = "", model: str = "", endpoint: str = "", job: str = "", function: str = "",
) -> None:  # fmt: skip
    """Take a privilege away; holds at once."""
    securable = _securable(catalog=catalog, schema=schema, table=table, model=model, endpoint=endpoint, job=job,
                            function=function)  # fmt: skip
    _change("/revoke", privilege, source, securable)
    say(f"{source} no longer holds {privilege.upper()} on {securable[1]}")


def _list_principals(kind: str | None, as_json: bool) -> None:
    with connected() as lake:
        rows = [p for p in lake.call("GET", "/api/v1/principals") if kind in (None, p["kind"])]
        show(rows, ["name", "kind", "members"], as_json)


def _create_principal(name: str, kind: str) -> None:
    with connected() as lake:
        lake.call("POST", "/api/v1/principals", {"name": name, "kind": kind})
        say(f"created the {kind.replace('_', ' ')} {name}")


@principals.command("list")
def list_principals(as_json: bool = JSON) -> None:
    """Everyone grants can name."""
    _list_principals(None, as_json)


@principals.command("create")
def create_principal(name: str) -> None:
    """A new service principal."""
    _create_principal(name, "service_principal")


@users.command("list")
def list_users(as_json: bool = JSON) -> None:
    """Users."""
    _list_principals("user", as_json)


@users.command("create")
def create_user(name: str) -> None:
    """A new user; `boathouse tokens create --for NAME` gives them a way in."""
    _create_principal(name, "user")


@groups.command("list")
def list_groups(as_json: bool = JSON) -> None:
    """Groups and their members."""
    _list_principals("group", as_json)


@groups.command("create")
def create_group(name: str) -> None:
    """A new group."""
    _create_principal(name, "group")


@groups.command("add")
def add_member(group: str, member: str) -> None:
    """Put a principal into a group."""
    with connected() as lake:
        lake.call("PUT", f"/api/v1/groups/{group}/members/{member}")
        say(f"{member} is in {group}")


@groups.command("remove")
def remove_member(group: str, member: str) -> None:
    """Take a principal out of a group."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/groups/{group}/members/{member}")
        say(f"{member} is no longer in {group}")


@tokens.command("create")
def create_token(
    comment: str = typer.Option("", help="what it is for"),
    days: float = typer.Option(90, help="how long it holds"),
    principal: str = typer.Option("", "--for", help="another principal; for admins"),
) -> None:
    """A new token; it is shown this once."""
    with connected() as lake:
        body = {"comment": comment, "days": days, "principal": principal or None}
        print(lake.call("POST", "/api/v1/tokens", body)["token"])


@tokens.command("list")
def list_tokens(as_json: bool = JSON) -> None:
    """Your tokens, without their secrets."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/tokens"), ["id", "comment", "created_at", "expires_at"], as_json)


@tokens.command("revoke")
def revoke_token(token_id: str) -> None:
    """Make a token worthless at once."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/tokens/{token_id}")
        say(f"revoked {token_id}")


def audit(
    verify: bool = typer.Option(False, "--verify", help="check the chain; exits 1 when it is broken"),
    subject: str = typer.Option("", help="entries about one name"),
    limit: int = 50,
    as_json: bool = JSON,
) -> None:
    """Who did what, newest first."""
    with connected() as lake:
        if verify:
            found = lake.call("GET", "/api/v1/audit/verify")
            say(f"the chain is whole; its head is {found['head']}" if found["whole"] else f"broken: {found['fault']}")
            raise typer.Exit(0 if found["whole"] else 1)
        rows = lake.http.call("GET", "/api/v1/audit", params={"limit": limit, "subject": subject or None})
        show(rows, ["sequence", "at", "principal", "action", "subject", "outcome", "details"], as_json)
