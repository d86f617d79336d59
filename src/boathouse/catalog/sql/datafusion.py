"""Conditions and values of UPDATE, DELETE and MERGE in the words of the engine that commits them.

Queries run in DuckDB, commits in DataFusion inside delta-rs. Only what means the same in both is translated:
columns, literals in the column's own type, comparisons, logic, sums and a few functions. For the rest
`NotAlike` is raised, and the change is worked out in DuckDB where the table has keys, or refused.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
from sqlglot import exp

from boathouse import clock
from boathouse.errors import InvalidInput
from boathouse.lake import quoted, text

_COMPARISONS = {
    exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip
_MIRRORED: Mapping[type[exp.Expression], type[exp.Binary]] = {exp.LT: exp.GT, exp.LTE: exp.GTE, exp.GT: exp.LT, exp.GTE: exp.LTE}
_SUMS = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*"}
_TEXT_FUNCTIONS = {exp.Lower: "lower", exp.Upper: "upper"}


class NotAlike(Exception):
    """An expression may mean something else in the engine that commits. Nobody outside hears of it by this name."""


class Columns:
    """The columns that an expression may name: alias -> (what the engine calls that table, its columns and types)."""

    def __init__(self, tables: Mapping[str, tuple[str, pa.Schema]]) -> None:
        self._tables = {alias.lower(): known for alias, known in tables.items()}

    def find(self, column: exp.Column) -> tuple[str, pa.DataType]:
        """A column as DataFusion writes it, and its type. Raises InvalidInput for one that there is not, or two."""
        alias = column.table.lower()
        if alias and alias not in self._tables:
            raise InvalidInput(f"{column.sql(dialect='duckdb')}: there is no {column.table} here")
        found = [
            (engine, field)
            for name, (engine, schema) in self._tables.items()
            if not alias or alias == name
            for field in schema
            if field.name.lower() == column.name.lower()
        ]
        if len(found) != 1:
            known = [field.name for name, (_, schema) in self._tables.items() if not alias or alias == name for field in schema]
            said = "is in both tables: say which" if found else f"is no column here; there are {', '.join(known)}"
            raise InvalidInput(f"{column.sql(dialect='duckdb')} {said}")
        engine, field = found[0]
        return (f"{engine}." if engine else "") + quoted(field.name), field.type


def condition(tree: exp.Expression, columns: Columns) -> str:
    """A condition in DataFusion's words. Raises NotAlike, InvalidInput."""
    made, kind = _Translation(columns).of(tree, pa.bool_())
    if not pa.types.is_boolean(kind):
        raise NotAlike(f"{tree.sql(dialect='duckdb')} is no condition")
    return made


def value(tree: exp.Expression, kind: pa.DataType, columns: Columns) -> str:
    """A value for a column of a type, in DataFusion's words. Raises NotAlike, InvalidInput."""
    made, found = _Translation(columns).of(tree, kind)
    if found != kind and _widens(found, kind):
        return f"CAST({made} AS {'DOUBLE' if pa.types.is_floating(kind) else 'BIGINT'})"
    if found != kind and not pa.types.is_null(found):
        raise NotAlike(f"{tree.sql(dialect='duckdb')} is {found}, the column {kind}")
    return made


def _widens(found: pa.DataType, kind: pa.DataType) -> bool:
    """Whether a value is the same in both engines in a wider type: a double, and of small integers a bigint."""
    small = bool(pa.types.is_integer(found)) and found.bit_width <= 32
    if pa.types.is_float64(kind):
        return small or (bool(pa.types.is_decimal(found)) and found.precision <= 15)
    return small and bool(pa.types.is_int64(kind))


class _Translation:
    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def of(self, tree: exp.Expression, wanted: pa.DataType | None = None) -> tuple[str, pa.DataType]:
        """(text, type); literals take the type that is wanted."""
        _check_parts(tree)
        for kind, translate in self._translators().items():
            if isinstance(tree, kind):
                return translate(tree, wanted)
        raise NotAlike(f"{tree.sql(dialect='duckdb')} is not translated")

    def _translators(self) -> Mapping[Any, Callable[[Any, pa.DataType | None], tuple[str, pa.DataType]]]:
        return {
            exp.Paren: lambda t, w: self._wrapped(t.this, w),
            exp.Column: lambda t, _: self._columns.find(t),
            exp.Null: lambda _t, w: ("NULL", w or pa.null()),
            exp.Boolean: lambda t, _: ("true" if t.this else "false", pa.bool_()),
            exp.Neg: self._negative,
            exp.Literal: lambda t, w: literal(t.this, t.is_string, w),
            exp.Cast: self._typed_literal,
            (exp.And, exp.Or): self._joined,
            exp.Not: lambda t, _: (self._negated(t), pa.bool_()),
            exp.Is: self._is,
            tuple(_COMPARISONS): self._compared,
            exp.Between: self._between,
            exp.In: self._in,
            exp.Like: self._like,
            tuple(_SUMS): self._summed,
            exp.DPipe: lambda t, _: (self._pair(t, pa.string(), "||"), pa.string()),
            tuple(_TEXT_FUNCTIONS): self._text_function,
            exp.Coalesce: self._coalesced,
            exp.Case: self._case,
        }

    def _wrapped(self, tree: exp.Expression, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        made, kind = self.of(tree, wanted)
        return f"({made})", kind

    def _negative(self, tree: exp.Neg, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if isinstance(tree.this, exp.Literal) and not tree.this.is_string:
            return literal(f"-{tree.this.this}", False, wanted)
        made, kind = self.of(tree.this, wanted)
        return f"(-{made})", kind

    def _typed_literal(self, tree: exp.Cast, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if isinstance(tree.this, exp.Literal) and wanted is not None and _same_kind(tree.to, wanted):
            return literal(tree.this.this, tree.this.is_string, wanted)
        raise NotAlike(f"{tree.sql(dialect='duckdb')} may round differently")

    def _joined(self, tree: exp.And | exp.Or, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        word = "AND" if isinstance(tree, exp.And) else "OR"
        if word == "OR" and any(isinstance(n.this.unnest(), exp.In) for n in tree.find_all(exp.Not)):
            raise NotAlike("NOT IN beside OR forgets, in one of the engines, that NULL is in no list")
        left, right = (self.of(side, pa.bool_())[0] for side in (tree.left, tree.right))
        return f"({left} {word} {right})", pa.bool_()

    def _negated(self, tree: exp.Not) -> str:
        inner = tree.this.unnest()
        if inner.find(exp.In) and not isinstance(inner, exp.In):
            raise NotAlike("NOT over IN with others forgets, in one of the engines, that NULL is in no list")
        return f"NOT ({self.of(tree.this, pa.bool_())[0]})"

    def _is(self, tree: exp.Is, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        right = tree.expression
        if isinstance(right, exp.Null):
            return f"({self.of(tree.this)[0]} IS NULL)", pa.bool_()
        if isinstance(right, exp.Boolean):
            return f"({self.of(tree.this, pa.bool_())[0]} IS {'TRUE' if right.this else 'FALSE'})", pa.bool_()
        raise NotAlike(f"{tree.sql(dialect='duckdb')} is not translated")

    def _compared(self, tree: exp.Binary, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if _is_literal(tree.left) and not _is_literal(tree.right):  # x = 1 AND 1 = x chooses no row, 1 being a cast
            tree = _MIRRORED.get(type(tree), type(tree))(this=tree.right, expression=tree.left)
        left, right = self._same(tree.left, tree.right)
        return self._sides(left, _COMPARISONS[type(tree)], right), pa.bool_()

    def _between(self, tree: exp.Between, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        middle, low = self._same(tree.this, tree.args["low"])
        _, high = self._same(tree.this, tree.args["high"])
        return f"({self._sides(middle, '>=', low)} AND {self._sides(middle, '<=', high)})", pa.bool_()

    def _sides(self, left: str, sign: str, right: str) -> str:
        if "NULL" not in (left, right):
            return f"({left} {sign} {right})"
        if sign.startswith("IS"):
            return f"({left if right == 'NULL' else right} IS {'' if 'NOT' in sign else 'NOT '}NULL)"
        raise NotAlike("a comparison with NULL is neither true nor false, which one of the engines forgets")

    def _in(self, tree: exp.In, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if tree.args.get("query") or not tree.expressions:
            raise NotAlike("a subquery is worked out first")
        left = self.of(tree.this)[0]
        listed = [self._same(tree.this, e)[1] for e in tree.expressions]
        if "NULL" in listed:
            raise NotAlike("IN with NULL is never false, which one of the engines forgets")
        return f"({left} IN ({', '.join(listed)}))", pa.bool_()

    def _like(self, tree: exp.Like, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if not isinstance(tree.expression, exp.Literal) or "\\" in tree.expression.name:
            raise NotAlike("a backslash in LIKE means itself in one engine, and not in the other")
        return self._pair(tree, pa.string(), "NOT LIKE" if tree.args.get("negate") else "LIKE"), pa.bool_()

    def _summed(self, tree: exp.Binary, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if wanted is not None and not (pa.types.is_integer(wanted) or pa.types.is_floating(wanted)):
            wanted = None
        left, kind = self.of(tree.left, wanted)
        right, other = self.of(tree.right, kind)
        if kind != other or not (pa.types.is_int64(kind) or pa.types.is_float64(kind)):
            raise NotAlike(f"{tree.sql(dialect='duckdb')} mixes types, or could overflow unseen")
        return f"({left} {_SUMS[type(tree)]} {right})", kind

    def _text_function(self, tree: exp.Func, _wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if tree.args.get("expression") or tree.args.get("position"):
            raise NotAlike(f"{tree.sql(dialect='duckdb')} is not translated")
        made, kind = self.of(tree.this, pa.string())
        if not pa.types.is_string(kind):
            raise NotAlike(f"{tree.sql(dialect='duckdb')} is not of text")
        return f"{_TEXT_FUNCTIONS[type(tree)]}({made})", kind

    def _coalesced(self, tree: exp.Coalesce, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        first, kind = self.of(tree.this, wanted)
        rest = [self.of(e, kind) for e in tree.expressions]
        if any(k != kind for _, k in rest):
            raise NotAlike(f"{tree.sql(dialect='duckdb')} mixes types")
        return f"COALESCE({', '.join([first, *(t for t, _ in rest)])})", kind

    def _case(self, tree: exp.Case, wanted: pa.DataType | None) -> tuple[str, pa.DataType]:
        if tree.this is not None or wanted is None:
            raise NotAlike(f"{tree.sql(dialect='duckdb')} is not translated")
        arms = [(self.of(i.this, pa.bool_())[0], self.of(i.args["true"], wanted)) for i in tree.args["ifs"]]
        last = self.of(tree.args["default"], wanted) if tree.args.get("default") else ("NULL", wanted)
        if any(k != wanted for _, (_, k) in arms) or last[1] != wanted:
            raise NotAlike(f"{tree.sql(dialect='duckdb')} mixes types")
        return "CASE " + " ".join(f"WHEN {c} THEN {t}" for c, (t, _) in arms) + f" ELSE {last[0]} END", wanted

    def _pair(self, tree: exp.Binary, kind: pa.DataType, sign: str) -> str:
        sides = [self.of(side, kind) for side in (tree.left, tree.right)]
        if any(k != kind for _, k in sides):
            raise NotAlike(f"{tree.sql(dialect='duckdb')} mixes types")
        return f"({sides[0][0]} {sign} {sides[1][0]})"

    def _same(self, left: exp.Expression, right: exp.Expression) -> tuple[str, str]:
        """Both sides in one type: a literal takes that of the other side."""
        if _is_literal(left) and not _is_literal(right):
            second, first = self._same(right, left)
            return first, second
        made, kind = self.of(left)
        other, found = self.of(right, kind)
        if kind != found:
            raise NotAlike(f"{left.sql(dialect='duckdb')} is {kind}, {right.sql(dialect='duckdb')} is {found}")
        return made, other


_PARTS = {
    exp.Column: {"this", "table"}, exp.Literal: {"this", "is_string"}, exp.Cast: {"this", "to"},
    exp.Between: {"this", "low", "high"}, exp.In: {"this", "expressions", "query"}, exp.Case: {"this", "ifs", "default"},
    exp.Like: {"this", "expression", "negate"}, exp.DPipe: {"this", "expression", "safe"},
    exp.Coalesce: {"this", "expressions"},
}  # fmt: skip


def _check_parts(tree: exp.Expression) -> None:
    """Raises NotAlike for a part that no translation knows of: left out in silence, it could turn the meaning around."""
    known = _PARTS.get(type(tree), {"this", "expression"})
    if unknown := [name for name, part in tree.args.items() if part and name not in known]:
        raise NotAlike(f"{tree.sql(dialect='duckdb')} has {unknown[0]}, which is not translated")


def literal(said: str, is_string: bool, kind: pa.DataType | None) -> tuple[str, pa.DataType]:
    """A literal in a type. Raises InvalidInput where it does not fit, NotAlike where the engines may differ."""
    if kind is None:
        if is_string:
            return text(said), pa.string()
        return (said, pa.int64()) if said.lstrip("-").isdigit() else (said, pa.float64())
    try:
        return _literal_of(said, is_string, kind), kind
    except (ValueError, InvalidOperation) as error:
        if is_string:
            raise InvalidInput(f"{said!r} is no {kind}") from error
        raise NotAlike(f"{said} is no {kind}") from error


def _literal_of(said: str, is_string: bool, kind: pa.DataType) -> str:
    if pa.types.is_string(kind) and is_string:
        return text(said)
    if pa.types.is_integer(kind):
        if not -(1 << kind.bit_width - 1) <= int(said) < 1 << kind.bit_width - 1:
            raise ValueError(said)
        return f"arrow_cast({int(said)}, '{_ARROW_NAMES[str(kind)]}')" if str(kind) != "int64" else str(int(said))
    if pa.types.is_floating(kind):
        return f"CAST({float(said)!r} AS {'REAL' if str(kind) == 'float' else 'DOUBLE'})"
    if pa.types.is_decimal(kind):
        number = Decimal(said)
        if -number.as_tuple().exponent > kind.scale:  # type: ignore[operator]
            raise ValueError(said)
        return f"CAST('{number}' AS DECIMAL({kind.precision},{kind.scale}))"
    if pa.types.is_date(kind) and is_string:
        return f"CAST('{date.fromisoformat(said).isoformat()}' AS DATE)"
    if pa.types.is_timestamp(kind) and is_string:
        moment = clock.parse_instant(said).isoformat(timespec="microseconds")
        return f"arrow_cast('{moment}', 'Timestamp(Microsecond, Some(\"UTC\"))')"
    raise ValueError(said)


_ARROW_NAMES = {"int8": "Int8", "int16": "Int16", "int32": "Int32"}
_KINDS = {
    "DATE": pa.types.is_date, "TIMESTAMP": pa.types.is_timestamp, "TIMESTAMPNTZ": pa.types.is_timestamp,
    "TIMESTAMPTZ": pa.types.is_timestamp, "TEXT": pa.types.is_string, "VARCHAR": pa.types.is_string,
    "BIGINT": pa.types.is_int64, "INT": pa.types.is_int32, "DOUBLE": pa.types.is_float64,
}  # fmt: skip


def _same_kind(said: exp.DataType, kind: pa.DataType) -> bool:
    check = _KINDS.get(said.this.value)
    return bool(check and check(kind))


def _is_literal(tree: exp.Expression) -> bool:
    bare = tree.this if isinstance(tree, exp.Paren | exp.Neg | exp.Cast) else tree
    return isinstance(bare, exp.Literal | exp.Null | exp.Boolean)


