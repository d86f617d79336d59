"""Shares: tables handed out by Delta Sharing."""

import json
import os
from pathlib import Path

import typer

from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import connected

shares = typer.Typer(help="Tables for others to read with any Delta Sharing client.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(shares, name="shares")


@shares.command("list")
def list_shares(as_json: bool = JSON) -> None:
    """Shares you manage."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/shares"), ["name", "owner", "created_at"], as_json,
             empty="you manage no shares; `boathouse shares create NAME` makes one")  # fmt: skip


@shares.command("show")
def show_share(name: str, as_json: bool = JSON) -> None:
    """A share's tables, and the tokens that open it."""
    with connected() as lake:
        found = lake.call("GET", f"/api/v1/shares/{name}")
    if as_json:
        dump(found)
        return
    show(found["tables"], ["shared_as", "table"], False, empty="no tables yet; `boathouse shares add` puts some in")
    show(found["tokens"], ["id", "principal", "prefix", "created_at", "expires_at"], False,
         empty="nobody was invited yet; `boathouse shares profile` makes a profile file")  # fmt: skip


@shares.command("create")
def create_share(name: str) -> None:
    """A new share, without tables."""
    with connected() as lake:
        lake.call("POST", f"/api/v1/shares/{name}")
        say(f"created the share {name}")


@shares.command("drop")
def drop_share(name: str) -> None:
    """End a share: its tables stay, its tokens die."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/shares/{name}")
        say(f"dropped the share {name}")


@shares.command("add")
def add_table(
    name: str, table: str, shared_as: str = typer.Option("", "--as", help="its schema.table in the share (default: its own)")
) -> None:
    """Put a table into a share. A recipient reads it only while its principal holds SELECT on it."""
    with connected() as lake:
        made = lake.call("POST", f"/api/v1/shares/{name}/tables", {"table": lake.complete(table), "shared_as": shared_as})
        say(f"{name} holds {made['table']} as {made['shared_as']}")


@shares.command("remove")
def remove_table(name: str, table: str) -> None:
    """Take a table out of a share, by its full name or the one it has there; holds at once."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/shares/{name}/tables/{table}")
        say(f"{name} no longer holds {table}")


@shares.command("profile")
def make_profile(
    name: str,
    to: str = typer.Option(..., "--to", help="the principal whose grants hold: a service principal, a user, a group"),
    expires: str = typer.Option("", help="how long it holds, such as 90d or 12h"),
    out: Path | None = typer.Option(None, "--out", help="the profile file to write (default: NAME.share)"),
) -> None:
    """A profile file for a recipient; its token opens this share and nothing else."""
    with connected() as lake:
        made = lake.call("POST", f"/api/v1/shares/{name}/recipients", {"principal": to, "expires": expires or None})
    path = out or Path(f"{name}.share")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(made["profile"], file, indent=2)
    until = made["token"]["expires_at"][:10]
    say(f"wrote {path}, which opens {name} as {to} until {until}; it holds a secret: pass it on safely")


@shares.command("revoke")
def revoke(name: str, token_id: str) -> None:
    """Make a profile file worthless at once; `shares show` names the tokens."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/shares/{name}/recipients/{token_id}")
        say(f"revoked {token_id}")
