"""Which data files may hold rows that meet a condition: partition values and statistics of the Delta log.

The condition is DuckDB's SQL, so DuckDB parses it and judges the statistics: both follow the rules that will choose
the rows. A part of a condition that proves nothing is left out, and then keeps every file.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from boathouse.lake.literals import quoted, text

Node = Mapping[str, Any]
"""A part of a parsed condition, as DuckDB serializes it."""

_COMPARISONS = {
    "COMPARE_EQUAL": "=", "COMPARE_LESSTHAN": "<", "COMPARE_LESSTHANOREQUALTO": "<=", "COMPARE_GREATERTHAN": ">",
    "COMPARE_GREATERTHANOREQUALTO": ">=",
}  # fmt: skip
_MIRRORED = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBER = re.compile(r"-?\d+(\.\d*)?([eE][+-]?\d+)?")
_TIMES = {"date", "timestamp", "timestamptz", "timestamp with time zone", "datetime"}
# what a condition on partition values alone may be made of: the same value gives the same answer every time
_REPEATABLE = {"COLUMN_REF", "CONSTANT", "CONJUNCTION", "COMPARISON", "BETWEEN", "CAST", "CASE", "TYPE"}
_OPERATORS = {"OPERATOR_NOT", "OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL", "COMPARE_IN", "COMPARE_NOT_IN", "OPERATOR_COALESCE"}
_FUNCTIONS = {
    "+", "-", "*", "%", "||", "~~", "!~~", "~~*", "!~~*", "lower", "upper", "length", "year", "month", "day", "date_part",
    "date_trunc", "prefix", "starts_with", "suffix", "contains", "left", "right", "substring", "trim", "abs",
}  # fmt: skip
_LARGEST_DECIMAL = 15  # digits: statistics hold decimals as doubles


def parsed(serialized: str) -> Node | None:
    """The condition in `SELECT 1 WHERE …` as DuckDB's json_serialize_sql gives it; None where it is more than that."""
    told = json.loads(serialized)
    if told["error"] or len(told["statements"]) != 1:
        return None
    select = told["statements"][0]["node"]
    more = ("modifiers", "group_expressions", "group_sets", "having", "sample", "qualify")
    if select["type"] != "SELECT_NODE" or any(select[clause] for clause in more):
        return None
    condition: Node | None = select["where_clause"]
    return condition


@dataclass(frozen=True)
class Judge:
    """Turns a condition on a table's rows into one on its add actions.

    `statistics` names the columns that the add actions have: `min.x`, `max.x`, `null_count.x`, `num_records` and
    `partition.x`. `printed` writes a parsed expression as SQL.
    """

    schema: pa.Schema
    partitions: frozenset[str]
    statistics: frozenset[str]
    printed: Callable[[Node], str]

    def judge(self, part: Node) -> str | None:
        """SQL that is false only for files without a row for which the part is true; None where nothing is proven."""
        if part["type"] == "CONJUNCTION_AND":
            proven = [p for p in map(self.judge, part["children"]) if p]
            return f"({' AND '.join(proven)})" if proven else None
        if exact := self._on_partitions(part):
            return exact
        if part["type"] == "CONJUNCTION_OR":
            options = [self.judge(child) for child in part["children"]]
            return f"({' OR '.join(o for o in options if o)})" if all(options) else None
        return self._on_statistics(part)

    def _on_partitions(self, part: Node) -> str | None:
        names: list[str | None] = []

        def renamed(node: Any) -> Any:
            if isinstance(node, list):
                return [renamed(child) for child in node]
            if not isinstance(node, dict):
                return node
            if "class" in node and not _is_repeatable(node):
                names.append(None)
            if node.get("class") == "COLUMN_REF":
                names.append(self._named(node))
                return {**node, "column_names": [f"partition.{names[-1]}"]}
            return {key: renamed(child) for key, child in node.items()}

        moved = renamed(part)
        if not names or not all(name in self.partitions for name in names):
            return None
        return f"coalesce(({self.printed(moved)}), false)"

    def _on_statistics(self, part: Node) -> str | None:
        kind = part["type"]
        if kind in ("OPERATOR_IS_NULL", "OPERATOR_IS_NOT_NULL"):
            return self._nulls(part["children"][0], kind == "OPERATOR_IS_NULL")
        if kind == "OPERATOR_NOT" and part["children"][0]["type"] == "OPERATOR_IS_NULL":
            return self._nulls(part["children"][0]["children"][0], False)
        if kind == "COMPARE_BETWEEN":
            bounds = ((">=", part["lower"]), ("<=", part["upper"]))
            proven = [self._compared(part["input"], sign, bound, within=True) for sign, bound in bounds]
            return " AND ".join(p for p in proven if p) or None
        if kind == "COMPARE_IN":
            options = [self._compared(part["children"][0], "=", option) for option in part["children"][1:]]
            return f"({' OR '.join(o for o in options if o)})" if options and all(options) else None
        return self._comparison(part, _COMPARISONS[kind]) if kind in _COMPARISONS else None

    def _comparison(self, part: Node, sign: str) -> str | None:
        if part["left"]["class"] == "COLUMN_REF":
            return self._compared(part["left"], sign, part["right"])
        return self._compared(part["right"], _MIRRORED[sign], part["left"])

    def _nulls(self, column: Node, wanted: bool) -> str | None:
        name = self._named(column)
        if name is None or f"null_count.{name}" not in self.statistics:
            return None
        counted = quoted(f"null_count.{name}")
        return f"({counted} > 0)" if wanted else f"({counted} < num_records)"

    def _compared(self, column: Node, sign: str, value: Node, within: bool = False) -> str | None:
        """`within`: an upper bound stands beside this comparison, so NaN, which is above all, cannot meet both."""
        name = self._named(column)
        if name is None or not {f"min.{name}", f"max.{name}"} <= self.statistics:
            return None
        kind = self.schema.field(name).type
        written = _written(kind, value)
        if written is None:
            return None
        lowest, highest = quoted(f"min.{name}"), quoted(f"max.{name}")
        if pa.types.is_timestamp(kind):  # statistics are cut to milliseconds
            highest = f"({highest} + INTERVAL 1 MILLISECOND)"
        if pa.types.is_floating(kind):  # and leave NaN out
            if sign in (">", ">=") and not within:
                return None
            lowest = f"CASE WHEN isnan({lowest}) THEN NULL ELSE {lowest} END"
        bounds = {
            "=": f"{lowest} <= {written} AND {highest} >= {written}", "<": f"{lowest} < {written}",
            "<=": f"{lowest} <= {written}", ">": f"{highest} > {written}", ">=": f"{highest} >= {written}",
        }  # fmt: skip
        return f"({bounds[sign]})"

    def _named(self, column: Node) -> str | None:
        """The schema's spelling of a column's name; DuckDB does not tell upper from lower case."""
        if column["class"] != "COLUMN_REF" or len(column["column_names"]) != 1:
            return None
        found = [name for name in self.schema.names if name.lower() == column["column_names"][0].lower()]
        # a dot would make it look like a field of a struct
        return found[0] if len(found) == 1 and "." not in found[0] else None


def _is_repeatable(node: Node) -> bool:
    if node["class"] == "FUNCTION":
        return node["function_name"] in _FUNCTIONS and not node["schema"]
    return node["class"] in _REPEATABLE or (node["class"] == "OPERATOR" and node["type"] in _OPERATORS)


def _written(kind: pa.DataType, value: Node) -> str | None:
    """The value as SQL, where it is compared with a column of this type in the order that the statistics have."""
    if value["class"] == "CAST" and value["child"].get("literal", {}).get("kind") == "STRING":
        name = value["type_expr"].get("type_name", "").lower()
        return f"CAST({text(value['child']['literal']['text'])} AS {name})" if name in _TIMES and _is_time(kind) else None
    literal = value.get("literal", {})
    if literal.get("kind") in ("INTEGER", "NUMERIC") and _NUMBER.fullmatch(literal["text"]):
        return str(literal["text"]) if _is_number(kind) else None
    if literal.get("kind") == "STRING":
        fits = pa.types.is_string(kind) or pa.types.is_large_string(kind) or _is_time(kind) or pa.types.is_integer(kind)
        return text(literal["text"]) if fits else None
    return None


def _is_number(kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= _LARGEST_DECIMAL)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date32(kind))
