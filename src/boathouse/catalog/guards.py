"""Masks and row filters before they hold: one that could not be asked would keep everybody from the table."""

from collections.abc import Mapping
from typing import Any

import duckdb
import pyarrow as pa

from boathouse.catalog.sql.asker import asker
from boathouse.catalog.sql.reading import check_expression
from boathouse.catalog.values import TableInfo
from boathouse.errors import InvalidInput
from boathouse.identity import Identity
from boathouse.lake import Engine, parsed, type_named

_NOBODY = Identity("nobody")


def check_guards(info: TableInfo, changes: Mapping[str, Any]) -> None:
    """Raises InvalidInput, naming it, for a mask of no column and for an expression that this table's rows do not answer."""
    masks, row_filter = changes.get("masks") or {}, changes.get("row_filter")
    known = [c.name for c in info.columns]
    if unknown := [column for column in masks if column not in known]:
        raise InvalidInput(f"{info.name} has no column {unknown[0]!r} to mask (it has {', '.join(known)})")
    for column, mask in masks.items():
        _check(info, str(mask), "", f"the mask of {info.name}.{column}")
    if row_filter:
        _check(info, str(row_filter), "::BOOLEAN", f"the row filter of {info.name}")


def _check(info: TableInfo, expression: str, kind: str, what: str) -> None:
    try:
        check_expression(*parsed(expression))
        engine = Engine()
        with engine.connection as connection:
            for made in asker(_NOBODY):
                connection.execute(made)
            engine.lock([])
            rows = engine.register(pa.schema([(c.name, _type(c.type)) for c in info.columns]).empty_table())
            connection.sql(f"SELECT ({expression}\n){kind} FROM {rows}").fetchall()
    except (InvalidInput, duckdb.Error) as error:
        raise InvalidInput(f"{what} cannot be used: {str(error).splitlines()[0]}") from error


def _type(name: str) -> pa.DataType:
    try:
        return type_named(name)
    except InvalidInput:  # of a view: a type that tables have not
        return pa.null()
