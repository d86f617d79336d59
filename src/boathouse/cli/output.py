"""What commands print: tables for people, JSON for programs, errors to stderr."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from boathouse.errors import BoathouseError

_WHOLE = ("state", "version", "id", "run_id")
_SHOWN_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_DATE = 10
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")
JSON = typer.Option(False, "--json", help="print JSON")
FORCE = typer.Option(False, "--force", help="even though something uses it; kept in the audit log")
console = Console(highlight=False)
_wide = Console(highlight=False, width=2_000)  # for programs, which read a row as a line


def show(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], as_json: bool, empty: str = "nothing there") -> None:
    """A list: the named columns for people, everything as JSON."""
    if as_json:
        dump(list(rows))
        return
    if not rows:
        console.print(empty, markup=False)
        return
    look = {"box": box.SIMPLE_HEAD, "padding": (0, 1)} if console.is_terminal else {"box": None, "padding": (0, 2)}
    table = Table(pad_edge=False, collapse_padding=True, **look)
    cells = [[" ".join(text(_at(row, column)).split()) for column in columns] for row in rows]
    for position, column in enumerate(columns):
        whole = position == 0 or column in _WHOLE  # what is copied into the next command, and what is compared by eye
        dates = any(_SHOWN_INSTANT.fullmatch(line[position]) for line in cells)
        table.add_column(column.replace("_", " "), overflow="fold", no_wrap=whole, min_width=_DATE if dates else None)
    for line in cells:
        table.add_row(*line)
    (console if console.is_terminal else _wide).print(table, markup=False)


def facts(values: Mapping[str, Any], as_json: bool) -> None:
    """One thing: a line for each fact, or JSON."""
    if as_json:
        dump(values)
        return
    width = max((len(k) for k in values), default=0)
    for key, value in values.items():
        shown = key if "." in key else key.replace("_", " ")  # the name of a table stays as it is
        console.print(f"{shown:<{width}}  {text(value)}", markup=False, soft_wrap=True)


def dump(value: Any) -> None:
    """JSON to stdout."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def say(message: str) -> None:
    """A line for people."""
    console.print(message, markup=False, soft_wrap=True)


def complain(error: Exception) -> None:
    """An error in one or two lines, to stderr."""
    name = error.error_code if isinstance(error, BoathouseError) else type(error).__name__
    print(f"Error: {error} [{name}]", file=sys.stderr)


def text(value: Any) -> str:  # noqa: PLR0911
    """A value in a cell."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={text(v)}" for k, v in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(text(v) for v in value) or "-"
    said = str(value)
    return said[:19].replace("T", " ") if _INSTANT.match(said) else said


def _at(row: Mapping[str, Any], column: str) -> Any:
    value: Any = row
    for part in column.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def pairs(given: Sequence[str], what: str) -> dict[str, str]:
    """`k=v` words as a dict. Raises a usage error."""
    found = {}
    for word in given:
        key, equals, value = word.partition("=")
        if not equals:
            raise typer.BadParameter(f"{word!r} is no {what}: write NAME=VALUE")
        found[key] = value
    return found
