"""SQL, and the queries that run."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from boathouse.cli.output import JSON, facts, pairs, say, show
from boathouse.cli.session import connected, lakehouse
from boathouse.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from boathouse.lake import Relation

queries = typer.Typer(help="Queries that run or ended lately: list, show, cancel.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(sql)
    app.add_typer(queries, name="queries")


def sql(
    query: str = typer.Argument("", help='for example "select origin, count(*) n from raw.flights group by 1"; - reads stdin'),
    file: Path | None = typer.Option(None, "-f", "--file", help="a file with the statement"),
    form: str = typer.Option("", "--format", help="table, csv, json or parquet (default: table, or what --output ends in)"),
    output: Path | None = typer.Option(None, "--output", "-o", help="a file for the rows"),
    param: list[str] = typer.Option([], "--param", help="k=v for $k in the statement; numbers, true, false and null are such"),
    target: str = typer.Option("", "-t", "--target", help="environment"),
) -> None:
    """Rows of a query over the tables you may read, or a statement that changes them. Ctrl-C ends it on the server too."""
    statement = _statement(query, file)
    given = {k: _value(v) for k, v in pairs(param, "parameter").items()}
    wanted = form or (output.suffix.lstrip(".").lower() if output else "table")
    with lakehouse(target or None) as lake:
        rows = lake.sql(statement, given or None)
        if wanted == "table" and output is None:
            print(rows)
        elif output is None:
            _write(rows, wanted, sys.stdout.buffer)
        else:
            with _whole(output) as out, _progress(out, f"rows to {output}") as shown:
                count = _write(rows, wanted, shown)
            say(f"{count} rows are in {output}")


@queries.command("list")
def list_queries(
    running: bool = typer.Option(False, "--running", help="those only that run or wait"), as_json: bool = JSON
) -> None:
    """Your queries, newest first; all that are asked in an environment you may MANAGE."""
    with connected() as lake:
        rows = lake.http.call("GET", "/api/v1/sql", params={"running": running})
        show(rows, ["id", "principal", "environment", "state", "seconds", "bytes", "query"], as_json, empty="no query runs")


@queries.command("show")
def show_query(query_id: str = typer.Argument(metavar="ID"), as_json: bool = JSON) -> None:
    """One query: who asked it, how it goes, how it ended."""
    with connected() as lake:
        facts(lake.call("GET", f"/api/v1/sql/{query_id}"), as_json)


@queries.command("cancel")
def cancel_query(query_id: str = typer.Argument(metavar="ID")) -> None:
    """End a query."""
    with connected() as lake:
        found = lake.call("DELETE", f"/api/v1/sql/{query_id}")
        running = found["state"] in ("QUEUED", "RUNNING")
        say(f"{query_id} is being ended" if running else f"{query_id} has ended: {found['state']}")


def _statement(query: str, file: Path | None) -> str:
    """The statement, from wherever it is given. Raises InvalidInput, NotFound."""
    if bool(query) == bool(file):
        raise InvalidInput("give one statement: as an argument, by -f FILE, or - for stdin")
    if query == "-":
        return sys.stdin.read()
    if file is None:
        return query
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    return file.read_text()


def _value(said: str) -> Any:
    try:
        value = json.loads(said)
    except ValueError:
        return said
    return value if isinstance(value, str | int | float | bool) or value is None else said


def _write(rows: "Relation", form: str, out: IO[bytes]) -> int:
    from boathouse.client.files import write_rows

    return write_rows(rows, form, out)


@contextmanager
def _whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that is there when all is written, and not before."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as out:
            yield out
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _Counted:
    """A file that tells how much was written to it."""

    def __init__(self, out: IO[bytes], progress: Progress) -> None:
        self._out = out
        self._progress = progress
        self._task = progress.tasks[0].id

    def write(self, chunk: Any) -> int:
        self._progress.advance(self._task, len(chunk))
        return self._out.write(chunk)

    def flush(self) -> None:
        self._out.flush()


@contextmanager
def _progress(out: IO[bytes], words: str) -> Iterator[Any]:
    """The same file, with what was written so far on stderr, for people who watch."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        progress.add_task(words, total=None)
        yield _Counted(out, progress)
