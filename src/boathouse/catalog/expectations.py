"""What rows of a table are expected to be: asked of every batch before it is written."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from boathouse.catalog.quarantine import FAILED, quarantine_of
from boathouse.catalog.served import ServedFolder
from boathouse.catalog.sql.reading import check_expression
from boathouse.catalog.values import TableInfo
from boathouse.errors import ExpectationsFailed, InvalidInput
from boathouse.lake import (
    SOURCE,
    TARGET,
    Clause,
    Commit,
    DeltaFolder,
    Frame,
    Judge,
    Stream,
    batches,
    carried,
    completed,
    conform,
    merge,
    met,
    normalised,
    parsed,
    quoted,
    update,
)

_ACTIONS = ("warn", "drop", "fail")

Result = dict[str, Any]
"""`outcome` (written, refused), how many `rows` came, `written` and `quarantined`, and `failed`: rows per expectation."""


def declared(given: Mapping[str, Any], schema: pa.Schema, table: str) -> dict[str, dict[str, str]]:
    """Expectations as they are kept: name -> `expr`, SQL on the row's columns, and `action`: warn (default), drop or fail.

    Raises InvalidInput for one that rows of this schema cannot be asked.
    """
    found: dict[str, dict[str, str]] = {}
    for name, said in given.items():
        body = {"expr": said} if isinstance(said, str) else dict(said) if isinstance(said, Mapping) else {}
        if unknown := set(body) - {"expr", "action"}:
            raise InvalidInput(f"{table}: the expectation {name!r} has no {sorted(unknown)[0]!r}; it has expr and action")
        expr, action = body.get("expr"), body.get("action", "warn")
        if not isinstance(expr, str) or not expr.strip():
            raise InvalidInput(f'{table}: the expectation {name!r} needs an expr, for example {{"expr": "temp > -90"}}')
        if action not in _ACTIONS:
            raise InvalidInput(f"{table}: the action of {name!r} is warn, drop or fail, not {action!r}")
        found[name] = {"expr": expr, "action": action}
    _asked(found, _nullable(schema).empty_table(), table)
    return found


@dataclass(frozen=True)
class Judged:
    """A batch: what of it is to be written, what is kept aside, with the names that failed, and the counts."""

    rows: pa.Table
    aside: pa.Table
    result: Result

    @property
    def refused(self) -> bool:
        """Whether nothing of it is to be written."""
        return bool(self.result["outcome"] == "refused")


def judged(rows: pa.Table, whole: pa.Table, info: TableInfo, exempt: pa.Array | None = None) -> Judged:
    """`whole` is `rows` in the table's columns, of which the expectations are asked; `exempt` rows are only removed."""
    failing = {name: pc.invert(answers) for name, answers in _asked(info.expectations, whole, info.name).items()}
    if exempt is not None:
        failing = {name: pc.and_not(fails, exempt) for name, fails in failing.items()}
    counts = {name: int(pc.sum(fails, min_count=0).as_py()) for name, fails in failing.items()}
    refused = any(counts[name] and said["action"] == "fail" for name, said in info.expectations.items())
    left_out = pa.array(np.full(rows.num_rows, refused))
    for name, said in info.expectations.items():
        if said["action"] == "drop":
            left_out = pc.or_(left_out, failing[name])
    named = zip(*(fails.filter(left_out).to_pylist() for fails in failing.values()), strict=True)
    names = [[name for name, fails in zip(failing, flags, strict=True) if fails] for flags in named]
    aside = whole.filter(left_out).append_column(FAILED, pa.array(names, pa.list_(pa.string())))
    kept = rows.filter(pc.invert(left_out)) if aside.num_rows else rows
    return Judged(kept, aside, {
        "outcome": "refused" if refused else "written", "rows": rows.num_rows, "written": kept.num_rows,
        "quarantined": aside.num_rows, "failed": counts,
    })  # fmt: skip


@dataclass(frozen=True)
class Gate:
    """Lets a batch into a table: asks, keeps aside under the batch's own key, then writes; killed between, it is done again.

    `keep(rows, batch, number)` replaces what the batch left aside before; `note(result)` remembers the counts.
    """

    info: TableInfo
    folder: DeltaFolder | ServedFolder
    keep: Callable[[pa.Table, str, int], None]
    note: Callable[[Result], None]

    def write(self, df: Frame, act: Callable[[Frame], Commit], marks: Mapping[str, int] | None = None,
              dropping: str | None = None, renewed: bool = False, keys: Sequence[str] = ()) -> Commit:  # fmt: skip
        """With `keys` the rows are merged by them: of what they lack, the table's own values are asked.

        Raises ExpectationsFailed, with nothing written, where a row fails what it may not fail."""
        if not self.info.expectations or self._was_written(marks or {}):
            return act(df)
        rows = batches(df).read_all()
        found = judged(rows, self._whole(rows, dropping, renewed, keys), self.info, _exempt(rows, dropping))
        batch, number = _key(rows, marks or {})
        if found.aside.num_rows:
            self.keep(found.aside, batch, number)
        if found.refused:
            self.note({**found.result, "batch": batch})
            raise _failure(self.info, found.result, batch)
        commit = act(found.rows)
        self.note({**found.result, "batch": batch, "version": commit.version})
        return commit

    def change(self, act: Callable[[Judge | None], Commit]) -> Commit:
        """A change whose rows are known only at the version that it changes: `act` is given what judges them there.

        A row that is left out stays as it was. Raises as `write`.
        """
        if not self.info.expectations:
            return act(None)
        batch, last = f"change:{uuid4().hex}", dict[str, Any]()

        def judge(names: pa.Table, rows: pa.Table) -> pa.Table:
            found = judged(names, rows, self.info)
            if found.aside.num_rows:
                self.keep(found.aside, batch, 0)
            if found.refused:
                self.note({**found.result, "batch": batch})
                raise _failure(self.info, found.result, batch)
            last.update(found.result)  # of the newest try, if another writer came first
            return found.rows

        commit = act(judge)
        if last.get("rows"):
            self.note({**last, "batch": batch, "version": commit.version})
        return commit

    def update(self, values: Mapping[str, str], where: str | None = None) -> Commit:
        """An UPDATE by SQL expressions of the engine that commits."""
        folder = self.folder
        if isinstance(folder, DeltaFolder):
            return self.change(lambda judge: update(folder, values, where, self.info.primary_keys, judge))
        return folder.update(values, where)

    def fill(self, df: Frame, on: Sequence[str], columns: Sequence[str]) -> Commit:
        """Some columns of rows that are there."""
        folder = self.folder
        if not isinstance(folder, DeltaFolder) or not self.info.expectations:
            return folder.fill(df, on, columns)
        rows = batches(df).read_all()
        predicate = " AND ".join(f"{TARGET}.{quoted(key)} = {SOURCE}.{quoted(key)}" for key in on)
        clause = Clause("matched", "update", values={column: f"{SOURCE}.{quoted(column)}" for column in columns})
        return self.change(lambda judge: merge(folder, Stream(rows.schema, rows.to_reader), predicate, [clause], judge))

    def _was_written(self, marks: Mapping[str, int]) -> bool:
        standing = {a: self.folder.transaction_version(a) for a in marks}
        return bool(marks) and all(at is not None and at >= marks[a] for a, at in standing.items())

    def _whole(self, rows: pa.Table, dropping: str | None, renewed: bool, keys: Sequence[str]) -> pa.Table:
        """The rows in the table's columns and types, and those that are new."""
        given = rows.drop_columns([dropping]) if dropping else rows
        known = pa.schema([]) if renewed else self.folder.schema()
        new = [field for field in normalised(given.schema) if field.name not in known.names]
        if keys and isinstance(self.folder, DeltaFolder) and not set(known.names) <= set(given.column_names):
            old = given.select([c for c in given.column_names if c in known.names])
            table, name, time = self.folder.table(), self.info.name, self.info.known_time
            held = carried(table, old, keys, time, name) if time and time in keys else completed(table, old, keys, name)
            for field in new:
                held = held.append_column(field.name, given.column(field.name))
            given = held
        return conform(given, _nullable(pa.schema([*known, *new])), self.info.name).read_all()


def _asked(expectations: Mapping[str, Mapping[str, str]], rows: pa.Table, table: str) -> dict[str, pa.Array]:
    for name, said in expectations.items():
        try:
            check_expression(*parsed(said["expr"]))
        except InvalidInput as error:
            raise InvalidInput(f"{table}: the expectation {name!r} cannot be asked: {error}") from error
    try:
        return met(rows, {name: said["expr"] for name, said in expectations.items()})
    except InvalidInput as error:
        raise InvalidInput(f"{table}: the expectation {error}") from error


def _nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def _exempt(rows: pa.Table, dropping: str | None) -> pa.Array | None:
    return pc.fill_null(rows.column(dropping).combine_chunks(), False) if dropping else None


def _key(rows: pa.Table, marks: Mapping[str, int]) -> tuple[str, int]:
    """What names a batch, each time it is tried: its place in what it follows, else its content."""
    if len(marks) == 1:
        return next(iter(marks.items()))
    if marks:
        return " ".join(f"{a}={n}" for a, n in sorted(marks.items())), 0
    digest = hashlib.sha256()
    with pa.ipc.new_stream(_Digested(digest), rows.schema.remove_metadata()) as out:
        out.write_table(rows.replace_schema_metadata(None).combine_chunks())
    return f"sha256:{digest.hexdigest()}", 0


class _Digested:
    """A file that is only summed up."""

    closed = False

    def __init__(self, digest: Any) -> None:
        self._digest = digest

    def write(self, data: Any) -> int:
        self._digest.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """Nothing is open."""


def _failure(info: TableInfo, result: Result, batch: str) -> ExpectationsFailed:
    """Names what refused the batch first, then what else its rows fail."""
    counts, kept = result["failed"], quarantine_of(info.name)
    broken = {n: f"{n}: {e['expr']} ({counts[n]} of {result['rows']})" for n, e in info.expectations.items() if counts[n]}
    refused = [text for name, text in broken.items() if info.expectations[name]["action"] == "fail"]
    others = [text for name, text in broken.items() if info.expectations[name]["action"] != "fail"]
    besides = f"; rows also fail {', '.join(others)}" if others else ""
    return ExpectationsFailed(
        f"{info.name}: nothing was written, since rows fail {', '.join(refused)}{besides}; the whole batch is in {kept}, "
        f"_batch = '{batch}'",
        failed=counts, rows=result["rows"], quarantine=kept, batch=batch,
    )


def without(expectations: Mapping[str, Any], name: str, table: str) -> dict[str, Any]:
    """All but one. Raises InvalidInput where there is none of the name."""
    if name not in expectations:
        raise InvalidInput(f"{table} has no expectation {name!r}; it has {', '.join(expectations) or 'none'}")
    return {n: e for n, e in expectations.items() if n != name}
