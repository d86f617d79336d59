"""Which tables a query reads, found without running it."""

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from boathouse.catalog.sql.statement_text import unreadable
from boathouse.errors import InvalidInput

_SAFE_SOURCES = {"range", "generateseries", "unnest", "explodinggenerateseries", "values"}


def tables_of(query: str) -> list[str]:
    """The tables a query reads, as it writes them. Raises InvalidInput for anything but one reading statement."""
    return [".".join(path) for path in sources_of(query)]


def sources_of(query: str) -> list[tuple[str, ...]]:
    """The same, level by level."""
    try:
        statements = [s for s in sqlglot.parse(query, dialect="duckdb") if s is not None]
    except SqlglotError as error:
        raise unreadable(error) from error
    except RecursionError as error:
        raise InvalidInput("the SQL is nested too deeply to be read") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query | exp.Values | exp.Describe | exp.Summarize | exp.Pivot):
        raise InvalidInput("one query is expected here: SELECT, WITH … SELECT, VALUES, DESCRIBE, SUMMARIZE or PIVOT")
    return _sources(statements[0])


def _sources(tree: exp.Expr) -> list[tuple[str, ...]]:
    found: dict[tuple[str, ...], None] = {}
    for lateral in tree.find_all(exp.Lateral):
        if not isinstance(lateral.this, exp.Subquery):
            _check_source(lateral.this)
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier):
            _check_source(table.this)
            continue
        if not _is_local(table):
            found[tuple(part.name for part in table.parts)] = None
    return list(found)


def _check_source(source: exp.Expr) -> None:
    known = isinstance(source, exp.Func) and not isinstance(source, exp.Anonymous)
    kind = (type(source).__name__ if known else source.name).lower()
    if kind not in _SAFE_SOURCES:
        written = source.sql_name().lower() if known else kind
        raise InvalidInput(f"{written}() is not allowed in FROM: read tables by their names")


def _is_local(table: exp.Table) -> bool:
    """Whether a name of one level means a common table expression that is in scope where it stands."""
    if len(table.parts) != 1:
        return False
    within: exp.Expr | None = None
    node: exp.Expr | None = table
    while node is not None:
        clause = next((part for part in node.args.values() if isinstance(part, exp.With)), None)
        if clause is not None:
            defined = clause.expressions
            if within in defined:  # it sees those before it, and itself where they are recursive
                defined = defined[: defined.index(within) + bool(clause.args.get("recursive"))]
            if table.name.lower() in {cte.alias_or_name.lower() for cte in defined}:
                return True
        within = node if isinstance(node, exp.CTE) else within
        node = node.parent
    return False
