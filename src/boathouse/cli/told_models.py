"""What is said of models and versions: descriptions, tags, comments."""

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected
from boathouse.errors import InvalidInput

WHICH = typer.Argument(metavar="NAME[/VERSION]", help="a model, or a version by number, stage or alias")


def register(models: typer.Typer) -> None:
    """Add this room's commands."""
    models.command("describe")(describe)
    models.command("tag")(tag)
    models.command("comment")(comment)
    models.command("comments")(comments)


def describe(which: str = WHICH, text: str = typer.Argument(help="what it is for; empty to say nothing")) -> None:
    """Describe a model or a version, in place of what was said before; MLflow's clients see the same."""
    name, _, version = which.partition("/")
    with connected() as lake:
        lake.models.describe(name, version or None, description=text)
        say(f"{lake.complete(name)}{f' version {version}' if version else ''} is described")


def tag(
    which: str = WHICH, given: list[str] = typer.Argument(metavar="KEY=VALUE…", help="KEY= takes a tag away")
) -> None:
    """Tag a model or a version; MLflow's clients see the same, and `models list --tag` finds it."""
    name, _, version = which.partition("/")
    if unclear := [one for one in given if not one.partition("=")[0] or "=" not in one]:
        raise InvalidInput(f"{unclear[0]!r} is no tag: write KEY=VALUE, or KEY= to take it away")
    tags = {key: value or None for key, _, value in (one.partition("=") for one in given)}
    with connected() as lake:
        found = lake.models.describe(name, version or None, tags=tags)
        told = ", ".join(f"{k}={v}" for k, v in found["tags"].items()) or "nothing"
        say(f"{lake.complete(name)}{f' version {version}' if version else ''} is tagged {told}")


def comment(
    which: str = WHICH,
    text: str = typer.Argument("", help="what you have to say"),
    remove: int = typer.Option(0, "--remove", help="take the comment of this number away instead"),
) -> None:
    """Say something about a model or a version, under your name; `models comments` lists what was said."""
    name, _, version = which.partition("/")
    with connected() as lake:
        if remove:
            lake.models.uncomment(name, remove)
            say(f"comment {remove} is gone")
            return
        number = lake.models.comment(name, text, version or None)
        say(f"comment {number} on {lake.complete(name)}{f' version {version}' if version else ''}")


def comments(which: str = WHICH, as_json: bool = JSON) -> None:
    """What was said about a model and its versions, or one version, oldest first."""
    name, _, version = which.partition("/")
    with connected() as lake:
        number = lake.models.version(name, version)["version"] if version else None
        show(lake.models.comments(name, number), ["id", "at", "version", "principal", "text"], as_json,
             empty="nobody has said anything")  # fmt: skip
