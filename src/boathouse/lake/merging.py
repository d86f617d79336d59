"""MERGE with any clauses, and changes to rows that were chosen elsewhere by their keys."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable

from boathouse.errors import InvalidInput
from boathouse.lake.clause import SOURCE, TARGET, Clause, same
from boathouse.lake.commits import Commit, Marked
from boathouse.lake.delta import DeltaFolder
from boathouse.lake.foreseen import Judge, allowed, updated
from boathouse.lake.frames import Fitting, Stream, normalised
from boathouse.lake.literals import quoted, unquoted

_INDEX, _NEW = "_boathouse_index", "new "


def source_schema(source: pa.Schema, target: pa.Schema) -> pa.Schema:
    """The source's columns in Delta's types; one that the target has too takes its type there."""
    known = {field.name.lower(): field.type for field in target}
    return pa.schema([pa.field(f.name, known.get(f.name.lower(), f.type)) for f in normalised(source)])


def merge(folder: DeltaFolder, source: Stream, predicate: str, clauses: Sequence[Clause],
          judge: Judge | None = None) -> Commit:  # fmt: skip
    """Merge a source's rows by an SQL predicate over `source` and `target`; a judge may leave rows of the source out.

    Raises InvalidInput where two rows of the source meet one row of the target, CommitConflict.
    """

    def write(table: DeltaTable, marked: Marked) -> None:
        schema = source_schema(source.schema, pa.schema(table.schema().to_arrow()))
        rows = Fitting(source, schema, f"the source of the MERGE into {folder.name}").to_reader()
        if judge is None or all(clause.action == "delete" for clause in clauses):
            _execute(table, rows, predicate, clauses, marked)
            return
        kept, only = allowed(table, rows.read_all(), predicate, clauses, judge, folder.name)
        _execute(table, kept.to_reader(), predicate, only, marked)

    return folder.change(write, "MERGE")


def update(folder: DeltaFolder, values: Mapping[str, str], where: str | None, keys: Sequence[str],
           judge: Judge | None = None) -> Commit:  # fmt: skip
    """Set columns to SQL expressions where a predicate holds; rows that a judge leaves out stay as they are.

    Raises InvalidInput where a column is not there, or some are left out and no keys tell the rows apart.
    """
    names = {name.lower(): name for name in folder.schema().names}
    given = {(column if column.lower() in names else unquoted(column)).lower(): made for column, made in values.items()}
    if absent := set(given) - set(names):
        raise InvalidInput(f"{folder.name} has no column {sorted(absent)[0]!r} (it has {', '.join(names.values())})")
    made = {names[column]: expression for column, expression in given.items()}
    if judge is None:
        return folder.update({quoted(column): expression for column, expression in made.items()}, where)

    def write(table: DeltaTable, marked: Marked) -> bool:
        known, rows = updated(table, made, where, keys, folder.name)
        kept = judge(known.append_column(_INDEX, pa.array(range(rows.num_rows), pa.int64())), rows)
        if not kept.num_rows:
            return False
        if kept.num_rows == rows.num_rows:
            table.update({quoted(c): e for c, e in made.items()}, predicate=where, commit_properties=marked.properties())
            return True
        if not keys:
            raise InvalidInput(f"{folder.name} has no primary keys by which rows that fail an expectation can be left out of an "
                               "UPDATE: nothing was written; leave them out by the condition")  # fmt: skip
        chosen = kept.drop_columns([_INDEX])
        for column in made:
            chosen = chosen.append_column(f"new {column}", rows.column(column).take(kept.column(_INDEX)))
        predicate = " AND ".join(f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(f'old {key}')}" for key in keys)
        new = {column: f"{SOURCE}.{quoted(f'new {column}')}" for column in made}
        _execute(table, chosen.to_reader(), predicate, [Clause("matched", "update", values=new)], marked)
        return True

    return folder.change(write, "UPDATE")


def change_chosen(folder: DeltaFolder, keys: Sequence[str], choose: Callable[[int], pa.Table],
                  values: Mapping[str, str] | None, operation: str, judge: Judge | None = None) -> Commit:  # fmt: skip
    """Delete the rows with chosen keys, or set columns of them to columns of the chosen rows.

    For a judge, the chosen rows have all columns as they will be, as `new …`.

    `choose(version)` gives keys, and values, of the rows to change in that version; it is asked again, of the
    newest one, whenever another writer came first. Keys that are null choose no row.
    """
    predicate = same(keys)
    set_to = {column: f"{SOURCE}.{quoted(chosen)}" for column, chosen in (values or {}).items()}
    clause = Clause("matched", "update", values=set_to) if values else Clause("matched", "delete")

    def write(table: DeltaTable, marked: Marked) -> bool:
        chosen = choose(table.version())
        if not chosen.num_rows:
            return False
        if judge is not None:
            names = [name for name in chosen.column_names if name.startswith(_NEW)]
            rows = chosen.select(names).rename_columns([name.removeprefix(_NEW) for name in names])
            chosen = judge(chosen.drop_columns(names), rows)
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
