"""What a query would do, read from DuckDB's own syntax tree of it, before anything runs.

The tree is walked with allow lists: a node, a function or a kind of table that is not named here is refused,
so what DuckDB learns to do later stays shut until somebody opens it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from boathouse.catalog.sql.functions import FUNCTIONS, TABLE_FUNCTIONS
from boathouse.errors import InvalidInput
from boathouse.names import nearest

_NODES = frozenset({
    "SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE",
    "BASE_TABLE", "JOIN", "SUBQUERY", "TABLE_FUNCTION", "EXPRESSION_LIST", "EMPTY", "PIVOT", "SHOW_REF",
    "ORDER_MODIFIER", "LIMIT_MODIFIER", "LIMIT_PERCENT_MODIFIER", "DISTINCT_MODIFIER",
    "ORDER_DEFAULT", "ASCENDING", "DESCENDING",
})  # fmt: skip
_EXPRESSIONS = frozenset({
    "BETWEEN", "CASE", "CAST", "COLLATE", "COLUMN_REF", "COMPARISON", "CONJUNCTION", "CONSTANT", "DEFAULT", "FUNCTION",
    "LAMBDA", "LAMBDA_REF", "OPERATOR", "PARAMETER", "POSITIONAL_REFERENCE", "STAR", "SUBQUERY", "TYPE", "WINDOW",
})  # fmt: skip
_NOWHERE = 1 << 63
_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True)
class TableRead:
    """A table that a query names, outside of its own common table expressions.

    `start` is its place in the query in bytes of UTF-8; None where DuckDB keeps none.
    """

    path: tuple[str, ...]
    alias: str = ""
    start: int | None = None

    @property
    def written(self) -> str:
        """As a dotted name."""
        return ".".join(self.path)


@dataclass(frozen=True)
class Reading:
    """The tables that a query reads and the parameters it takes.

    Of a query over one table alone, `condition` is what its rows must meet: files that hold none need no opening.
    """

    tables: tuple[TableRead, ...] = ()
    parameters: frozenset[str] = _NONE
    condition: str = ""


def read(tree: bytes, kinds: list[str]) -> Reading:
    """What a query reads. Raises InvalidInput for whatever is not one reading query of allowed parts."""
    if len(kinds) != 1:
        raise InvalidInput(f"one statement at a time: these are {len(kinds)}")
    body = msgspec.json.decode(tree)
    if body.get("error"):
        if kinds != ["SELECT"]:
            raise InvalidInput(f"{kinds[0]} cannot begin like this here: write WITH after it, as in INSERT INTO t WITH …")
        raise InvalidInput(f"the SQL cannot be read: {str(body.get('error_message', '')).splitlines()[0]}")
    walk = _Walk()
    for statement in body["statements"]:
        walk.visit(statement, _NONE)
    return Reading(tuple(walk.tables), frozenset(walk.parameters))


def check_expression(tree: bytes, kinds: list[str]) -> None:
    """Accept `SELECT (expression)` of a mask or filter. Raises InvalidInput for one that reads more than its row."""
    read(tree, kinds)
    node = msgspec.json.decode(tree)["statements"][0]["node"]
    parts = {k for k in ("where_clause", "having", "qualify", "sample", "modifiers", "group_expressions") if node.get(k)}
    alone = node["type"] == "SELECT_NODE" and len(node["select_list"]) == 1 and node["from_table"]["type"] == "EMPTY"
    if not alone or parts or node["cte_map"]["map"] or _holds(node["select_list"], "SUBQUERY"):
        raise InvalidInput("a mask or filter is one expression over the columns of its row, without a subquery")


def check_rowwise(tree: bytes, kinds: list[str], relation: str) -> None:
    """Accept a query over the rows of one relation and nothing else. Raises InvalidInput."""
    if any(table.path != (relation,) for table in read(tree, kinds).tables):
        raise InvalidInput("only columns of the source's own rows can be read here, by allowed functions")


class _Walk:
    def __init__(self) -> None:
        self.tables: list[TableRead] = []
        self.parameters: set[str] = set()

    def visit(self, node: Any, known: frozenset[str]) -> None:
        """`known` are the common table expressions in scope, in lower case."""
        if isinstance(node, list):
            for part in node:
                self.visit(part, known)
        elif isinstance(node, dict):
            _check(node)
            if node.get("type") == "TABLE_FUNCTION":
                self._table_function(node, known)
            else:
                self._note(node, known)
                self._inside(node, known)

    def _inside(self, node: Mapping[str, Any], known: frozenset[str]) -> None:
        for name, value in _defined(node):
            self.visit(value, known)
            known |= {name}
        for key, part in node.items():
            if key == "cte_map":
                continue
            # only the recursive half sees itself: in the first one the same name means a table
            sees_itself = node.get("type") == "RECURSIVE_CTE_NODE" and key == "right"
            self.visit(part, known | {str(node["cte_name"]).lower()} if sees_itself else known)

    def _note(self, node: Mapping[str, Any], known: frozenset[str]) -> None:
        if node.get("type") == "BASE_TABLE":
            path = tuple(node["qualified_name"]["path"])
            if len(path) > 1 or path[0].lower() not in known:
                if node.get("at_clause"):
                    raise InvalidInput(f"{'.'.join(path)}: write `VERSION AS OF 3` or `TIMESTAMP AS OF '…'` instead of AT")
                self.tables.append(_table(node, path))
        elif node.get("class") == "PARAMETER":
            self.parameters.add(str(node["identifier"]))

    def _table_function(self, node: Mapping[str, Any], known: frozenset[str]) -> None:
        call = node["function"]
        _check_call(call, TABLE_FUNCTIONS, "in FROM: read tables by their names")
        self.visit({k: v for k, v in node.items() if k not in ("function", "type")}, known)
        self.visit([v for k, v in call.items() if k not in ("class", "type")], known)


def _check(node: Mapping[str, Any]) -> None:
    kind, sort = node.get("class"), node.get("type")
    if kind is not None:
        if kind not in _EXPRESSIONS:
            raise InvalidInput(f"{str(kind).lower()} is not allowed in SQL here")
        if "function_name" in node:
            _check_call(node, FUNCTIONS, "in SQL here")
        elif kind == "TYPE" and len(node["qualified_name"]["path"]) > 1:
            raise InvalidInput(f"{'.'.join(node['qualified_name']['path'])} is no type")
    elif isinstance(sort, str) and sort not in _NODES:
        raise InvalidInput(f"{sort.removesuffix('_QUERY_NODE').replace('_', ' ')} is not allowed inside a query")
    elif sort == "SHOW_REF" and node.get("show_type") not in ("DESCRIBE", "SUMMARY"):
        raise InvalidInput("SHOW stands alone: `SHOW TABLES`, `DESCRIBE schema.table`, `SUMMARIZE schema.table`")


def _check_call(call: Mapping[str, Any], allowed: frozenset[str], where: str) -> None:
    path = [str(level) for level in call["qualified_name"]["path"]]
    name = path[-1].lower()
    known = len(path) == 1 and (name in allowed or not (name[:1].isalpha() or name[:1] == "_"))
    if not known:
        near = nearest(name, allowed) if len(path) == 1 else None
        raise InvalidInput(f"{'.'.join(path)}() is not allowed {where}" + (f"; did you mean {near}()?" if near else ""))


def _defined(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for entry in (node.get("cte_map") or {}).get("map", ()):
        yield str(entry["key"]).lower(), entry["value"]


def _table(node: Mapping[str, Any], path: tuple[str, ...]) -> TableRead:
    start = int(node["query_location"])
    if start >= _NOWHERE:
        return TableRead(path, node["alias"])
    return TableRead(path, node["alias"], start)


def _holds(node: Any, kind: str) -> bool:
    if isinstance(node, list):
        return any(_holds(part, kind) for part in node)
    return isinstance(node, dict) and (node.get("class") == kind or any(_holds(part, kind) for part in node.values()))
