"""The command tree. Heavy rooms are imported inside commands, so that `--help` answers at once."""

import sys
import traceback
from importlib import metadata
from typing import Any

import typer
from typer.exceptions import TyperException

from boathouse.cli import (
    code,
    compute,
    data,
    declared,
    demo,
    endpoints,
    environments,
    feature_reports,
    functions,
    governance,
    imports,
    jobs,
    keeping,
    lineage,
    locations,
    login,
    models,
    monitors,
    notebook,
    notifications,
    people,
    projects,
    secrets,
    serve,
    shares,
    sql,
    starter,
    sync,
    tables,
    volumes,
    webhooks,
)
from boathouse.cli.examples import show_examples
from boathouse.cli.output import complain, say
from boathouse.cli.session import options
from boathouse.errors import BoathouseError

_HELP = """MLOps on an open lakehouse: code in Git, data in Delta Lake, models in MLflow.

The loop, in the order you will meet it:

\b
  boathouse init mine            a new Git project that works as it is
  boathouse run training         run a job of it in dev, on your working tree
  boathouse requests open        tests in staging, then `boathouse requests merge N`
  boathouse releases cut 1.0     a release branch, deployed to prod
  boathouse models show NAME     what its versions had to pass, and which one is Production
  boathouse endpoints query …    ask it online; `boathouse score` in batch
  boathouse monitors show …      what came back: drift, quality, alerts
  boathouse trace ID             from one prediction back to commit and raw tables

Start with `boathouse demo`, which does all of that on real flight data.
"""

app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
for room in (
    starter, serve, login, code, environments, projects, jobs, sync, notebook, sql, data, tables, imports, volumes,
    locations, functions, lineage, people, governance, shares, models, endpoints, feature_reports, declared, monitors,
    webhooks, secrets, notifications, compute, keeping, demo,
):  # fmt: skip
    room.register(app)


show_examples(app)


def _version(asked: bool) -> None:
    if asked:
        say(f"boathouse {metadata.version('boathouse')}")
        raise typer.Exit


@app.callback()
def common(
    env: str = typer.Option("", "--env", "-e", help="environment: dev, staging or prod (default: BOATHOUSE_ENV, else dev)"),
    home: str = typer.Option("", "--home", help="the lakehouse's folder (default: BOATHOUSE_HOME, else ~/.boathouse)"),
    debug: bool = typer.Option(False, "--debug", help="show tracebacks"),
    version: bool = typer.Option(False, "--version", help="say which version this is", callback=_version, is_eager=True),
) -> None:
    """Options for every command."""
    options.env, options.home, options.debug = env or None, home or None, debug


def main(arguments: list[str] | None = None) -> Any:
    """Run one command; exits 0 only if what it was asked for happened."""
    try:
        if code := app(arguments, standalone_mode=False):  # click returns what a command exits with
            sys.exit(code)
    except typer.Exit as end:
        sys.exit(end.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        sys.exit(130)
    except TyperException as error:  # a wrong usage, or help where a verb is missing
        if hasattr(error, "show"):
            error.show()
        else:
            complain(error)
        sys.exit(error.exit_code)
    except BoathouseError as error:
        if options.debug:
            traceback.print_exc()
        complain(error)
        sys.exit(1)
    except BrokenPipeError:
        sys.exit(0)
    except Exception as error:
        if options.debug:
            raise
        complain(error)
        sys.exit(1)
