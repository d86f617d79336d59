"""`boathouse features stores`: named online stores beside the environment's default one."""

import typer

from boathouse.cli.output import JSON, dump, facts, say, show
from boathouse.cli.session import lakehouse

stores = typer.Typer(help="Online stores of the environment: list, show, create, update, delete.", no_args_is_help=True)
_SHOWN = ["name", "url", "capacity", "read_replica_count", "creator", "state"]
_CAPACITY = typer.Option(None, "--capacity", help="CU_1, CU_2, CU_4 or CU_8; kept, and sizes nothing")
_REPLICAS = typer.Option(None, "--read-replicas", help="kept, and makes none")


@stores.command("list")
def list_stores(as_json: bool = JSON) -> None:
    """All stores, the default one first; an address is shown without its password."""
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        found = FeatureEngineeringClient(context=lake).list_online_stores()
        show([store.to_dict() for store in found], _SHOWN, as_json)


@stores.command("show")
def show_store(name: str, as_json: bool = JSON) -> None:
    """One store; `default` is what BOATHOUSE_ONLINE_STORE says."""
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        facts(FeatureEngineeringClient(context=lake).get_online_store(name=name).to_dict(), as_json)


@stores.command("create")
def create(name: str,
           url: str | None = typer.Option(None, "--url", help="embedded, redis://[user:password@]host:port/0, rediss://… or "
                                          "unix://…; without it, where the default store is"),
           capacity: str | None = _CAPACITY, replicas: int | None = _REPLICAS, as_json: bool = JSON) -> None:  # fmt: skip
    """Make a store that tables can be published to; needs MANAGE on the environment.

    Example: boathouse features stores create fast --url redis://cache:6379/0
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        made = FeatureEngineeringClient(context=lake).create_online_store(
            name=name, capacity=capacity or "CU_1", read_replica_count=replicas, url=url
        )
        if as_json:
            dump(made.to_dict())
        else:
            say(f"{made.name} is there ({made.url}): publish with `boathouse features publish TABLE --store {made.name}`")


@stores.command("update")
def update(name: str, capacity: str | None = _CAPACITY, replicas: int | None = _REPLICAS, as_json: bool = JSON) -> None:
    """Keep other sizes of a store."""
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        made = FeatureEngineeringClient(context=lake).update_online_store(
            name=name, capacity=capacity, read_replica_count=replicas
        )
        if as_json:
            dump(made.to_dict())
        else:
            say(f"{made.name}: {made.capacity}, {made.read_replica_count} read replicas")


@stores.command("delete")
def delete(name: str, force: bool = typer.Option(False, "--force", help="with the tables that are published there")) -> None:
    """Forget a store; refused while tables are published there, unless forced.

    Example: boathouse features stores delete fast
    """
    from boathouse.feature_engineering import FeatureEngineeringClient

    with lakehouse() as lake:
        FeatureEngineeringClient(context=lake).delete_online_store(name=name, force=force)
        say(f"{name} is forgotten")
