"""The query for a guarded table's rows: as the caller sees them, and, on top, as somebody in no group would."""

import sqlglot
from sqlglot import exp

from boathouse.catalog.sql.asker import CALLER
from boathouse.catalog.values import TableInfo
from boathouse.lake import quoted


def seen(info: TableInfo, version: int, masked: bool) -> str:
    """SQL for the desk, which applies the table's masks and filter for whoever asks.

    `masked` applies them a second time, for nobody: a mask that hides from some groups only must not show more here.
    """
    rows = f"SELECT * FROM {'.'.join(map(quoted, info.name.split('.')))} VERSION AS OF {version:d}"
    if not masked:
        return rows
    replaced = ", ".join(f"({_for_nobody(mask)}) AS {quoted(column)}" for column, mask in info.masks.items())
    columns = f"* REPLACE ({replaced})" if replaced else "*"
    kept = f" WHERE ({_for_nobody(info.row_filter)})" if info.row_filter else ""
    return f"SELECT {columns} FROM ({rows}) AS seen{kept}"


def _for_nobody(expression: str) -> str:
    def changed(node: exp.Expr) -> exp.Expr:
        name = node.name.lower() if isinstance(node, exp.Anonymous) else node.key
        if name == "is_member":
            return exp.false()
        return exp.Literal.string("") if name in CALLER or isinstance(node, exp.CurrentUser | exp.SessionUser) else node

    return str(sqlglot.parse_one(expression, dialect="duckdb").transform(changed).sql("duckdb"))
