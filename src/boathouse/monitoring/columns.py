"""The columns of a relation, as the profile sees them."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import duckdb

from boathouse.errors import InvalidInput

Family = Literal["numeric", "temporal", "text", "boolean", "other"]

_FLOATS = {"float", "double"}
# DuckDB's types by family, with the names the published tables use for them.
_TYPES: Mapping[str, tuple[Family, str]] = {
    "boolean": ("boolean", "boolean"),
    "tinyint": ("numeric", "tinyint"),
    "smallint": ("numeric", "smallint"),
    "integer": ("numeric", "int"),
    "bigint": ("numeric", "bigint"),
    "utinyint": ("numeric", "smallint"),
    "usmallint": ("numeric", "int"),
    "uinteger": ("numeric", "bigint"),
    "ubigint": ("numeric", "decimal(20,0)"),
    "hugeint": ("numeric", "decimal(38,0)"),
    "uhugeint": ("numeric", "decimal(38,0)"),
    "float": ("numeric", "float"),
    "double": ("numeric", "double"),
    "decimal": ("numeric", "decimal"),
    "date": ("temporal", "date"),
    "timestamp": ("temporal", "timestamp_ntz"),
    "timestamp_s": ("temporal", "timestamp_ntz"),
    "timestamp_ms": ("temporal", "timestamp_ntz"),
    "timestamp_ns": ("temporal", "timestamp_ntz"),
    "timestamp with time zone": ("temporal", "timestamp"),
    "varchar": ("text", "string"),
    "enum": ("text", "string"),
    "uuid": ("text", "string"),
    "blob": ("other", "binary"),
    "list": ("other", "array"),
}


def quoted(name: str) -> str:
    """A column's name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string in SQL."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True)
class Column:
    """One column: its DuckDB type, the family of statistics it takes and its published type."""

    name: str
    type_id: str
    family: Family
    data_type: str

    @property
    def sql(self) -> str:
        """The column itself."""
        return quoted(self.name)

    @property
    def number(self) -> str:
        """The column as DOUBLE, null where it is not finite."""
        if self.type_id in _FLOATS:
            return f"(CASE WHEN isfinite({self.sql}) THEN CAST({self.sql} AS DOUBLE) END)"
        return f"CAST({self.sql} AS DOUBLE)"

    @property
    def value(self) -> str:
        """What statistics are made of: a number, seconds since 1970, text, or only whether there is any."""
        if self.family == "numeric":
            return self.number
        if self.family == "temporal":
            return f"epoch({self.sql})"
        if self.family == "other":
            return f"CASE WHEN {self.sql} IS NOT NULL THEN '' END"
        return f"CAST({self.sql} AS VARCHAR)"

    @property
    def is_nan(self) -> str:
        """Whether the value is NaN."""
        return f"isnan({self.sql})" if self.type_id in _FLOATS else "false"


def as_relation(text: str) -> str:
    """SQL that may follow FROM: a query is put in brackets, a table's name stays as it is."""
    first = text.lstrip().split(None, 1)[0].upper() if text.strip() else ""
    return f"({text})" if first in ("SELECT", "WITH", "FROM", "VALUES") else text


def columns_of(con: duckdb.DuckDBPyConnection, relation: str) -> dict[str, Column]:
    """The columns of a relation by name, in its order."""
    empty = con.sql(f"SELECT * FROM {relation} LIMIT 0")
    return {name: _column(name, t.id, str(t)) for name, t in zip(empty.columns, empty.types, strict=True)}


def _column(name: str, type_id: str, full: str) -> Column:
    family, data_type = _TYPES.get(type_id, ("other", type_id))
    return Column(name, type_id, family, full.lower() if type_id == "decimal" else data_type)


def pick(columns: Mapping[str, Column], names: Iterable[str], where: str) -> list[Column]:
    """The columns of these names. Raises InvalidInput, which names the nearest column."""
    return [columns[name] if name in columns else _missing(columns, name, where) for name in names]


def _missing(columns: Mapping[str, Column], name: str, where: str) -> Column:
    near = difflib.get_close_matches(name, columns, n=1, cutoff=0)
    hint = f"; the nearest is {near[0]!r}" if near else ""
    raise InvalidInput(f"{where} has no column {name!r}{hint}")
