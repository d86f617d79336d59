"""Tables, schemas and SQL."""

import sys

import typer

from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import connected

tables = typer.Typer(help="Delta tables: list, show, read, change back in time.", no_args_is_help=True)
schemas = typer.Typer(help="Schemas: the second level of every name.", no_args_is_help=True)
catalogs = typer.Typer(help="Catalogs: one for each environment.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(catalogs, name="catalogs")
    app.add_typer(schemas, name="schemas")
    app.add_typer(tables, name="tables")
    app.command()(sql)


@catalogs.command("list")
def list_catalogs(as_json: bool = JSON) -> None:
    """Catalogs you may use."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/catalogs"), ["name", "owner", "comment"], as_json)


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
def drop_schema(name: str, cascade: bool = typer.Option(False, "--cascade", help="and all that is in it")) -> None:
    """Remove a schema."""
    with connected() as lake:
        full = name if "." in name else f"{lake.environment}.{name}"
        lake.http.call("DELETE", f"/api/v1/schemas/{full}", params={"cascade": cascade})
        say(f"dropped {full}")


@tables.command("list")
def list_tables(schema: str = typer.Argument("", help="one schema only"), as_json: bool = JSON) -> None:
    """Tables you may read or write."""
    with connected() as lake:
        rows = [t.to_dict() for t in lake.tables(schema or None)]
        show(rows, ["name", "primary_keys", "event_time", "known_time", "owner", "description"], as_json,
             empty=f"{lake.environment} has no tables yet; `boathouse run` a job that makes some")  # fmt: skip


@tables.command("show")
def show_table(name: str, as_json: bool = JSON) -> None:
    """Columns, keys, owner and version of a table."""
    with connected() as lake:
        info = lake.table_info(name).to_dict()
        if as_json:
            facts(info, True)
            return
        columns = info.pop("columns")
        facts(info, False)
        say("")
        show(columns, ["name", "type", "comment"], False)


@tables.command("head")
def head(name: str, rows: int = typer.Option(10, "-n", help="how many rows")) -> None:
    """The first rows."""
    with connected() as lake:
        print(lake.table(name).read().limit(rows))


@tables.command("history")
def history(name: str, limit: int = 20, as_json: bool = JSON) -> None:
    """Commits of a table, newest first."""
    with connected() as lake:
        rows = lake.http.call("GET", f"/api/v1/tables/{lake.complete(name)}/history", params={"limit": limit})
        show(rows, ["version", "timestamp", "operation", "operationMetrics"], as_json)


@tables.command("restore")
def restore(name: str, version: int) -> None:
    """Make an old version the newest."""
    with connected() as lake:
        commit = lake.table(name).restore(version)
        say(f"{lake.complete(name)} is as it was at version {version}; that is version {commit.version} now")


@tables.command("optimize")
def optimize(name: str, z_order: list[str] = typer.Option([], "--z-order", help="cluster by this column")) -> None:
    """Rewrite many small files as few."""
    with connected() as lake:
        say(f"{lake.complete(name)} version {lake.table(name).optimize(z_order).version}")


@tables.command("vacuum")
def vacuum(name: str, retention_hours: int = 168, dry_run: bool = typer.Option(False, "--dry-run")) -> None:
    """Delete files that no version inside the retention needs."""
    with connected() as lake:
        files = lake.table(name).vacuum(retention_hours, dry_run).files
        say(f"{len(files)} files {'would be' if dry_run else 'were'} deleted from {lake.complete(name)}")


@tables.command("mask")
def mask(name: str, column: str, expression: str = typer.Argument(help="SQL in place of the column; '' lifts the mask")) -> None:
    """Show an expression in place of a column, for example "CASE WHEN is_member('admins') THEN ssn END"."""
    with connected() as lake:
        masks = {**lake.table_info(name).masks, column: expression}
        lake.describe_table(name, masks={c: e for c, e in masks.items() if e})
        say(f"{lake.complete(name)}.{column} {'is masked' if expression else 'is shown'}")


@tables.command("filter")
def row_filter(name: str, condition: str = typer.Argument(help="SQL condition; '' lifts the filter")) -> None:
    """Show only the rows that meet a condition."""
    with connected() as lake:
        lake.describe_table(name, row_filter=condition or None)
        say(f"{lake.complete(name)} {'is filtered' if condition else 'is shown whole'}")


@tables.command("drop")
def drop(name: str, yes: bool = typer.Option(False, "--yes", help="do not ask")) -> None:
    """Remove a table and its files."""
    with connected() as lake:
        if not yes:
            typer.confirm(f"Remove {lake.complete(name)} and its files?", abort=True)
        lake.drop_table(name)
        say(f"dropped {lake.complete(name)}")


def sql(
    query: str = typer.Argument(help='for example "select origin, count(*) n from raw.flights group by 1"'),
    form: str = typer.Option("table", "--format", help="table, csv, json or parquet"),
    target: str = typer.Option("", "-t", "--target", help="environment"),
) -> None:
    """Rows of a query over the tables you may read."""
    from boathouse.client.files import write_rows

    with connected(target or None) as lake:
        rows = lake.sql(query)
        if form == "table":
            print(rows)
        else:
            write_rows(rows, form, sys.stdout.buffer)
