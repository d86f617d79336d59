"""Parameters and subqueries inside a condition, as the values that they stand for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from boathouse.errors import InvalidInput

Ask = Callable[[str, int], list[tuple[Any, ...]]]
"""(query, at most so many rows) -> rows."""

_MOST = 10_000


def with_parameters(tree: exp.Expression, given: Mapping[str, Any] | Sequence[Any] | None) -> exp.Expression:
    """The expression with `?`, `$1` and `$name` bound. Raises InvalidInput for one that is not given."""
    count = 0

    def bound(node: exp.Expression) -> exp.Expression:
        nonlocal count
        if not isinstance(node, exp.Placeholder | exp.Parameter):
            return node
        key = str(node.this.name if isinstance(node.this, exp.Expression) else node.this or "")
        if not key:
            count += 1
            key = str(count)
        return _literal(_given(given, key))

    return tree.copy().transform(bound)


def worked_out(tree: exp.Expression, ask: Ask) -> exp.Expression:
    """The expression with its subqueries answered; each must stand by itself. Raises InvalidInput."""

    def answered(node: exp.Expression) -> exp.Expression:
        if isinstance(node, exp.In) and node.args.get("query") is not None:
            return _in(node, ask)
        if isinstance(node, exp.Exists):
            return exp.convert(bool(ask(node.this.sql(dialect="duckdb"), _MOST)))
        if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
            rows = ask(node.this.sql(dialect="duckdb"), 1)
            if rows and len(rows[0]) != 1:
                raise InvalidInput("a subquery in place of a value gives one column")
            return _literal(rows[0][0]) if rows else exp.null()
        return node

    return tree.copy().transform(answered)


def _in(node: exp.In, ask: Ask) -> exp.Expression:
    query = node.args["query"]
    inner = query.this if isinstance(query, exp.Subquery) else query
    rows = ask(inner.sql(dialect="duckdb"), _MOST)
    if rows and len(rows[0]) != 1:
        raise InvalidInput("a subquery after IN gives one column")
    if not rows:
        return exp.false()
    return exp.In(this=node.this.copy(), expressions=[_literal(value) for (value,) in rows])


def _given(given: Mapping[str, Any] | Sequence[Any] | None, key: str) -> Any:
    if isinstance(given, Mapping):
        if key in given:
            return given[key]
    elif given is not None and key.isdigit() and 0 < int(key) <= len(given):
        return given[int(key) - 1]
    raise InvalidInput(f"the parameter {key} is not given; pass it with --param {key}=…, or in `parameters`")


def _literal(value: Any) -> exp.Expression:
    if hasattr(value, "isoformat"):
        return exp.Literal.string(value.isoformat())
    try:
        return exp.convert(value)
    except ValueError as error:
        raise InvalidInput(f"{value!r} cannot stand in a condition here") from error
