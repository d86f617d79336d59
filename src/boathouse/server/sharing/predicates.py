"""What a reader says it wants, as one SQL condition for leaving out files. Hints: whatever cannot be read is left out."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from boathouse.lake import quoted, text

_COMPARE = {"equal": "=", "lessThan": "<", "lessThanOrEqual": "<=", "greaterThan": ">", "greaterThanOrEqual": ">="}
_NUMBERS = ("int", "long", "float", "double")
_DEPTH = 50


def condition(hints: Sequence[str] = (), json_hints: str | None = None) -> str | None:
    """One condition that all hints make together; None without any."""
    parts = [f"({hint})" for hint in hints if hint.strip()]
    if json_hints:
        with contextlib.suppress(ValueError, KeyError, TypeError, IndexError, RecursionError):  # keeps every file
            parts.append(_sql(json.loads(json_hints), 0))
    return " AND ".join(parts) or None


def _sql(node: Mapping[str, Any], depth: int) -> str:
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    op = str(node["op"])
    if op == "column":
        return quoted(str(node["name"]))
    if op == "literal":
        return _literal(node)
    children = [_sql(child, depth + 1) for child in node["children"]]
    if op in ("and", "or"):
        return "(" + f" {op.upper()} ".join(children) + ")"
    if op == "not":
        return f"(NOT {children[0]})"
    if op == "isNull":
        return f"({children[0]} IS NULL)"
    return f"({children[0]} {_COMPARE[op]} {children[1]})"


def _literal(node: Mapping[str, Any]) -> str:
    kind, value = str(node["valueType"]), str(node["value"])
    if kind in _NUMBERS:
        return repr(float(value)) if kind in ("float", "double") else str(int(value))
    if kind == "bool":
        return {"true": "TRUE", "false": "FALSE"}[value.lower()]
    if kind == "date":
        return f"CAST('{date.fromisoformat(value)}' AS DATE)"
    if kind == "timestamp":
        return f"CAST({text(value)} AS TIMESTAMPTZ)"
    if kind == "string":
        return text(value)
    raise ValueError(kind)
