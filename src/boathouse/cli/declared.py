"""Declared features: what there is, and the tables that keep their values."""

from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.models import features
from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import lakehouse

if TYPE_CHECKING:
    from boathouse.client import Lake

_WRITTEN = ["table", "kind", "rows", "source_version", "until"]


def register(_app: typer.Typer) -> None:
    """The commands join `boathouse features`, which is there already."""


@features.command("declared")
def list_declared(schema: str = typer.Option("", "--schema", help="of this schema only"), as_json: bool = JSON) -> None:
    """Declared features of the environment, registered or kept in a table: source, operator, window, and that table.

    \b
      boathouse features declared --schema shop
    """
    from boathouse.feature_engineering import Feature, kept_tables

    with lakehouse() as lake:
        place = ".".join(part for part in (lake.environment, schema) if part)
        registered = lake.http.call("GET", "/api/v1/declared-features", params={"schema": place})
        kept = [(info.name, f.to_dict()) for info, inside in kept_tables(lake) for f in inside]
        tables = {body["full_name"]: table for table, body in kept}
        rows = [{**row, "table": tables.get(row["full_name"])} for row in registered]
        known = {row["full_name"] for row in rows}
        rows += [{**body, "table": table} for table, body in kept
                 if body["full_name"] not in known and table.startswith(f"{place}.")]  # fmt: skip
        for row in rows:
            row["operator_kind"], row["called"] = row["operator"]["kind"], row["full_name"] or row["name"]
            row["window"], row["computes"] = (row["time_window"] or {}).get("kind"), Feature.from_dict(row).told
        shown = ["called", "source.table_name", "computes", "entity", "table", "description"]
        show(rows, shown, as_json, empty="no declared features")


@features.command("materialize")
def materialize(tables: list[str] = typer.Argument(None, help="tables of declared features; all of the environment without"),
                full: bool = typer.Option(False, "--full", help="compute everything anew"),
                publish: bool = typer.Option(False, "--publish", help="and copy the newest rows into the online store"),
                as_json: bool = JSON) -> None:  # fmt: skip
    """Bring tables of declared features to their source's newest rows; only what changed is computed.

    \b
      boathouse features materialize shop.orders_by_customer
    """
    from boathouse.feature_engineering import FeatureEngineeringClient, refresh_table

    with lakehouse() as lake:
        done = []
        for name in tables or _all(lake):
            _progress(f"{name} …", as_json)
            done.append(refresh_table(lake, name, full).to_dict())
            if publish:
                FeatureEngineeringClient(context=lake).publish_table(source_table_name=name)
        show(done, _WRITTEN, as_json, empty="no table of declared features; fe.materialize_features makes them")


@features.command("backfill")
def backfill(table: str, since: str = typer.Option(..., "--from", help="first moment, for example 2026-01-01"),
             until: str = typer.Option(..., "--to", help="the moment after the last"), as_json: bool = JSON) -> None:  # fmt: skip
    """Compute a range of a table of declared features again.

    \b
      boathouse features backfill shop.orders_by_customer --from 2026-01-01 --to 2026-02-01
    """
    from boathouse.clock import parse_instant
    from boathouse.feature_engineering import backfill_table

    with lakehouse() as lake:
        _progress(f"{table} …", as_json)
        done = backfill_table(lake, table, parse_instant(since), parse_instant(until)).to_dict()
        if as_json:
            dump(done)
        else:
            say(f"{done['rows']} rows of {done['table']} computed again")


def _all(lake: "Lake") -> list[Any]:
    from boathouse.feature_engineering import kept_tables

    return [info.name for info, _ in kept_tables(lake)]


def _progress(message: str, as_json: bool) -> None:
    if not as_json:
        say(message)
