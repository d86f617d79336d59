"""MERGE with any clauses, and changes to rows that were chosen elsewhere by their keys."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa
from deltalake import DeltaTable

from boathouse.lake.commits import Commit, Marked
from boathouse.lake.delta import DeltaFolder
from boathouse.lake.frames import Fitting, Stream, normalised
from boathouse.lake.literals import quoted

SOURCE, TARGET = "source", "target"
"""What expressions call the two sides."""


@dataclass(frozen=True)
class Clause:
    """One WHEN: on rows that are `matched`, `not_matched` by the target, or `not_matched_by_source`.

    `values` are column -> expression for update and insert.
    """

    on: Literal["matched", "not_matched", "not_matched_by_source"]
    action: Literal["update", "delete", "insert"]
    condition: str | None = None
    values: Mapping[str, str] | None = None


def source_schema(source: pa.Schema, target: pa.Schema) -> pa.Schema:
    """The source's columns in Delta's types; one that the target has too takes its type there."""
    known = {field.name.lower(): field.type for field in target}
    return pa.schema([pa.field(f.name, known.get(f.name.lower(), f.type)) for f in normalised(source)])


def merge(folder: DeltaFolder, source: Stream, predicate: str, clauses: Sequence[Clause]) -> Commit:
    """Merge a source's rows by an SQL predicate over `source` and `target`.

    Raises InvalidInput where two rows of the source meet one row of the target, CommitConflict.
    """

    def write(table: DeltaTable, marked: Marked) -> None:
        schema = source_schema(source.schema, pa.schema(table.schema().to_arrow()))
        rows = Fitting(source, schema, f"the source of the MERGE into {folder.name}").to_reader()
        _execute(table, rows, predicate, clauses, marked)

    return folder.change(write, "MERGE")


def change_chosen(folder: DeltaFolder, keys: Sequence[str], choose: Callable[[int], pa.Table],
                  values: Mapping[str, str] | None, operation: str) -> Commit:  # fmt: skip
    """Delete the rows with chosen keys, or set columns of them to columns of the chosen rows.

    `choose(version)` gives keys, and values, of the rows to change in that version; it is asked again, of the
    newest one, whenever another writer came first. Keys that are null choose no row.
    """
    predicate = " AND ".join(f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(key)}" for key in keys)
    set_to = {column: f"{SOURCE}.{quoted(chosen)}" for column, chosen in (values or {}).items()}
    clause = Clause("matched", "update", values=set_to) if values else Clause("matched", "delete")

    def write(table: DeltaTable, marked: Marked) -> bool:
        chosen = choose(table.version())
        if not chosen.num_rows:
            return False
        _execute(table, chosen.to_reader(), predicate, [clause], marked)
        return True

    return folder.change(write, operation)


def _execute(table: DeltaTable, source: pa.RecordBatchReader, predicate: str, clauses: Sequence[Clause],
             marked: Marked) -> None:  # fmt: skip
    merger: Any = table.merge(
        source, predicate, source_alias=SOURCE, target_alias=TARGET, commit_properties=marked.properties()
    )
    for clause in clauses:
        step = getattr(merger, f"when_{clause.on}_{clause.action}")
        values = {quoted(column): value for column, value in (clause.values or {}).items()}
        merger = step(predicate=clause.condition) if clause.action == "delete" else step(values, predicate=clause.condition)
    merger.execute()
