"""Places outside the lakehouse's storage, and tables that lie there."""

import typer

from boathouse.cli.output import JSON, say, show
from boathouse.cli.session import connected, lakehouse
from boathouse.cli.tables import tables

locations = typer.Typer(help="External locations: places outside where tables may be registered.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(locations, name="locations")
    tables.command("register")(register_table)


@locations.command("list")
def list_locations(as_json: bool = JSON) -> None:
    """External locations you may know of."""
    with connected() as lake:
        show(lake.call("GET", "/api/v1/locations"), ["name", "url", "owner", "comment"], as_json,
             empty="there are no external locations; `boathouse locations create NAME URL` makes one")  # fmt: skip


@locations.command("create")
def create_location(
    name: str, url: str = typer.Argument(help="s3://bucket/prefix, or an absolute path"), comment: str = ""
) -> None:
    """Name a place outside, for example `locations create landing s3://landing/raw`; then grant who may use it."""
    with connected() as lake:
        made = lake.call("POST", "/api/v1/locations", {"name": name, "url": url, "comment": comment})
        say(f"{name} is {made['url']}; let others register tables there with "
            f"`boathouse grants add 'CREATE EXTERNAL TABLE' --external-location {name} --to …`")  # fmt: skip


@locations.command("drop")
def drop_location(name: str) -> None:
    """Forget an external location; its files stay."""
    with connected() as lake:
        lake.call("DELETE", f"/api/v1/locations/{name}")
        say(f"dropped {name}; its files stay where they are")


def register_table(
    name: str,
    location: str = typer.Argument(help="where a Delta table lies, inside an external location"),
    key: list[str] = typer.Option([], "--key", help="a primary key column; may be repeated"),
    event_time: str = typer.Option("", "--event-time", help="the column that says when a row happened, one of the keys"),
    description: str = "",
) -> None:
    """Know a Delta table that Spark, Polars or delta-rs wrote elsewhere; dropping it later leaves its files."""
    with lakehouse() as lake:
        table = lake.register_table(name, location, primary_keys=key, event_time=event_time or None, description=description)
        say(f"{table.name} is the table at {table.info.location}, version {table.version}")
