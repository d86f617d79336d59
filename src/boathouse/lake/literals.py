"""Names, values and types as DuckDB's SQL writes them."""

from datetime import datetime
from typing import Any

import pyarrow as pa

from boathouse.lake.schemas import sql_type


def text(value: str) -> str:
    """A string, safe inside SQL."""
    return "'" + value.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """An identifier, safe inside SQL."""
    return '"' + name.replace('"', '""') + '"'


def unquoted(name: str) -> str:
    """What an identifier in quotes, or without, names."""
    mark = name[:1]
    return name[1:-1].replace(2 * mark, mark) if len(name) > 1 and mark in ('"', "`") and name.endswith(mark) else name


def literal(value: Any) -> str:
    """A value that DuckDB casts to its column's type."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{byte:02X}" for byte in value) + "'::BLOB"
    return text(value.isoformat() if isinstance(value, datetime) else str(value))


def duckdb_type(kind: pa.DataType) -> str:
    """The DuckDB type that reads an Arrow type."""
    if pa.types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return duckdb_type(kind.value_type) + "[]"
    if pa.types.is_struct(kind):
        return "STRUCT(" + ", ".join(f"{quoted(f.name)} {duckdb_type(f.type)}" for f in kind) + ")"
    if pa.types.is_map(kind):
        return f"MAP({duckdb_type(kind.key_type)}, {duckdb_type(kind.item_type)})"
    names: dict[str, Any] = {"string": "VARCHAR", "binary": "BLOB"}
    return str(names.get(sql_type(kind), sql_type(kind)))
