"""Delta tables: what they hold, held and changed; their copies and their upkeep."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from boathouse.cli.expectations import print_expectations
from boathouse.cli.output import FORCE, JSON, dump, facts, pairs, say, show
from boathouse.cli.session import connected, lakehouse
from boathouse.errors import InvalidInput

if TYPE_CHECKING:
    from boathouse.lake import Relation

tables = typer.Typer(help="Delta tables: list, show, read, copy, change back in time, keep in shape.", no_args_is_help=True)
_VERSION = typer.Option(None, "--version", help="the version instead of the newest; `history` lists them")
_AS_OF = typer.Option("", "--as-of", help="the table as it was then, for example 2024-05-01 or 2024-05-01T12:00 (UTC)")
_AUTO_COMPACT = "delta.autoOptimize.autoCompact"
_MOST_COMMITS = 10_000  # what the server lists at once


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(tables, name="tables")


@contextmanager
def working(words: str) -> Iterator[None]:
    """A bar on standard error that moves for as long as something takes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(words, total=None)
        yield


@tables.command("list")
def list_tables(schema: str = typer.Argument("", help="one schema only"), as_json: bool = JSON) -> None:
    """Tables you may read or write."""
    with lakehouse() as lake:
        rows = [t.to_dict() for t in lake.tables(schema or None)]
        show(rows, ["name", "primary_keys", "event_time", "known_time", "owner", "description"], as_json,
             empty=f"{lake.environment} has no tables yet; `boathouse tables import` or `boathouse run` makes some")  # fmt: skip


@tables.command("show")
def show_table(name: str, as_json: bool = JSON) -> None:
    """Columns, keys, owner, version and properties of a table."""
    with lakehouse() as lake:
        table = lake.table_info(name)
        info = table.to_dict()
        if as_json:
            facts(info, True)
            return
        columns = info.pop("columns")
        del info["expectations"], info["checks"]
        info["tags"] = table.own_tags
        facts(info, False)
        say("")
        show(columns, ["name", "type", "comment"], False)
        print_expectations(table)


@tables.command("head")
def head(
    name: str,
    rows: int = typer.Option(10, "-n", help="how many rows"),
    where: str = typer.Option("", "--where", help="only rows that meet an SQL condition; files without any are not opened"),
    column: list[str] = typer.Option([], "--column", help="only this column; may be repeated"),
    version: int | None = _VERSION,
    as_of: str = _AS_OF,
    as_json: bool = JSON,
) -> None:
    """Some rows, of now or of then."""
    with lakehouse() as lake:
        read = lake.table(name).read(version, _instant(as_of, version), columns=column or None, where=where or None)
        _print(read.limit(rows), as_json)


@tables.command("history")
def history(name: str, limit: int = typer.Option(20, "--limit", min=1, help="how many commits"), as_json: bool = JSON) -> None:
    """Commits of a table, newest first."""
    with connected() as lake:
        rows = lake.http.call("GET", f"/api/v1/tables/{lake.complete(name)}/history", params={"limit": limit})
        show(rows, ["version", "timestamp", "operation", "operationMetrics", "needed_by"], as_json)


@tables.command("changes")
def changes(
    name: str,
    since: int = typer.Option(..., "--since", help="the changes of the versions after this one"),
    until: int | None = typer.Option(None, "--until", help="up to and with this version (default: the newest)"),
    rows: int = typer.Option(100, "-n", help="how many rows"),
    as_json: bool = JSON,
) -> None:
    """Rows as they were inserted, deleted and updated, with the version that did it."""
    with lakehouse() as lake:
        _print(lake.table(name).changes(since, until).limit(rows), as_json)


@tables.command("clone")
def clone(
    source: str,
    target: str,
    shallow: bool = typer.Option(False, "--shallow", help="share the files instead of copying them, on one local disk"),
    sample: str = typer.Option("", "--sample", help="a share (10%) or number (1000) of rows, chosen by their keys"),
    by: list[str] = typer.Option([], "--by", help="sample by this column instead of the keys; may be repeated"),
    mask: bool = typer.Option(False, "--mask", help="write masked values, as somebody in no group sees them"),
    synthetic: bool = typer.Option(False, "--synthetic", help="make rows up: no row is copied, joins still meet"),
    key: list[str] = typer.Option([], "--key", help="a column that --synthetic maps as a key, beside known ones; repeatable"),
    version: int | None = _VERSION,
    seed: str = typer.Option("", "--seed", help="makes samples and made-up keys of several tables fit together; keep it secret"),
    as_json: bool = JSON,
) -> None:
    """A new table with another's rows, as you see them, and under the same masks and filter.

    For example `tables clone prod.raw.people dev.raw.people --sample 10% --mask`.
    """
    with lakehouse() as lake, working(f"cloning {source}"):
        made = lake.clone_table(
            source, target, version=version, shallow=shallow, sample=sample or None, by=by, mask=mask, synthetic=synthetic,
            keys=key, seed=seed or None,
        )  # fmt: skip
    if as_json:
        dump(made.to_dict())
        return
    say(f"{made.target} has {made.rows:,} rows: a {made.way} clone of {made.source} version {made.source_version}")
    for note in made.notes:
        say(f"note: {note}")


@tables.command("restore")
def restore(
    name: str,
    version: int | None = typer.Argument(None, help="the version to go back to"),
    as_of: str = typer.Option("", "--as-of", help="or a time: the newest version of then"),
    force: bool = FORCE,
) -> None:
    """Make an old version the newest; nothing is lost, since that is a version too.

    Refused where a column that something uses would go or have another type.
    """
    with lakehouse() as lake:
        chosen = version if version is not None else _version_of(lake, name, as_of)
        with working(f"restoring {name}"):
            commit = lake.table(name).restore(chosen, force)
        say(f"{lake.complete(name)} is as it was at version {chosen}; that is version {commit.version} now")


@tables.command("optimize")
def optimize(
    name: str, z_order: list[str] = typer.Option([], "--z-order", help="cluster by this column; may be repeated")
) -> None:
    """Rewrite many small files as few; with --z-order so that filters on those columns open few of them."""
    with lakehouse() as lake:
        with working(f"rewriting {name}"):
            commit = lake.table(name).optimize(z_order)
        say(f"{lake.complete(name)} version {commit.version}")


@tables.command("checkpoint")
def checkpoint(name: str) -> None:
    """Write the newest state whole, so that opening the table reads no commit before it. Done by itself every 20 commits."""
    with lakehouse() as lake:
        say(f"{lake.complete(name)} has a checkpoint of version {lake.table(name).checkpoint()}")


@tables.command("vacuum")
def vacuum(
    name: str,
    retention_hours: int = typer.Option(168, "--retention-hours", help="old versions of this long stay whole"),
    dry_run: bool = typer.Option(False, "--dry-run", help="only say what would be deleted"),
    as_json: bool = JSON,
) -> None:
    """Delete files that no version inside the retention needs, and none that a model's record has pinned."""
    with lakehouse() as lake, working(f"looking through the files of {name}"):
        done, full = lake.table(name).vacuum(retention_hours, dry_run), lake.complete(name)
    if as_json:
        dump(done.to_dict())
        return
    say(f"{len(done.files):,} files {'would be' if dry_run else 'were'} deleted from {full}")
    for version, holder in done.kept.items():
        say(f"kept: version {version}, which {holder} needs")
    for version, holder in done.gone.items():
        say(f"gone before: version {version}, which {holder} needs, is no longer in the log")


@tables.command("alter")
def alter(
    name: str,
    description: str | None = typer.Option(None, "--description", help="what the table holds"),
    tag: list[str] = typer.Option([], "--tag", help="NAME=VALUE, or NAME= to take it away; may be repeated"),
    prop: list[str] = typer.Option([], "--property", help="NAME=VALUE of a Delta table property; may be repeated"),
    auto_compact: bool | None = typer.Option(None, "--auto-compact/--no-auto-compact", help="join small files as they come"),
) -> None:
    """Change what describes a table, and how it is kept."""
    with lakehouse() as lake:
        given: dict[str, Any] = {} if description is None else {"description": description}
        if tag:
            merged = {**lake.table_info(name).tags, **pairs(tag, "tag")}
            given["tags"] = {k: v for k, v in merged.items() if v}
        properties = pairs(prop, "property")
        if auto_compact is not None:
            properties[_AUTO_COMPACT] = str(auto_compact).lower()
        if properties:
            given["properties"] = properties
        if not given:
            raise InvalidInput("say what to change: --description, --tag, --property or --auto-compact")
        lake.describe_table(name, **given)
        say(f"{lake.complete(name)}: changed {', '.join(given)}")


@tables.command("mask")
def mask(name: str, column: str, expression: str = typer.Argument(help="SQL in place of the column; '' lifts the mask")) -> None:
    """Show an expression in place of a column, for example "CASE WHEN is_member('admins') THEN ssn END"."""
    with lakehouse() as lake:
        masks = {**lake.table_info(name).masks, column: expression}
        lake.describe_table(name, masks={c: e for c, e in masks.items() if e})
        say(f"{lake.complete(name)}.{column} {'is masked' if expression else 'is shown'}")


@tables.command("filter")
def row_filter(name: str, condition: str = typer.Argument(help="SQL condition; '' lifts the filter")) -> None:
    """Show only the rows that meet a condition."""
    with lakehouse() as lake:
        lake.describe_table(name, row_filter=condition or None)
        say(f"{lake.complete(name)} {'is filtered' if condition else 'is shown whole'}")


@tables.command("drop")
def drop(name: str, yes: bool = typer.Option(False, "--yes", help="do not ask"), force: bool = FORCE) -> None:
    """Remove a table and its files. Refused while something uses it: `boathouse tables drop features.weather --force`."""
    with connected() as lake:
        if not yes:
            typer.confirm(f"Remove {lake.complete(name)} and its files?", abort=True)
        lake.drop_table(name, force=force)
        say(f"dropped {lake.complete(name)}")


def _print(rows: "Relation", as_json: bool) -> None:
    if as_json:
        dump(rows.to_dicts())
    else:
        print(rows.duckdb())


def _instant(text: str, version: int | None = None) -> datetime | None:
    from boathouse.clock import parse_instant

    if not text:
        return None
    if version is not None:
        raise InvalidInput("--version and --as-of say the same: give one of them")
    try:
        return parse_instant(text)
    except ValueError as error:
        raise InvalidInput(f"--as-of {text}: write a date or time like 2024-05-01T12:00, in UTC") from error


def _version_of(lake: Any, name: str, as_of: str) -> int:
    """The newest version that was there at a time."""
    moment = _instant(as_of)
    if moment is None:
        raise InvalidInput("say the version to go back to, or a time with --as-of")
    commits = lake.http.call("GET", f"/api/v1/tables/{lake.complete(name)}/history", params={"limit": _MOST_COMMITS})
    found = [c["version"] for c in commits if datetime.fromisoformat(c["timestamp"]) <= moment]
    if not found and len(commits) == _MOST_COMMITS:
        raise InvalidInput(f"{moment:%Y-%m-%d %H:%M:%S} UTC lies before the newest {_MOST_COMMITS:,} commits: say the version")
    if not found:
        raise InvalidInput(f"{lake.complete(name)} was not there yet at {moment:%Y-%m-%d %H:%M:%S} UTC")
    return int(found[0])
