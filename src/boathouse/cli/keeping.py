"""Backups of a home, bringing one back, moving its parts elsewhere."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from boathouse.cli.imports import bars, size
from boathouse.cli.output import JSON, dump, say, show
from boathouse.cli.session import options

if TYPE_CHECKING:
    from collections.abc import Callable


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(backup)
    app.command()(restore)
    app.command()(migrate)


def backup(
    folder: Path = typer.Argument(help="where backups are kept, best on another disk"),
    keep: int = typer.Option(0, "--keep", help="delete all but so many of the newest backups there (0: none)"),
    listing: bool = typer.Option(False, "--list", help="only list the backups there"),
    as_json: bool = JSON,
) -> None:
    """Copy the home while a server works on it. Files that the last backup there has are linked to, not copied again."""
    from boathouse import settings
    from boathouse.platform import keeping

    if listing:
        found = [asdict(b) for b in keeping.backups_in(folder)]
        show(found, ["path", "made_at", "database", "files", "bytes"], as_json, empty=f"there are no backups in {folder}")
        return
    with bars() as update:
        made = keeping.backup(settings.load(home=options.home), folder, _step(update, "copying"))
    gone = keeping.prune(folder, keep) if keep else []
    if as_json:
        dump({**asdict(made), "deleted": gone})
        return
    say(f"{made.path}: {made.files:,} files, {size(made.bytes)}, of which {size(made.copied)} are new")
    for place in made.outside:
        say(f"not in it: the tables in {place}; keep them by that store's own means")
    if gone:
        say(f"deleted {len(gone)} older backups")


def restore(
    source: Path = typer.Argument(help="a backup, or a folder of them, whose newest is taken"),
    replace: bool = typer.Option(False, "--replace", help="move a home that is there aside"),
    database_url: str = typer.Option("", "--database-url", help="an empty PostgreSQL database, for a home that used one"),
    as_json: bool = JSON,
) -> None:
    """Make a home of a backup, whole or not at all; `--home` before the command says where."""
    from boathouse import settings
    from boathouse.platform import keeping

    given = keeping.latest(source)
    home = settings.load(home=options.home).home
    with bars() as update:
        keeping.restore(given, home, replace, _step(update, "copying"), database_url or None)
    if database_url:
        settings.keep(home, database_url=database_url)
    if as_json:
        dump({"home": str(home), "backup": asdict(given)})
        return
    say(f"{home} is as it was at {given.made_at}; look at it with `boathouse doctor` and `boathouse audit --verify`")
    for place in given.outside:
        say(f"its tables in {place} were not in the backup")


def migrate(
    database_url: str = typer.Option("", "--database-url", help="move the metadata to this empty database"),
    storage: str = typer.Option("", "--storage", help="move the tables to this empty place, such as s3://bucket/prefix"),
    as_json: bool = JSON,
) -> None:
    """Bring a home's tables up to date with this program, and move its metadata or its tables elsewhere.

    Nothing is deleted where they were, and the home's settings name the new place only once everything is there.
    """
    from boathouse.platform import keeping
    from boathouse.settings import keep as remember
    from boathouse.settings import load

    wanted = load(home=options.home)
    done = []
    with keeping.owned(wanted), bars() as update:
        done.append(keeping.bring_up_to_date(wanted))
        if storage:
            done.append(keeping.move_tables(wanted, storage, _step(update, "tables")))
            remember(wanted.home, storage=done[-1].place)
        if database_url:
            done.append(keeping.move_database(wanted, database_url, _step(update, "writing")))
            remember(wanted.home, database_url=database_url)
    if as_json:
        dump([asdict(d) for d in done])
        return
    for moved in done:
        say(f"{moved.what}: {moved.said}")
    if storage or database_url:
        say("What lay in the old place is untouched: delete it once `boathouse doctor` is content. Where the environment sets "
            "BOATHOUSE_DATABASE_URL or BOATHOUSE_STORAGE, set it to the new place.")  # fmt: skip


def _step(update: "Callable[..., None] | None", step: str) -> "Callable[[int, int], None]":
    return (lambda done, whole: update(step, done, whole)) if update else (lambda _done, _whole: None)
