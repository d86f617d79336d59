"""Files into tables."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from boathouse.cli.output import JSON, dump, pairs, say
from boathouse.cli.session import lakehouse
from boathouse.cli.tables import tables

if TYPE_CHECKING:
    from boathouse.client.import_report import ImportReport
    from boathouse.client.ingest_report import IngestReport

_KEY = typer.Option([], "--key", help="a primary key column of a new table; may be repeated")
_EVENT_TIME = typer.Option("", "--event-time", help="the column of a new table that says when a row happened")
_PARTITION_BY = typer.Option([], "--partition-by", help="a column to partition a new table by")
_DESCRIPTION = typer.Option("", "--description", help="of a new table")
_EVOLVE = typer.Option(False, "--evolve", help="let columns in that the table does not have")
_MAX_BAD_ROWS = typer.Option(None, "--max-bad-rows", help="write nothing if more are bad (default: no limit)")
_FILE_COLUMN = typer.Option(False, "--file-column", help="add the column _file, the file each row came from")
_TIME_COLUMN = typer.Option(False, "--time-column", help="add the column _ingested_at, when each row was taken in")
_TYPE = typer.Option([], "--type", help="COLUMN=TYPE instead of what is inferred; may be repeated")
_FORMAT = typer.Option("", "--format", help="csv, json or parquet, where the file's name does not say it")
_ENCODING = typer.Option("", "--encoding", help="of text, for example latin-1 (default: UTF-8, or what a byte order mark says)")
_DELIMITER = typer.Option("", "--delimiter", help="between fields (default: found out; write TAB for a tabulator)")
_QUOTE = typer.Option("", "--quote", help='around fields (default ")')
_HEADER = typer.Option(None, "--header/--no-header", help="whether the first row names the columns (default: found out)")
_NULL = typer.Option([], "--null", help="an unquoted word that means nothing is there, for example NA; may be repeated")
_DATE_FORMAT = typer.Option("", "--date-format", help="how dates or times are written, for example %d/%m/%Y, beside ISO 8601")


def register(_app: typer.Typer) -> None:
    """Add these commands to those of tables."""
    tables.command("import")(import_files)
    tables.command("ingest")(ingest)


def import_files(
    name: str,
    files: list[str] = typer.Argument(help="files, folders or patterns: CSV, JSON (lines or arrays), Parquet; also .gz"),
    types: list[str] = _TYPE,
    key: list[str] = _KEY,
    event_time: str = _EVENT_TIME,
    partition_by: list[str] = _PARTITION_BY,
    description: str = _DESCRIPTION,
    mode: str = typer.Option("append", "--mode", help="append, overwrite or merge (on the keys)"),
    evolve: bool = _EVOLVE,
    rejects: str = typer.Option("", "--rejects", help="a .csv, .jsonl or .parquet file for bad rows, instead of NAME_rejected"),
    max_bad_rows: int | None = _MAX_BAD_ROWS,
    file_column: bool = _FILE_COLUMN,
    time_column: bool = _TIME_COLUMN,
    form: str = _FORMAT,
    encoding: str = _ENCODING,
    delimiter: str = _DELIMITER,
    quote: str = _QUOTE,
    header: bool | None = _HEADER,
    null: list[str] = _NULL,
    date_format: str = _DATE_FORMAT,
    as_json: bool = JSON,
) -> None:
    """Files as a table: made if it is new, with types that hold every value; all rows in one commit, or none.

    Rows that do not fit, by their number of fields or a value's type, are kept in NAME_rejected with file, line and reason.
    """
    with lakehouse() as lake, bars() as progress:
        report = lake.import_files(
            name, files, types=pairs(types, "type"), primary_keys=key, event_time=event_time or None,
            partition_by=partition_by, description=description, mode=mode, evolve=evolve,  # type: ignore[arg-type]
            rejects=Path(rejects) if rejects else None, max_bad_rows=max_bad_rows, progress=progress,
            file_column=file_column, time_column=time_column,
            **reading(form, encoding, delimiter, quote, header, null, date_format),
        )  # fmt: skip
    if as_json:
        dump(report.to_dict())
    else:
        tell(report)


def ingest(
    name: str,
    source: str = typer.Argument(help="a folder that files arrive in, with all below it"),
    pattern: str = typer.Option("", "--pattern", help="only files whose name or path matches, for example '*.csv'"),
    watch: bool = typer.Option(False, "--watch", help="look again and again until Ctrl-C"),
    every: float = typer.Option(2.0, "--every", help="seconds between looks"),
    changed: str = typer.Option("ignore", "--changed", help="a file taken in that is another now: ignore, fail or append"),
    settle: float = typer.Option(2.0, "--settle", help="seconds that a file must have stood still"),
    types: list[str] = _TYPE,
    key: list[str] = _KEY,
    event_time: str = _EVENT_TIME,
    partition_by: list[str] = _PARTITION_BY,
    description: str = _DESCRIPTION,
    evolve: bool = _EVOLVE,
    max_bad_rows: int | None = _MAX_BAD_ROWS,
    file_column: bool = _FILE_COLUMN,
    time_column: bool = _TIME_COLUMN,
    form: str = _FORMAT,
    encoding: str = _ENCODING,
    delimiter: str = _DELIMITER,
    quote: str = _QUOTE,
    header: bool | None = _HEADER,
    null: list[str] = _NULL,
    date_format: str = _DATE_FORMAT,
    as_json: bool = JSON,
) -> None:
    """Files that arrive in a folder as rows of a table: each file exactly once, across restarts and crashes.

    Rows that do not fit are kept in NAME_rejected, what was taken in is listed in NAME_files. Exits 1 if a file cannot be read.
    """
    with lakehouse() as lake, bars() as progress:
        ingester = lake.ingester(
            name, source, pattern=pattern, changed=changed, settle=settle, progress=progress, types=pairs(types, "type"),  # type: ignore[arg-type]
            primary_keys=key, event_time=event_time or None, partition_by=partition_by, description=description,
            evolve=evolve, max_bad_rows=max_bad_rows, file_column=file_column, time_column=time_column,
            **reading(form, encoding, delimiter, quote, header, null, date_format),
        )  # fmt: skip
        for report in ingester.watch(every) if watch else [ingester.run()]:
            if as_json:
                dump(report.to_dict())
            else:
                tell_ingested(report)
    if not watch and report.failed:
        raise typer.Exit(1)


def tell_ingested(report: "IngestReport") -> None:
    """What one look took in, for people."""
    count, version = len(report.files), "" if report.version is None else f", version {report.version}"
    files = "1 file" if count == 1 else f"{count} files"
    say(f"{report.rows:,} rows of {files} are in {report.table} now{version}; {report.known} files were there already")
    if report.bad_rows:
        say(f"{_bad_rows(report.bad_rows)} in {report.rejects}")
    for note in report.notes:
        say(f"note: {note}")
    for file in report.waiting:
        say(f"waiting: {file} is still being written")
    for file in report.changed:
        say(f"changed: {file} was taken in before and is another now")
    for file, reason in report.failed.items():
        say(f"failed: {reason if file in reason else f'{file}: {reason}'}")


def reading(form: str, encoding: str, delimiter: str, quote: str, header: bool | None, null: list[str],
            date_format: str) -> dict[str, Any]:  # fmt: skip
    """The options that say how files are read, for Python."""
    sign = "\t" if delimiter.upper() in ("TAB", "\\T") else delimiter
    return {"format": form or None, "encoding": encoding or None, "delimiter": sign or None, "quote": quote or None,
            "header": header, "nulls": tuple(null), "date_format": date_format or None}  # fmt: skip


def tell(report: "ImportReport") -> None:
    """What an import did, for people."""
    count = len(report.files)
    where = f"{report.files[0].name}" if count == 1 else f"{count} files"
    verb = {"append": "are in", "overwrite": "replaced those of", "merge": "were merged into"}[report.mode]
    new = ", a new table" if report.created else ""
    say(f"{report.rows:,} rows of {where} ({size(report.bytes)}) {verb} {report.table}{new}, version {report.version}")
    say(f"columns: {', '.join(f'{name} {kind}' for name, kind in report.columns.items())}")
    for header, name in report.renamed.items():
        say(f"renamed: {header!r} is {name}")
    for note in report.notes:
        say(f"note: {note}")
    if report.bad_rows:
        say(f"{_bad_rows(report.bad_rows)} in {report.rejects}; the first: {report.first_bad}")


def _bad_rows(count: int) -> str:
    return f"{count:,} bad rows are" if count > 1 else "1 bad row is"


def size(count: int) -> str:
    """Bytes for people."""
    value, units = float(count), ["bytes", "KB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "bytes" else f"{value:.1f} {units[0]}"


@contextmanager
def bars() -> "Iterator[Any]":
    """Progress on standard error, one bar a step: what an import calls with (step, done, total)."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    shown: dict[str, TaskID] = {}
    columns = TextColumn("{task.description:>8}"), BarColumn(), TextColumn("{task.fields[said]}"), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:

        def update(step: str, done: int, total: int) -> None:
            if step not in shown:
                shown[step] = progress.add_task(step, said="")
            said = f"{done:,} of {total:,} rows" if step == "writing" else f"{size(done)} of {size(total)}"
            progress.update(shown[step], completed=done, total=total or None, said=said if total else "")

        yield update
