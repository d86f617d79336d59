"""Who there is: users, groups, service principals and their tokens."""

import sys
from urllib.parse import quote

import typer

from boathouse.cli.output import JSON, facts, pairs, say, show
from boathouse.cli.session import connected
from boathouse.errors import Unauthenticated

users = typer.Typer(help="People.", no_args_is_help=True)
groups = typer.Typer(help="Groups of principals; grants usually name groups.", no_args_is_help=True)
principals = typer.Typer(help="Users, groups and service principals.", no_args_is_help=True)
tokens = typer.Typer(help="Tokens for HTTP, MLflow clients and CI.", no_args_is_help=True)
_TO = typer.Option("", "--to", help="who gets what it owns; without it, owning something is a reason to refuse")


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    for group, name in ((users, "users"), (groups, "groups"), (principals, "principals"), (tokens, "tokens")):
        app.add_typer(group, name=name)
    app.command()(whoami)


def whoami(as_json: bool = JSON) -> None:
    """Who you are here, and your groups."""
    with connected() as lake:
        facts({**lake.call("GET", "/api/v1/whoami"), "server": lake.http.url}, as_json)


def _word(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")


def _list(kind: str | None, as_json: bool) -> None:
    with connected() as lake:
        rows = [p for p in lake.call("GET", "/api/v1/principals") if kind in (None, p["kind"])]
        show(rows, ["name", "kind", "members", "disabled"] if kind in (None, "group") else ["name", "kind", "disabled"], as_json)


def _create(name: str, kind: str) -> None:
    with connected() as lake:
        lake.call("POST", "/api/v1/principals", {"name": name, "kind": kind})
        say(f"created the {kind.replace('_', ' ')} {name}")


def _delete(name: str, kind: str, to: str) -> None:
    with connected() as lake:
        known = {p["name"]: p["kind"] for p in lake.call("GET", "/api/v1/principals")}
        if known.get(name, kind) != kind:
            raise typer.BadParameter(f"{name} is a {known[name].replace('_', ' ')}, not a {kind.replace('_', ' ')}")
        moved = lake.http.call("DELETE", f"/api/v1/principals/{_word(name)}", params={"to": to or None})["moved"]
        say(f"deleted {name}" + (f"; {to} owns its {moved} securables now" if moved else ""))


@principals.command("list")
def list_principals(as_json: bool = JSON) -> None:
    """Everyone grants can name."""
    _list(None, as_json)


@principals.command("create")
def create_principal(name: str) -> None:
    """A new service principal; `grants add MANAGE --principal NAME --to …` says who else makes its tokens."""
    _create(name, "service_principal")


@principals.command("delete")
def delete_principal(name: str, to: str = _TO) -> None:
    """Forget a service principal and its tokens."""
    _delete(name, "service_principal", to)


@principals.command("trust")
def trust_issuer(
    name: str,
    issuer: str = typer.Option(..., help="such as https://token.actions.githubusercontent.com"),
    subject: str = typer.Option(..., help="what the token's `sub` is; * stands for any characters"),
    audience: str = typer.Option(..., help="what the token's `aud` is"),
    claim: list[str] = typer.Option([], help="NAME=VALUE of a further claim; may be repeated"),
    environment: str = typer.Option("", help="dev, staging or prod: the tokens are good there alone"),
) -> None:
    """Let a CI system's identity tokens stand for a service principal; no secret is kept anywhere."""
    with connected() as lake:
        body = {"issuer": issuer, "subject": subject, "audience": audience, "claims": pairs(claim, "claim"),
                "environment": environment or None}  # fmt: skip
        made = lake.call("POST", f"/api/v1/principals/{_word(name)}/workloads", body)
        say(f"{name} trusts {subject} of {issuer} (rule {made['id']})")


@principals.command("trusted")
def list_trusted(name: str, as_json: bool = JSON) -> None:
    """Whose identity tokens stand for a service principal."""
    with connected() as lake:
        rows = lake.call("GET", f"/api/v1/principals/{_word(name)}/workloads")
        show(rows, ["id", "issuer", "subject", "audience", "claims", "environment"], as_json)


@principals.command("distrust")
def distrust_issuer(name: str, rule: str) -> None:
    """Trust no more: RULE is an id of `principals trusted`."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/principals/{_word(name)}/workloads/{rule}")
        say(f"{name} no longer follows the rule {rule}")


@users.command("list")
def list_users(as_json: bool = JSON) -> None:
    """Users."""
    _list("user", as_json)


@users.command("create")
def create_user(name: str) -> None:
    """A new user; `users password NAME` or `tokens create --for NAME` gives them a way in."""
    _create(name, "user")


@users.command("password")
def set_password(
    name: str = typer.Argument("", help="whose; yours without it"),
    stdin: bool = typer.Option(False, "--stdin", help="read it from standard input, in place of asking twice"),
) -> None:
    """Give a user a password; admins anyone, others themselves. It is typed at a prompt, never on the command line."""
    if stdin:
        password = sys.stdin.readline().strip("\r\n")
    else:
        password = typer.prompt("New password", hide_input=True, confirmation_prompt="Again")
    with connected() as lake:
        body, path = {"password": password}, f"/api/v1/users/{_word(name or lake.principal)}/password"
        try:
            lake.call("PUT", path, body)
        except Unauthenticated:
            if stdin:
                raise
            lake.call("PUT", path, {**body, "current": typer.prompt("Current password", hide_input=True)})
        say(f"{name or lake.principal} has a new password; sessions in browsers have ended")


@users.command("link")
def link_user(name: str, subject: str) -> None:
    """Say who a user is at the OpenID Connect provider: its SUBJECT, which never changes hands."""
    with connected() as lake:
        lake.call("PUT", f"/api/v1/users/{_word(name)}/subject", {"subject": subject})
        say(f"{name} is {subject} at the provider")


@users.command("unlink")
def unlink_user(name: str) -> None:
    """Forget who a user is at the provider."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/users/{_word(name)}/subject")
        say(f"{name} is nobody at the provider any more")


@users.command("disable")
def disable_user(name: str) -> None:
    """Let a user in no more: all tokens and sessions end now, and do not come back."""
    with connected() as lake:
        lake.call("POST", f"/api/v1/principals/{_word(name)}/disable")
        say(f"{name} is disabled; all tokens and sessions have ended")


@users.command("enable")
def enable_user(name: str) -> None:
    """Let a disabled user in again, with new tokens."""
    with connected() as lake:
        lake.call("POST", f"/api/v1/principals/{_word(name)}/enable")
        say(f"{name} is enabled; `boathouse tokens create --for {name}` makes a new token")


@users.command("delete")
def delete_user(name: str, to: str = _TO) -> None:
    """Forget a user: tokens, sessions, memberships and grants; refused while the user owns something."""
    _delete(name, "user", to)


@groups.command("list")
def list_groups(as_json: bool = JSON) -> None:
    """Groups and their members."""
    _list("group", as_json)


@groups.command("create")
def create_group(name: str) -> None:
    """A new group."""
    _create(name, "group")


@groups.command("delete")
def delete_group(name: str, to: str = _TO) -> None:
    """Forget a group and its grants; its members stay."""
    _delete(name, "group", to)


@groups.command("add")
def add_member(group: str, member: str) -> None:
    """Put a principal into a group."""
    with connected() as lake:
        lake.call("PUT", f"/api/v1/groups/{_word(group)}/members/{_word(member)}")
        say(f"{member} is in {group}")


@groups.command("remove")
def remove_member(group: str, member: str) -> None:
    """Take a principal out of a group."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/groups/{_word(group)}/members/{_word(member)}")
        say(f"{member} is no longer in {group}")


@tokens.command("create")
def create_token(
    comment: str = typer.Option("", help="what it is for"),
    expires: str = typer.Option("", help="how long it holds, such as 90d or 12h (default: the setting token_lifetime)"),
    principal: str = typer.Option("", "--for", help="another principal, whom you manage"),
    environment: str = typer.Option("", "--environment", help="dev, staging or prod: the token is good there alone"),
) -> None:
    """A new token; it is shown this once."""
    with connected() as lake:
        body = {"comment": comment, "expires": expires or None, "principal": principal or None,
                "environment": environment or None}  # fmt: skip
        print(lake.call("POST", "/api/v1/tokens", body)["token"])


@tokens.command("list")
def list_tokens(
    principal: str = typer.Option("", "--for", help="another principal, whom you manage"),
    everyone: bool = typer.Option(False, "--all", help="everyone's; for admins"),
    as_json: bool = JSON,
) -> None:
    """Your tokens, without their secrets; the prefix tells them apart."""
    with connected() as lake:
        params = {"principal": principal or None, "everyone": everyone or None}
        rows = lake.http.call("GET", "/api/v1/tokens", params=params)
        columns = ["id", "prefix", "principal", "comment", "expires_at", "last_used_at", "environment"]
        show(rows, columns if everyone or principal else [c for c in columns if c != "principal"], as_json)


@tokens.command("revoke")
def revoke_token(token_id: str) -> None:
    """Make a token worthless at once, in every process."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/tokens/{token_id}")
        say(f"revoked {token_id}")
