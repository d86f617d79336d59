"""Which data files may hold rows that meet a condition: partition values and statistics of the Delta log.

The condition is DuckDB's SQL, so DuckDB judges the statistics too: both compare by the same rules. A part of a
condition that proves nothing is left out, and then keeps every file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_COMPARISONS: Mapping[type[exp.Expr], str] = {exp.EQ: "=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_MIRRORED: Mapping[str, str] = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TIMES = (exp.DType.DATE, exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.TIMESTAMPTZ, exp.DType.TIMESTAMPLTZ)
# what a condition on partition values alone may be made of: the same value gives the same answer every time
_REPEATABLE = (
    exp.Column, exp.Identifier, exp.Literal, exp.Boolean, exp.Null, exp.Paren, exp.Not, exp.Neg, exp.And, exp.Or, exp.EQ,
    exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.Is, exp.In, exp.Between, exp.Like, exp.ILike, exp.Add, exp.Sub, exp.Mul,
    exp.Mod, exp.Cast, exp.TryCast, exp.DataType, exp.Lower, exp.Upper, exp.Length, exp.Coalesce, exp.Year, exp.Month,
    exp.Day, exp.Extract, exp.Var, exp.StartsWith,
)  # fmt: skip
_LARGEST_DECIMAL = 15  # digits: statistics hold decimals as doubles


def may_match(where: str, schema: pa.Schema, partitions: frozenset[str], statistics: frozenset[str]) -> str | None:
    """SQL over a table of add actions that is false only for files without a row for which `where` is true.

    `statistics` names that table's columns: `min.x`, `max.x`, `null_count.x`, `num_records` and `partition.x`.
    None where nothing can be proven.
    """
    try:
        tree = sqlglot.parse_one(f"SELECT 1 WHERE {where}", dialect="duckdb")
    except SqlglotError:
        return None  # DuckDB will say what is wrong with it
    clauses = {key for key, value in tree.args.items() if value}
    if not isinstance(tree, exp.Select) or clauses - {"expressions", "where", "kind"}:
        return None
    return _Judge(schema, partitions, statistics).judge(tree.args["where"].this)


@dataclass(frozen=True)
class _Judge:
    schema: pa.Schema
    partitions: frozenset[str]
    statistics: frozenset[str]

    def judge(self, part: exp.Expr) -> str | None:
        """SQL that is false only where the part is true for no row; None where unknown."""
        if isinstance(part, exp.Paren):
            return self.judge(part.this)
        if isinstance(part, exp.And):
            proven = [p for p in (self.judge(part.this), self.judge(part.expression)) if p]
            return f"({' AND '.join(proven)})" if proven else None
        if exact := self._on_partitions(part):
            return exact
        if isinstance(part, exp.Or):
            left, right = self.judge(part.this), self.judge(part.expression)
            return f"({left} OR {right})" if left and right else None
        return self._on_statistics(part)

    def _on_partitions(self, part: exp.Expr) -> str | None:
        if not all(isinstance(node, _REPEATABLE) for node in part.walk()):
            return None
        names = {column: self._named(column) for column in part.find_all(exp.Column)}
        if not names or not all(name in self.partitions for name in names.values()):
            return None

        def renamed(node: exp.Expr) -> exp.Expr:
            if not isinstance(node, exp.Column):
                return node
            return exp.column(exp.to_identifier(f"partition.{self._named(node)}", quoted=True))

        return f"coalesce(({part.copy().transform(renamed).sql('duckdb')}), false)"

    def _on_statistics(self, part: exp.Expr) -> str | None:
        if isinstance(part, exp.Is | exp.Not):
            return self._nulls(part)
        if isinstance(part, exp.Between):
            low, high = part.args["low"], part.args["high"]
            bounds = [self._compared(part.this, ">=", low, within=True), self._compared(part.this, "<=", high, within=True)]
            return " AND ".join(b for b in bounds if b) or None
        if isinstance(part, exp.In) and part.expressions:
            options = [self._compared(part.this, "=", option) for option in part.expressions]
            return f"({' OR '.join(o for o in options if o)})" if all(options) else None
        sign = _COMPARISONS.get(type(part))
        if sign is None or not isinstance(part, exp.Binary):
            return None
        if isinstance(part.this, exp.Column):
            return self._compared(part.this, sign, part.expression)
        return self._compared(part.expression, _MIRRORED[sign], part.this)

    def _nulls(self, part: exp.Expr) -> str | None:
        inner = part.this if isinstance(part, exp.Not) else part
        if not isinstance(inner, exp.Is) or not isinstance(inner.expression, exp.Null):
            return None
        name = self._named(inner.this)
        if name is None or f"null_count.{name}" not in self.statistics:
            return None
        counted = _quoted(f"null_count.{name}")
        return f"({counted} < num_records)" if isinstance(part, exp.Not) else f"({counted} > 0)"

    def _compared(self, column: exp.Expr, sign: str, value: exp.Expr, within: bool = False) -> str | None:
        """`within`: an upper bound stands beside this comparison, so NaN, which is above all, cannot meet both."""
        name = self._named(column)
        if name is None or not {f"min.{name}", f"max.{name}"} <= self.statistics:
            return None
        kind = self.schema.field(name).type
        if not _comparable(kind, value):
            return None
        text = value.sql("duckdb")
        lowest, highest = _quoted(f"min.{name}"), _quoted(f"max.{name}")
        if pa.types.is_timestamp(kind):  # statistics are cut to milliseconds
            highest = f"({highest} + INTERVAL 1 MILLISECOND)"
        if pa.types.is_floating(kind):  # and leave NaN out
            if sign in (">", ">=") and not within:
                return None
            lowest = f"CASE WHEN isnan({lowest}) THEN NULL ELSE {lowest} END"
        bounds = {
            "=": f"{lowest} <= {text} AND {highest} >= {text}", "<": f"{lowest} < {text}", "<=": f"{lowest} <= {text}",
            ">": f"{highest} > {text}", ">=": f"{highest} >= {text}",
        }  # fmt: skip
        return f"({bounds[sign]})"

    def _named(self, column: Any) -> str | None:
        """The schema's spelling of a column's name; DuckDB does not tell upper from lower case."""
        if not isinstance(column, exp.Column) or len(column.parts) != 1:
            return None
        found = [name for name in self.schema.names if name.lower() == column.name.lower()]
        # a dot would make it look like a field of a struct
        return found[0] if len(found) == 1 and "." not in found[0] else None


def _comparable(kind: pa.DataType, value: exp.Expr) -> bool:
    """Whether a column of this type and the value are compared in the order that the statistics have."""
    number = value.this if isinstance(value, exp.Neg) else value
    if isinstance(number, exp.Literal) and not number.is_string:
        return _is_number(kind)
    if isinstance(value, exp.Literal):
        text: Callable[[pa.DataType], bool] = pa.types.is_string
        return text(kind) or pa.types.is_large_string(kind) or _is_time(kind) or pa.types.is_integer(kind)
    if isinstance(value, exp.Cast) and isinstance(value.this, exp.Literal) and value.this.is_string:
        return value.to.this in _TIMES and _is_time(kind)
    return False


def _is_number(kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= _LARGEST_DECIMAL)
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date32(kind))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
