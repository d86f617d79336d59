"""Keep a folder and the caller's workspace alike."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from boathouse.cli.output import JSON, complain, dump, say
from boathouse.cli.session import connected, project_here
from boathouse.errors import BoathouseError, InvalidInput, NotPermitted, Unauthenticated

if TYPE_CHECKING:
    from boathouse.client.sync import Sync, Synced

_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add this room's command."""
    app.command()(sync)


def sync(
    watch: bool = typer.Option(False, "--watch", help="go on, as files here or the workspace change; Ctrl-C ends it"),
    dry_run: bool = typer.Option(False, "--dry-run", help="only say what would be done"),
    project: str = typer.Option("", "--project", help="default: the project of this folder"),
    as_json: bool = JSON,
) -> None:
    """Keep this folder and your workspace on the server alike: a branch `workspace/YOU` of the project.

    All files that Git does not ignore take part, committed or not; your own branch and index stay as they are. What was
    changed on both sides is merged. Where both changed the same lines your file stays, the other lies beside it as
    `FILE.theirs`, nothing is sent, and the exit code is 1: settle it, delete the copy, and sync again.
    """
    from boathouse.client.sync import Sync

    if watch and dry_run:
        raise InvalidInput("--watch changes files, --dry-run does not: give one of them")
    name = project or project_here()
    if not name:
        raise InvalidInput("this folder has no boathouse.yml: name the project with --project")
    with connected() as lake:
        syncing = Sync(lake, Path.cwd(), name)
        if watch:
            say(f"watching {syncing.folder.root} and its workspace on {lake.http.url}; Ctrl-C ends it")
            _watch(syncing, as_json)
        else:
            done = syncing.once(dry_run)
            if as_json:
                dump(asdict(done))
            else:
                _tell(done, dry_run)
            _check(done)


def _watch(syncing: "Sync", as_json: bool) -> None:
    said = ""
    changed = syncing.watch()
    while True:
        try:
            if next(changed):
                done = syncing.once()
                if not done.nothing:
                    print(json.dumps(asdict(done)), flush=True) if as_json else _tell(done)
                _check(done)
            said = ""
        except (NotPermitted, Unauthenticated):
            raise
        except BoathouseError as error:  # a server that restarts, a clash that waits: said once
            if str(error) != said:
                complain(error)
            said = str(error)


def _check(done: "Synced") -> None:
    from boathouse.client.sync import unsettled

    if done.conflicts:
        raise unsettled(done.conflicts)


def _tell(done: "Synced", dry_run: bool = False) -> None:
    came, went = ("would come from", "would go to") if dry_run else ("came from", "went to")
    for changes, what in ((done.received, came), (done.sent, went)):
        for each in changes[:_SHOWN]:
            say(f"{each.change:<8} {each.path}")
        if changes:
            say(f"{len(changes)} {'files' if len(changes) > 1 else 'file'} {what} the workspace")
    for path in done.kept:
        say(f"{path} was changed on one side and deleted on the other: it stays")
    if done.nothing:
        say(f"{done.branch} and this folder are alike at {(done.head or 'no commit')[:12]}")
