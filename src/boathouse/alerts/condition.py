"""Conditions over metrics: `roc_auc < 0.68`, `abs(mean_prediction - mean_label) > 0.05 and count > 1000`.

Numbers, metrics, `+ - * /`, `abs()`, comparisons, `and`, `or`, `not` and brackets; nothing else. Python's
parser reads the text, and only these nodes pass; nothing is ever executed.
"""

import ast
import difflib
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from boathouse.errors import InvalidInput
from boathouse.monitoring import QUALITY, drift_schema, profile_schema

Read = Callable[[str], float | None]
"""Gives a metric's value by its column, `struct.field` for a struct; None where there is none."""

_LONGEST = 500
_COMPARE: Mapping[type[ast.cmpop], tuple[str, Callable[[float, float], bool]]] = {
    ast.Lt: ("<", operator.lt),
    ast.LtE: ("<=", operator.le),
    ast.Gt: (">", operator.gt),
    ast.GtE: (">=", operator.ge),
    ast.Eq: ("=", operator.eq),
    ast.NotEq: ("!=", operator.ne),
}
_COMPUTE: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}

ALIASES: Mapping[str, str] = {
    "roc_auc": "roc_auc_score",
    "auc": "roc_auc_score",
    "accuracy": "accuracy_score",
    "precision": "precision.macro",
    "recall": "recall.macro",
    "f1": "f1_score.macro",
    "f1_score": "f1_score.macro",
    "mse": "mean_squared_error",
    "rmse": "root_mean_squared_error",
    "mae": "mean_average_error",
    "mape": "mean_absolute_percentage_error",
    "r2": "r2_score",
    "ece": "calibration_error",
    "psi": "population_stability_index",
    "ks": "ks_test.statistic",
    "chi_squared": "chi_squared_test.statistic",
    "wasserstein": "wasserstein_distance",
}
"""Short names of metrics."""


_OF_TABLES = ("count", "count_delta", "n_window", "n_baseline", "non_null_columns_delta")
"""Metrics that rows of whole tables have beside quality."""


def metric_columns() -> tuple[str, ...]:
    """Every metric of the gold tables that is a number, structs by field."""
    fields = {f.name: f.type for schema in (profile_schema(), drift_schema()) for f in schema}
    return tuple(name for field, kind in fields.items() for name in _numbers(field, kind))


def _numbers(name: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        yield name
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _numbers(f"{name}.{field.name}", field.type)


def metric_column(name: str) -> str:
    """The column of a metric from its name or alias. Raises InvalidInput, which names the nearest."""
    column = ALIASES.get(name.lower(), name.lower())
    known = metric_columns()
    if column in known:
        return column
    [near] = difflib.get_close_matches(name.lower(), [*known, *ALIASES], n=1, cutoff=0)
    raise InvalidInput(f"{name!r} is not a metric of the gold tables; the nearest is {near!r}")


@dataclass(frozen=True)
class Condition:
    """A parsed condition; `metrics` maps the names as written to columns."""

    text: str
    tree: ast.expr
    metrics: Mapping[str, str]

    def holds(self, read: Read) -> bool | None:
        """Whether it holds; None where a missing metric leaves it open (three-valued, as in SQL)."""
        return _truth(self.tree, self._named(read))

    def describe(self, read: Read) -> str:
        """The values behind the answer: "roc_auc 0.641 < 0.68", or "roc_auc 0.7 not < 0.68"."""
        named = self._named(read)
        negated = "" if _truth(self.tree, named) else "not "
        match self.tree:
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                sign, compare = _COMPARE[type(op)]
                a, b = _number(left, named) or 0.0, _number(right, named) or 0.0
                limit = ast.unparse(right) if isinstance(right, ast.Constant) else _plain(b)
                return f"{ast.unparse(left)} {_shown(a, b, compare)} {negated}{sign} {limit}"
        values = ((name, named(name)) for name in self.metrics)
        shown = ", ".join(f"{name} {'none' if value is None else _plain(value)}" for name, value in values)
        return f"{f'not ({self.text})' if negated else self.text} ({shown})"

    def _named(self, read: Read) -> Read:
        def named(name: str) -> float | None:
            value = read(self.metrics[name])
            return None if value is None or math.isnan(value) else float(value)

        return named


def parse_condition(text: str) -> Condition:
    """Parse a condition. Raises InvalidInput for what is not one and for unknown metrics."""
    spelled = re.sub(r"\b(and|or|not|abs)\b", lambda word: word[0].lower(), text.strip(), flags=re.IGNORECASE)
    spelled = re.sub(r"(?<![<>=!])=(?!=)", "==", spelled.replace("<>", "!="))
    if len(spelled) > _LONGEST:
        raise InvalidInput(f"the condition is longer than {_LONGEST} characters")
    try:
        tree = ast.parse(spelled, mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise _refused(text, "it does not parse") from error
    names: dict[str, str] = {}
    if not _check(tree, text, names):
        raise _refused(text, "it compares nothing")
    return Condition(text.strip(), tree, names)


def check_column(condition: Condition, column: str | None) -> None:
    """Raises InvalidInput where the rows of a column, or without one those of the whole table, lack what is compared."""
    for name, metric in condition.metrics.items():
        found = metric.partition(".")[0]
        if column is None and found not in QUALITY and found not in _OF_TABLES:
            raise InvalidInput(f"{name} is known of single columns: say of which, as in `column: prediction`")
        if column is not None and found in QUALITY:
            raise InvalidInput(f"{name} is known of the whole table: leave out `column: {column}`")


def _refused(text: str, reason: str) -> InvalidInput:
    return InvalidInput(
        f"the condition {text!r} cannot be used: {reason}; write for example 'roc_auc < 0.68' or"
        " 'abs(mean_prediction - mean_label) > 0.05 and count > 1000'"
    )


def _check(node: ast.expr, text: str, names: dict[str, str]) -> bool:
    """Whether a node is true or false (else a number); collects its metrics. Raises InvalidInput."""
    inner, logical, wanted = _parts(node)
    if wanted is None:
        name = _metric(node)
        if name:
            names[name] = metric_column(name)
        elif not _is_number(node):
            raise _refused(text, f"{ast.unparse(node)!r} is not allowed")
    elif any(_check(part, text, names) is not wanted for part in inner):
        kind = "comparisons" if wanted else "numbers"
        raise _refused(text, f"{ast.unparse(node)!r} needs {kind}")
    return logical


def _parts(node: ast.expr) -> tuple[list[ast.expr], bool, bool | None]:
    """What a node is made of, whether it is logical, and whether its parts must be (None: a leaf)."""
    found: tuple[list[ast.expr], bool, bool | None] = ([], False, None)
    match node:
        case ast.BoolOp(values=values):
            found = values, True, True
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            found = [operand], True, True
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            found = [left, *others], True, False
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            found = [operand], False, False
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _COMPUTE:
            found = [left, right], False, False
        case ast.Call(func=ast.Name(id="abs"), args=[ast.expr() as argument], keywords=[]):
            found = [argument], False, False
    return found


def _is_number(node: ast.expr) -> bool:
    match node:
        case ast.Constant(value=bool()):
            return False
        case ast.Constant(value=int() | float() as value):
            return abs(value) < 1e300
    return False


def _metric(node: ast.expr) -> str | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id=name), attr=field):
            return f"{name}.{field}"
    return None


def _truth(node: ast.expr, read: Read) -> bool | None:
    match node:
        case ast.BoolOp(op=op, values=values):
            decisive = isinstance(op, ast.Or)
            found = [_truth(value, read) for value in values]
            return decisive if decisive in found else None if None in found else not decisive
        case ast.UnaryOp(operand=operand):
            inner = _truth(operand, read)
            return None if inner is None else not inner
        case ast.Compare(left=left, ops=ops, comparators=others):
            numbers = [_number(part, read) for part in (left, *others)]
            pairs = zip(numbers, ops, numbers[1:], strict=False)
            held = [None if a is None or b is None else _COMPARE[type(op)][1](a, b) for a, op, b in pairs]
            return False if False in held else None if None in held else True
    raise AssertionError(node)


def _number(node: ast.expr, read: Read) -> float | None:
    name = _metric(node)
    if name:
        return read(name)
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.UnaryOp(op=op, operand=operand):
            inner = _number(operand, read)
            return -inner if inner is not None and isinstance(op, ast.USub) else inner
        case ast.Call(args=[argument]):
            inner = _number(argument, read)
            return None if inner is None else abs(inner)
        case ast.BinOp(left=left, op=op, right=right):
            a, b = _number(left, read), _number(right, read)
            if a is None or b is None or (isinstance(op, ast.Div) and not b):
                return None
            return _COMPUTE[type(op)](a, b)
    raise AssertionError(node)


def _plain(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}" if abs(value) < 1000 else f"{value:.{digits - 3}f}"


def _shown(value: float, limit: float, compare: Callable[[float, float], bool]) -> str:
    """Three digits, or as many as it takes to stand on the right side of the limit."""
    texts = (_plain(value, digits) for digits in range(3, 17))
    return next((t for t in texts if compare(float(t), limit) == compare(value, limit)), repr(value))
