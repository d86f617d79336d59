"""`boathouse demo`: the whole reference workflow on real flight data, step by step."""

import json
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from boathouse.cli.output import console, say
from boathouse.cli.session import end_on_sigterm, options

if TYPE_CHECKING:
    from boathouse.cli.demo_story import Story

_MARK = "demo"


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(demo)


def demo(
    leave: bool = typer.Option(False, "--exit", help="end when the workflow has run, without serving the UI"),
    port: int = typer.Option(8787, "--port", help="where the UI is served"),
) -> None:
    """The whole workflow on real flight data, from Git to monitored predictions; then the UI to look around.

    It works in a home of its own, which it empties first: BOATHOUSE_HOME, else ~/.boathouse-demo.
    """
    from boathouse import settings
    from boathouse.cli.demo_story import Story
    from boathouse.platform import Platform
    from boathouse.server import Server

    end_on_sigterm()
    home = _empty_home(settings.load(home=options.home).home)
    began = time.monotonic()
    with Platform(settings.load(home=str(home))) as platform:
        server = Server(platform, 0 if leave else port)
        url = server.start(warm=True)
        platform.home.publish(url)
        try:
            story = Story(url, platform.home.operator_token() or "", home.parent / "flights")
            summary = _tell(story)
            summary |= {"seconds": round(time.monotonic() - began, 1), "home": str(home)}
            target = Path.cwd() / "demo-summary.json"
            target.write_text(json.dumps(summary, indent=2, default=str) + "\n")
            story.print_summary(summary, target)
            if not leave:
                say(f"\nThe UI: {url}{platform.operator_link()}\nCtrl-C ends it.")
                _wait()
        finally:
            server.stop()


def _tell(story: "Story") -> dict[str, Any]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    chapter = ""
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(story.steps))
        for number, step in enumerate(story.steps, 1):
            if step.chapter != chapter:
                chapter = step.chapter
                console.print(f"\n{chapter}", style="bold", markup=False)
            progress.update(bar, description=step.title)
            start = time.monotonic()
            result = step.run()
            seconds = time.monotonic() - start
            console.print(f"{number:>3}. {step.title}  ({seconds:.1f} s)", markup=False)
            for line in result.splitlines():
                console.print(f"     {line}", style="dim", markup=False, soft_wrap=True)
            story.note(step, seconds, result)
            progress.advance(bar)
    return story.summary()


def _empty_home(home: Path) -> Path:
    """A demo's own home, emptied; never one that holds anything else."""
    if home == Path("~/.boathouse").expanduser():
        home = Path("~/.boathouse-demo/home").expanduser()
    if home.exists() and any(home.iterdir()) and not (home / _MARK).exists():
        raise typer.BadParameter(f"{home} is in use by something else than the demo; set BOATHOUSE_HOME to an empty folder")
    _check_free(home)
    for folder in (home, home.parent / "flights"):
        shutil.rmtree(folder, ignore_errors=True)
    home.mkdir(parents=True, mode=0o700)
    (home / _MARK).touch()
    return home


def _check_free(home: Path) -> None:
    """An earlier demo that still runs keeps its home; of one that was killed, what it left running is ended."""
    from boathouse import settings
    from boathouse.platform import Platform

    if (home / "boathouse.db").exists():
        with Platform(settings.load(home=str(home))) as earlier:
            earlier.take_up()  # closing it ends them


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        say("ending")
