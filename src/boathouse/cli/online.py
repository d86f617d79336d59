"""`boathouse features publish` and `features online`: what endpoints look up."""

import typer

from boathouse.cli.online_stores import stores
from boathouse.cli.output import FORCE, JSON, dump, facts, say, show
from boathouse.cli.session import lakehouse

online = typer.Typer(help="What is in the online store: list, show, drop.", no_args_is_help=True)
_SHOWN = ["table", "store", "source", "version", "published_at", "rows", "mode"]


def register(features: typer.Typer) -> None:
    """Add these commands to `boathouse features`."""
    features.command("publish")(publish)
    features.add_typer(online, name="online")
    features.add_typer(stores, name="stores")


def publish(table: str,
            mode: str = typer.Option("TRIGGERED", "--mode", help="or SNAPSHOT (all rows anew), CONTINUOUS (until Ctrl-C)"),
            name: str | None = typer.Option(None, "--name", help="publish under this name instead of the table's"),
            store: str | None = typer.Option(None, "--store", help="the online store to publish to: see features stores"),
            ttl: str | None = typer.Option(None, "--ttl", help="do not serve rows older than this, for example 2h"),
            where: str | None = typer.Option(None, "--where", help="publish only these of the newest rows (SQL)"),
            every: str = typer.Option("5 seconds", "--every", help="CONTINUOUS: how often to look for changes"),
            as_json: bool = JSON) -> None:  # fmt: skip
    """Serve each key's newest known row from the online store; readers switch at once.

    Example: boathouse features publish features.weather --ttl 2h
    """
    from boathouse.clock import parse_span
    from boathouse.errors import InvalidInput
    from boathouse.feature_engineering import FeatureEngineeringClient, PublishedTable

    try:
        lifetime = parse_span(ttl) if ttl else None
    except ValueError as error:
        raise InvalidInput(f"--ttl: {error}") from error
    with lakehouse() as lake:
        done = FeatureEngineeringClient(context=lake).publish_table(
            source_table_name=table, online_table_name=name, online_store=store, publish_mode=mode, ttl=lifetime,
            filter_condition=where, trigger={"processingTime": every},
        )  # fmt: skip
        if isinstance(done, PublishedTable):
            if as_json:
                dump(done.__dict__)
            else:
                say(f"{done.rows} keys of {done.online_table_name} version {done.version} are online")
            return
        say(f"{table} is online and followed; Ctrl-C ends it")
        try:
            done.awaitTermination()
        except KeyboardInterrupt:
            done.stop()


@online.command("list")
def list_online(as_json: bool = JSON) -> None:
    """Which version of which table is online, since when."""
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        show(FeatureEngineeringClient(context=lake).published_tables(), _SHOWN, as_json, empty="nothing is published")


@online.command("show")
def show_online(table: str, as_json: bool = JSON) -> None:
    """One table that is online, under its own name or its source's."""
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        facts(FeatureEngineeringClient(context=lake).published_table(table), as_json)


@online.command("drop")
def drop_online(table: str,
                store: str | None = typer.Option(None, "--store", help="where several have it"),
                force: bool = FORCE) -> None:  # fmt: skip
    """End serving a table; the feature table stays.

    Example: boathouse features online drop features.weather
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        FeatureEngineeringClient(context=lake).drop_online_table(table, store, force=force)
        say(f"{table} is no longer online")
