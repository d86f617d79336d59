"""Secrets: passwords and tokens that jobs need, encrypted, read under grants."""

import sys
from pathlib import Path

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput

secrets = typer.Typer(help="Passwords and tokens that jobs need: encrypted, granted, hidden in logs.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(secrets, name="secrets")


@secrets.command("put")
def put(
    name: str = typer.Argument(metavar="SCOPE/KEY"),
    file: Path | None = typer.Option(None, "--from-file", help="the file that holds it, taken as it is"),
) -> None:
    """Keep a secret: `secrets put mail/password` asks for it, `… < file` and `… | boathouse secrets put …` read it.

    Its value is never an argument, which others could read. A line's end after piped or typed text is not part of it.
    Then let a job read it: `boathouse grants add 'READ SECRET' --secret-scope prod.mail --to prod-jobs`.
    """
    value = _value(name, file)
    with connected() as lake:
        made = lake.secrets.put(name, value)
        scope = f"{made['environment']}.{made['scope']}"
        say(f"{made['environment']} keeps {name}; whoever shall read it needs READ SECRET on {scope}")


@secrets.command("list")
def list_secrets(as_json: bool = JSON) -> None:
    """Scopes and keys of the environment, without values."""
    with connected() as lake:
        empty = f"{lake.environment} has no secrets that you may know of; `boathouse secrets put SCOPE/KEY` keeps one"
        show(lake.secrets.list(), ["scope", "key", "updated_by", "updated_at"], as_json, empty=empty)


@secrets.command("delete")
def delete(name: str = typer.Argument(metavar="SCOPE[/KEY]")) -> None:
    """Delete a secret, or a scope with all its secrets and grants."""
    with connected() as lake:
        count = lake.secrets.delete(name)
        say(f"deleted {name} of {lake.environment}" + ("" if "/" in name else f" with {count} secrets"))


@secrets.command("rotate-key")
def rotate_key() -> None:
    """Seal all secrets anew, under a new master key."""
    with connected() as lake:
        count = lake.call("POST", "/api/v1/secrets-key")["secrets"]
        say(f"{count} secrets are sealed under a new master key; the old one opens none of them")


def _value(name: str, file: Path | None) -> str:
    """Raises InvalidInput for what is no text."""
    try:
        if file is not None:
            return file.read_bytes().decode()
        if sys.stdin.isatty():
            return str(typer.prompt(f"value of {name}", hide_input=True))
        return sys.stdin.read().removesuffix("\n").removesuffix("\r")
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"the value of {name} is no UTF-8 text: encode it first, for example with base64") from error
