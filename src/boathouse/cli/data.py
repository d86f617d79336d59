"""Catalogs and schemas."""

import typer

from boathouse.cli.output import FORCE, JSON, say, show
from boathouse.cli.session import connected

schemas = typer.Typer(help="Schemas: the second level of every name.", no_args_is_help=True)
catalogs = typer.Typer(help="Catalogs: one for each environment, and those for data alone.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(catalogs, name="catalogs")
    app.add_typer(schemas, name="schemas")


@catalogs.command("list")
def list_catalogs(as_json: bool = JSON) -> None:
    """Catalogs you may use."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/catalogs"), ["name", "owner", "comment"], as_json)


@catalogs.command("create")
def create_catalog(name: str, comment: str = "") -> None:
    """A new catalog for data alone, in which no jobs run."""
    with connected() as lake:
        lake.http.call("POST", f"/api/v1/catalogs/{name}", params={"comment": comment})
        say(f"created {name}")


@catalogs.command("drop")
def drop_catalog(name: str, cascade: bool = typer.Option(False, "--cascade", help="and all that is in it"),
                 force: bool = FORCE) -> None:  # fmt: skip
    """Remove a catalog that is no environment's."""
    with connected() as lake:
        lake.http.call("DELETE", f"/api/v1/catalogs/{name}", params={"cascade": cascade, "force": force})
        say(f"dropped {name}")


@schemas.command("list")
def list_schemas(as_json: bool = JSON) -> None:
    """Schemas of the environment."""
    with connected() as lake:
        rows = list(lake.http.pages("/api/v1/schemas", {"environment": lake.environment}))
        show(rows, ["name", "owner", "comment"], as_json)


@schemas.command("create")
def create_schema(name: str, comment: str = "") -> None:
    """A new schema, `environment.schema` or just `schema`."""
    with connected() as lake:
        full = name if "." in name else f"{lake.environment}.{name}"
        lake.http.call("POST", f"/api/v1/schemas/{full}", params={"comment": comment})
        say(f"created {full}")


@schemas.command("drop")
def drop_schema(name: str, cascade: bool = typer.Option(False, "--cascade", help="and all that is in it"),
                 force: bool = FORCE) -> None:  # fmt: skip
    """Remove a schema."""
    with connected() as lake:
        full = name if "." in name else f"{lake.environment}.{name}"
        lake.http.call("DELETE", f"/api/v1/schemas/{full}", params={"cascade": cascade, "force": force})
        say(f"dropped {full}")
