"""The types that the columns of files get, and the SQL that reads, counts and sets aside rows by them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from boathouse.errors import InvalidInput
from boathouse.lake import literals
from boathouse.lake.files import inference, nested
from boathouse.lake.files.casts import cast, trimmed, trusted
from boathouse.lake.files.dates import ISO, DateShapes, given
from boathouse.lake.files.rows import FoundColumn, FoundRows
from boathouse.lake.literals import quoted
from boathouse.lake.schemas import sql_type

_SHOWN = 100


@dataclass(frozen=True)
class TypedColumn:
    """A column as it will be. Values of a `judged` one may not fit; a `required` one may not be null.

    `misfits` are structures of JSON values that its nested type cannot hold.
    """

    found: FoundColumn
    name: str
    type: pa.DataType
    dates: DateShapes = ISO
    judged: bool = False
    required: bool = False
    misfits: tuple[str, ...] = ()
    note: str = ""

    @property
    def value(self) -> str:
        """SQL of the typed value; null where nothing is there, or nothing that fits."""
        if self.found.type == self.type and self.found.kind == "native":
            return self.found.sql
        if pa.types.is_string(self.type):
            return f"CAST({self.found.sql} AS VARCHAR)"
        if not self.judged:
            return trusted(self._text, self.type, self.dates)
        return f"CASE WHEN {self._text} IS NOT NULL THEN {cast(self._text, self.type, self.dates)} END"

    @property
    def faults(self) -> list[tuple[str, str]]:
        """SQL (condition, reason) of what may be wrong with a row's value."""
        found = []
        if self.judged and not pa.types.is_string(self.type):
            wrong = f"({self.value}) IS NULL"
            if self.misfits:
                wrong += f" OR json_structure({self._text})::VARCHAR IN ({', '.join(map(literals.text, self.misfits))})"
            before, after = literals.text(f"{self.name}: "), literals.text(f" is no {sql_type(self.type)}")
            said = f"{before} || left({self._text}, {_SHOWN}) || {after}"
            found.append((f"{self._text} IS NOT NULL AND ({wrong})", said))
        if self.required:
            found.append((f"{self._text} IS NULL", literals.text(f"{self.name}: nothing is there, and it is part of the key")))
        return found

    @property
    def _text(self) -> str:
        return f"CAST({self.found.sql} AS VARCHAR)" if self.found.kind == "native" else trimmed(self.found.sql)


@dataclass(frozen=True)
class Typing:
    """Columns with their types, over found rows."""

    rows: FoundRows
    columns: tuple[TypedColumn, ...]

    @classmethod
    def of(cls, connection: duckdb.DuckDBPyConnection, rows: FoundRows, known: Mapping[str, pa.DataType],
           required: Sequence[str] = (), date_format: str | None = None) -> "Typing":  # fmt: skip
        """Types by name where they are known (in whatever case), inferred else. Raises InvalidInput."""
        judge = _Judge(connection, rows.view, date_format)
        by_case = {name.casefold(): (name, kind) for name, kind in known.items()}
        open_ones = [c for c in rows.columns if c.name.casefold() not in by_case and c.type is None]
        inferred = judge.inferred(open_ones)
        needed = {name.casefold() for name in required}
        columns = []
        for column in rows.columns:
            must = column.name.casefold() in needed
            if pair := by_case.get(column.name.casefold()):
                columns.append(judge.known(column, *pair, required=must))
            elif column.type is not None:
                columns.append(TypedColumn(column, column.name, column.type, required=must))
            else:
                chosen = inferred[column.sql]
                columns.append(TypedColumn(column, column.name, chosen.type, chosen.dates, required=must, note=chosen.note))
        return cls(rows, tuple(columns))

    @property
    def schema(self) -> pa.Schema:
        """Columns and Arrow types."""
        return pa.schema([(c.name, c.type) for c in self.columns])

    @property
    def notes(self) -> list[str]:
        """What the reader should know of single columns."""
        return [f"{c.name} {c.note}" for c in self.columns if c.note]

    def select(self, added: Mapping[str, str]) -> str:
        """The rows that fit."""
        values = [f"{c.value} AS {quoted(c.name)}" for c in self.columns]
        values += [f"{sql} AS {quoted(name)}" for name, sql in added.items()]
        return f"SELECT {', '.join(values)} FROM {self.rows.view} WHERE NOT ({self._bad})"

    def counts(self) -> str:
        """(file, good rows, bad rows)."""
        bad = self._bad
        return (f"SELECT _file::VARCHAR, count(*) FILTER (WHERE NOT ({bad})), count(*) FILTER (WHERE {bad}) "
                f"FROM {self.rows.view} GROUP BY 1")  # fmt: skip

    def bad(self) -> str:
        """The rows that do not fit, by file and place, each with its reason and its raw text where that is at hand."""
        said = ", ".join(f"CASE WHEN {condition} THEN {reason} END" for condition, reason in self._faults)
        return (f"SELECT _file::VARCHAR AS _file, _line, _offset, _length, {self.rows.raw} AS _raw, "
                f"concat_ws('; ', {said}) AS _reason FROM {self.rows.view} WHERE {self._bad} ORDER BY 1, 3, 2")  # fmt: skip

    @property
    def _faults(self) -> list[tuple[str, str]]:
        return [fault for column in self.columns for fault in column.faults]

    @property
    def _bad(self) -> str:
        return " OR ".join(f"({condition})" for condition, _ in self._faults) or "false"


@dataclass(frozen=True)
class _Judge:
    """Looks at the values to say how they are to be read."""

    connection: duckdb.DuckDBPyConnection
    view: str
    date_format: str | None

    def inferred(self, columns: Sequence[FoundColumn]) -> dict[str, inference.Inferred]:
        dates = given(self.date_format) if self.date_format else None
        return inference.infer(self.connection, self.view, {c.sql: c.kind for c in columns}, dates)

    def known(self, column: FoundColumn, name: str, kind: pa.DataType, required: bool) -> TypedColumn:
        if column.type == kind:
            return TypedColumn(column, name, kind, required=required)
        if column.kind == "native" and (pa.types.is_nested(kind) or pa.types.is_nested(column.type)):
            raise InvalidInput(f"{name} is {sql_type(column.type)} in the files and {sql_type(kind)} in the table")
        if pa.types.is_nested(kind):
            return TypedColumn(column, name, kind, judged=True, required=required, misfits=self._misfits(column, kind))
        dates = ISO
        if pa.types.is_temporal(kind) and column.kind != "native":
            dates = given(self.date_format) if self.date_format else self._shapes(column)
        return TypedColumn(column, name, kind, dates, judged=True, required=required)

    def _shapes(self, column: FoundColumn) -> DateShapes:
        found = inference.shapes(self.connection, self.view, column.sql)
        if found is None:
            raise InvalidInput(f"{column.name}: the day or the month may come first; say --date-format, as in %d/%m/%Y")
        return found

    def _misfits(self, column: FoundColumn, kind: pa.DataType) -> tuple[str, ...]:
        text = trimmed(column.sql)
        structure = f"CASE WHEN json_valid({text}) THEN json_structure({text})::VARCHAR END"
        rows = self.connection.sql(f"SELECT DISTINCT {structure} FROM {self.view}").fetchall()
        return tuple(found for (found,) in rows if found is not None and not nested.fits(json.loads(found), kind))
