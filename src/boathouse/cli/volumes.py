"""Volumes: files of any kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from boathouse.cli.imports import size
from boathouse.cli.output import JSON, facts, say, show
from boathouse.cli.session import lakehouse

volumes = typer.Typer(help="Volumes: files of any kind under a name, put, got, listed and removed.", no_args_is_help=True)
_FORCE = typer.Option(False, "--force", help="send files that are the same on the other side, too")
_PLACE = "SCHEMA.VOLUME, or SCHEMA.VOLUME/PATH"


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.add_typer(volumes, name="volumes")


@volumes.command("list")
def list_volumes(schema: str = typer.Argument("", help="one schema only"), as_json: bool = JSON) -> None:
    """Volumes you may see."""
    with lakehouse() as lake:
        rows = [volume.to_dict() for volume in lake.volumes.all(schema or None)]
        show(rows, ["name", "volume_type", "owner", "comment", "created_at"], as_json,
             empty=f"{lake.environment} has no volumes yet; `boathouse volumes create SCHEMA.NAME` makes one")  # fmt: skip


@volumes.command("create")
def create_volume(
    name: str,
    comment: str = "",
    location: str = typer.Option("", "--location", help="a place inside an external location, outside the lakehouse's storage"),
) -> None:
    """A new volume."""
    with lakehouse() as lake:
        made = lake.volumes.create(name, comment=comment, location=location or None)
        say(f"created {made.name}; put files into it with `boathouse volumes put FILE {made.name}`")


@volumes.command("show")
def show_volume(name: str, as_json: bool = JSON) -> None:
    """Where a volume lies, and whose it is."""
    with lakehouse() as lake:
        facts(lake.volume(name).info.to_dict(), as_json)


@volumes.command("drop")
def drop_volume(name: str, yes: bool = typer.Option(False, "--yes", help="do not ask")) -> None:
    """Remove a volume and its files; those of an external one stay."""
    with lakehouse() as lake:
        if not yes:
            typer.confirm(f"Remove {lake.complete(name)} and its files?", abort=True)
        lake.volumes.drop(name)
        say(f"dropped {lake.complete(name)}")


@volumes.command("put")
def put(
    source: Path = typer.Argument(help="a file, or a folder with all below it"),
    target: str = typer.Argument(help=f"{_PLACE}; a file goes into a folder that ends in /"),
    force: bool = _FORCE,
) -> None:
    """Files into a volume. Each is there once all of it is; what is there already and the same is passed over."""
    from boathouse.client.transfer import send_folder

    name, path = _place(target)
    with lakehouse() as lake, bar() as (on_plan, on_sent):
        volume = lake.volume(name)
        if source.is_dir():
            done = send_folder(volume, source, path, force=force, on_plan=on_plan, on_sent=on_sent)
            place = f"{volume.name}/{path}".rstrip("/")
            say(f"{done.sent} files ({size(done.bytes)}) are in {place} now; {done.same} were there already")
            return
        on_plan(1, source.stat().st_size if source.exists() else 0)
        made = volume.put(source, f"{path}{source.name}" if not path or path.endswith("/") else path, on_sent)
        say(f"{made.path} ({size(made.size)}) is in {volume.name}")


@volumes.command("get")
def get(
    source: str = typer.Argument(help=f"{_PLACE}: a file, or a folder with all below it"),
    target: Path = typer.Argument(Path(), help="where to; the folder here without it"),
    force: bool = _FORCE,
) -> None:
    """Files out of a volume. A get that was cut off goes on where it was; what is here already and the same is passed over."""
    from boathouse.client.transfer import fetch_folder

    name, path = _place(source)
    with lakehouse() as lake, bar() as (on_plan, on_sent):
        volume = lake.volume(name)
        if path and not path.endswith("/") and volume.exists(path):
            on_plan(1, volume.stat(path).size)
            say(f"{volume.get(path, target, on_sent)} is here")
            return
        folder = target / PurePosixPath(path).name if path else target
        done = fetch_folder(volume, path, folder, force=force, on_plan=on_plan, on_sent=on_sent)
        say(f"{done.sent} files ({size(done.bytes)}) are in {folder}; {done.same} were there already")


@volumes.command("ls")
def ls(
    place: str = typer.Argument(help=_PLACE),
    recursive: bool = typer.Option(False, "-r", "--recursive", help="all below it"),
    as_json: bool = JSON,
) -> None:
    """Files and folders of a volume."""
    name, path = _place(place)
    with lakehouse() as lake:
        volume = lake.volume(name)
        rows: list[dict[str, object]] = []
        after: str | None = None
        while True:
            page = volume.page(path, after, recursive)
            rows += [{"path": folder} for folder in page.folders] + [file.to_dict() for file in page.files]
            if (after := page.after) is None:
                break
        rows.sort(key=lambda row: str(row["path"]))
        where = f"below {path}" if path else "yet"
        show(rows, ["path", "size", "modified_at"], as_json, empty=f"{volume.name} has no files {where}")


@volumes.command("rm")
def rm(
    place: str = typer.Argument(help="SCHEMA.VOLUME/PATH"),
    recursive: bool = typer.Option(False, "-r", "--recursive", help="a folder and all below it"),
) -> None:
    """Remove a file."""
    name, path = _place(place)
    if not path:
        raise typer.BadParameter("name a file or a folder in the volume; `boathouse volumes drop` removes the volume itself")
    with lakehouse() as lake:
        volume = lake.volume(name)
        count = volume.remove(path.rstrip("/"), recursive)
        say(f"removed {count} file{'s' if count != 1 else ''} from {volume.name}")


def _place(word: str) -> tuple[str, str]:
    name, _, path = word.partition("/")
    return name, path


@contextmanager
def bar() -> Iterator[tuple[Callable[[int, int], None], Callable[[int], None]]]:
    """A bar of bytes on standard error: what tells it how much is to come, and what tells it what has gone."""
    console = Console(stderr=True)
    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        yield (
            lambda files, total: progress.update(task, description=f"{files} files" if files != 1 else "1 file", total=total),
            lambda sent: progress.advance(task, sent),
        )
