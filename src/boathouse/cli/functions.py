"""Functions: features computed on demand, in every mode alike."""

from pathlib import Path

import typer

from boathouse.cli.output import FORCE, JSON, facts, say, show
from boathouse.cli.session import lakehouse
from boathouse.errors import InvalidInput, NotFound

functions = typer.Typer(help="Python functions that compute features on demand.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(functions, name="functions")


@functions.command("list")
def list_functions(as_json: bool = JSON) -> None:
    """Functions you may execute."""
    with lakehouse() as lake:
        found = [f.to_dict() for f in lake.functions.all()]
        rows = found if as_json else [{**f, "parameters": _listed(f["parameters"])} for f in found]
        show(rows, ["name", "parameters", "returns", "version", "owner", "comment"], as_json,
             empty=f"{lake.environment} has no functions yet; `boathouse functions create FILE.sql` registers one")  # fmt: skip


def _listed(parameters: list[dict[str, str]]) -> str:
    return ", ".join(f"{p['name']} {p['type']}" for p in parameters)


@functions.command("show")
def show_function(name: str, as_json: bool = JSON) -> None:
    """A function with its code."""
    with lakehouse() as lake:
        found = lake.functions.get(name).to_dict()
    if as_json:
        facts(found, True)
        return
    source = found.pop("source")
    facts({**found, "parameters": _listed(found["parameters"])}, False)
    say("")
    say(source)


@functions.command("create")
def create_function(
    file: Path = typer.Argument(help="a .sql file with CREATE FUNCTION … LANGUAGE PYTHON AS $$ … $$"),
    force: bool = FORCE,
) -> None:
    """Register the function that a file describes; CREATE OR REPLACE makes a new version of one."""
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    if file.suffix != ".sql":
        raise InvalidInput(f"{file.name}: a .sql file is expected; from Python call lake.functions.create(name, function)")
    with lakehouse() as lake:
        made = lake.functions.execute(file.read_text(), force)
        say(f"{made.name} version {made.version} is registered")


@functions.command("drop")
def drop_function(name: str, force: bool = FORCE) -> None:
    """Forget a function; models that carry its code keep working. Refused while something uses it: add `--force`."""
    with lakehouse() as lake:
        lake.functions.drop(name, force)
        say(f"dropped {lake.complete(name)}")
