"""The command tree. Heavy rooms are imported inside commands, so that `--help` answers at once."""

import sys
import traceback
from typing import Any

import click
import typer

from boathouse.cli import (
    code,
    compute,
    data,
    declared,
    demo,
    endpoints,
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
from boathouse.cli.output import complain
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
    starter, serve, login, code, projects, jobs, sync, notebook, sql, data, tables, imports, volumes, locations, functions,
    lineage, people, governance, shares, models, endpoints, feature_reports, declared, monitors, webhooks, secrets, notifications,
    compute, keeping, demo,
):  # fmt: skip
    room.register(app)


@app.callback()
def common(
    env: str = typer.Option("", "--env", "-e", help="environment: dev, staging or prod (default: BOATHOUSE_ENV, else dev)"),
    home: str = typer.Option("", "--home", help="the lakehouse's folder (default: BOATHOUSE_HOME, else ~/.boathouse)"),
    debug: bool = typer.Option(False, "--debug", help="show tracebacks"),
) -> None:
    """Options for every command."""
    options.env, options.home, options.debug = env or None, home or None, debug


def main(arguments: list[str] | None = None) -> Any:
    """Run one command; exits 0 only if what it was asked for happened."""
    try:
        if code := app(arguments, standalone_mode=False):  # click returns what a command exits with
            sys.exit(code)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
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
