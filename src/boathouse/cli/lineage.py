"""Where things come from and what they went into."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from boathouse.cli.output import JSON, dump, facts, say, show
from boathouse.cli.session import connected, lakehouse

if TYPE_CHECKING:
    from boathouse.client import Lake


def register(app: typer.Typer) -> None:
    """Add this room's commands."""
    app.command()(lineage)
    app.command()(trace)
    app.command()(search)


def lineage(
    name: str = typer.Argument(help="a table, model, volume or endpoint; a column with schema.table.column"),
    up: bool = typer.Option(False, "--up", help="what it was made out of (the default)"),
    down: bool = typer.Option(False, "--down", help="what was made out of it"),
    columns: bool = typer.Option(False, "--columns", help="column by column"),
    depth: int | None = typer.Option(None, "--depth", min=1, help="how many steps; all without it"),
    at: int | None = typer.Option(None, "--at", metavar="VERSION", help="what this version holds, or what holds it"),
    svg: Path | None = typer.Option(None, "--svg", metavar="FILE", help="draw a picture into a file"),
    dot: bool = typer.Option(False, "--dot", help="print it for Graphviz"),
    mermaid: bool = typer.Option(False, "--mermaid", help="print it for Mermaid (Markdown)"),
    as_json: bool = JSON,
) -> None:
    """What something was made out of (--up), and what was made out of it (--down); both with both.

    Sources marked `inferred` were read before by the same process, and the rows written did not say more.
    What you may not see is "(hidden 1)" and so on.
    """
    direction = "both" if up and down else "down" if down else "up"
    with connected() as lake:
        if svg:
            svg.write_text(lake.lineage_as("svg", name, direction, version=at, depth=depth, columns=columns), "utf-8")
            say(f"the lineage of {name} is drawn in {svg}")
            return
        if dot or mermaid:
            print(lake.lineage_as("dot" if dot else "mermaid", name, direction, version=at, depth=depth), end="")
            return
        edges = lake.lineage(name, direction, version=at, depth=depth, columns=columns)
    if as_json:
        dump(edges)
    elif any(edge.get("columns") for edge in edges):
        _show_columns(edges)
    else:
        show(edges, ["source", "source_version", "target", "target_version", "how", "job", "at"], False,
             empty=f"no lineage is recorded for {name}")  # fmt: skip


def _show_columns(edges: list[dict[str, Any]]) -> None:
    """What values are made of; below that, what decides which rows there are."""
    steps = [
        {"source": e["source"], "column": c["source"], "target": e["target"], "target_column": c["target"],
         "how": ", ".join(h.lower() for h in c["how"]), "decides": _decides(c)}
        for e in edges for c in e["columns"]
    ]  # fmt: skip
    show([s for s in steps if not s["decides"]], ["source", "column", "target", "target_column", "how"], False,
         empty="no column's values go into it")  # fmt: skip
    if rows := [s for s in steps if s["decides"]]:
        say("which rows there are is decided by")
        show(rows, ["source", "column", "target", "how"], False)


def _decides(column: dict[str, Any]) -> bool:
    return column["target"] == "*" and bool({"FILTER", "JOIN", "GROUP_BY", "SORT"} & set(column["how"]))


def trace(
    prediction_id: str = typer.Argument("", help="a request id, or REQUEST:ROW for one row of a batch"),
    table: str = typer.Option("", "--table", help="instead of back from a prediction, forward from a table"),
    version: int | None = typer.Option(None, "--version", help="of the table; its newest without it"),
    as_json: bool = JSON,
) -> None:
    """From one prediction back: request, features, model version, training run, commit, raw tables.

    With --table forward: which versions of tables and models, endpoints and predictions a version went into.
    """
    if bool(prediction_id) == bool(table):
        raise typer.BadParameter("give a prediction's id, or --table NAME")
    with lakehouse() as lake:
        found = _forward(lake, table, version) if table else lake.trace(prediction_id)
    if as_json:
        dump(found)
    else:
        _say(found)


def _forward(lake: "Lake", table: str, version: int | None) -> dict[str, Any]:
    newest = lake.table(table).version if version is None else version
    return lake.touched(table, newest)


def _say(found: Mapping[str, Any]) -> None:
    for part, value in found.items():
        if isinstance(value, str | int) or value is None:
            facts({part: value}, False)
            continue
        say(f"{part.replace('_', ' ').upper()}")
        if isinstance(value, dict):
            facts({f"  {k}": v if not isinstance(v, dict) else json.dumps(v, default=str) for k, v in value.items()}, False)
        for line in [] if isinstance(value, dict) and value else (list(value) or ["-"]):
            say(f"  {line}")


def search(
    text: list[str] = typer.Argument(help="words; all of them have to be there"),
    kind: list[str] = typer.Option([], "--kind", help="table, volume, model, function, schema or share; several may be given"),
    target: str = typer.Option("", "-t", "--target", help="one environment only"),
    limit: int = typer.Option(50, "--limit", min=1, help="at most so many"),
    as_json: bool = JSON,
) -> None:
    """Find tables, models and more by name, description, tag or column; only what you may see."""
    with connected() as lake:
        found = lake.search(" ".join(text), kind, target or None, limit)
    rows = [{**f, "where": ", ".join(f"{m['field']} {m['text']}" for m in f["matched"] if m["field"] != "name")} for f in found]
    show(found if as_json else rows, ["kind", "name", "where", "description"], as_json,
         empty="nothing that you may see holds these words")  # fmt: skip
