"""`boathouse init`: a new Git project that works as it is."""

from pathlib import Path

import typer

from boathouse.cli.output import say


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(init)


def init(
    directory: Path = typer.Argument(metavar="DIR"),
    template: str = typer.Option("default", help="default or flights"),
    ci: str = typer.Option("none", "--ci", help="github, gitlab, azure or none: adds that host's workflow"),
) -> None:
    """A new Git project: features, training, tests, boathouse.yml, data of its own. `boathouse init mine --ci github`.

    The project is named after the folder.
    """
    from boathouse.project import create_project

    made = create_project(directory, template, ci)
    say(f"{directory} is a Git repository with {len(made)} files. Next:")
    say(f"  cd {directory} && boathouse run training")
