"""Functions in a user's hands: a Python function with type hints becomes a feature that every mode computes alike."""

import builtins
import datetime
import dis
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import CodeType
from typing import Any, get_args, get_origin

from boathouse.catalog import Column, FunctionInfo, parse_create_function
from boathouse.client.http import Http
from boathouse.errors import InvalidInput

_TYPES = {float: "double", int: "bigint", str: "string", bool: "boolean", bytes: "binary", Decimal: "decimal(38,18)",
          datetime.datetime: "timestamp", datetime.date: "date"}  # fmt: skip
_READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")


class Functions:
    """Functions by two- or three-level names."""

    def __init__(self, http: Http, complete: Callable[[str], str], environment: str) -> None:
        self._http = http
        self._complete = complete
        self._environment = environment

    def all(self) -> list[FunctionInfo]:
        """Functions of this environment that you may execute."""
        rows = self._http.call("GET", "/api/v1/functions", params={"environment": self._environment})
        return [FunctionInfo.from_dict(row) for row in rows]

    def get(self, name: str) -> FunctionInfo:
        """A function with its code. Raises NotFound, NotPermitted."""
        return FunctionInfo.from_dict(self._http.call("GET", f"/api/v1/functions/{self._complete(name)}"))

    def create(self, name: str, function: Callable[..., Any], *, parameters: Mapping[str, str] | None = None,
               returns: str | None = None, comment: str = "", replace: bool = False,
               force: bool = False) -> FunctionInfo:  # fmt: skip
        """Register a Python function. Its types come from hints, or from `parameters` and `returns` (SQL types).

        Its code travels alone, so imports stand inside it. Raises InvalidInput, AlreadyExists unless
        `replace`, and Conflict when one in use would be replaced, unless `force`.
        """
        described = described_by(name, function, parameters, returns, comment or inspect.getdoc(function) or "")
        return self.put(described, replace, force)

    def execute(self, statement: str, force: bool = False) -> FunctionInfo:
        """Register what a CREATE FUNCTION statement describes; OR REPLACE of one in use needs `force`."""
        function, replace, unless = parse_create_function(statement)
        known = [f for f in self.all() if unless and f.name == self._complete(function.name)]
        return known[0] if known else self.put(function, replace, force)

    def put(self, function: FunctionInfo, replace: bool = False, force: bool = False) -> FunctionInfo:
        """Register a function that is described already."""
        full = self._complete(function.name)
        body = {**function.to_dict(), "name": full}
        made = self._http.call("PUT", f"/api/v1/functions/{full}", body, params={"replace": replace, "force": force})
        return FunctionInfo.from_dict(made)

    def drop(self, name: str, force: bool = False) -> None:
        """Forget a function; models that carry its code keep working. Raises Conflict for one in use, unless `force`."""
        self._http.call("DELETE", f"/api/v1/functions/{self._complete(name)}", params={"force": force})


def described_by(name: str, function: Callable[..., Any], parameters: Mapping[str, str] | None = None,
                 returns: str | None = None, comment: str = "") -> FunctionInfo:  # fmt: skip
    """What a Python function is, read off its code and hints. Raises InvalidInput."""
    if not inspect.isfunction(function) or function.__name__ == "<lambda>":
        raise InvalidInput(f"{name}: pass a function made with `def`")
    if outside := _outside(function):
        raise InvalidInput(f"{name} uses {outside!r} from outside: its code travels alone, so import or define it inside")
    try:
        source = textwrap.dedent(inspect.getsource(function))
    except OSError as error:
        raise InvalidInput(f"{name}: the code of {function.__name__} cannot be found; write it in a file") from error
    hints = inspect.get_annotations(function, eval_str=True)
    given = parameters or {}
    columns = tuple(
        Column(p, given.get(p) or _sql_type(hints.get(p), f"the parameter {p!r} of {name}"))
        for p in inspect.signature(function).parameters
    )
    result = returns or _sql_type(hints.get("return"), f"what {name} returns")
    plain = source[source.index("def ") :]  # decorators belong to where the function was written
    return FunctionInfo(name, columns, result, _without_hints(plain), function.__name__, comment)


def _outside(function: Any) -> str | None:
    if function.__code__.co_freevars:
        return str(function.__code__.co_freevars[0])
    names = _read(function.__code__)
    return next((n for n in names if not hasattr(builtins, n) and n != function.__name__), None)


def _read(code: CodeType) -> Iterator[str]:
    """Names that code, with the functions and classes in it, reads and does not make: not attributes, nor what it imports."""
    steps = list(dis.get_instructions(code))
    made = {s.argval for s in steps if s.opname in ("STORE_NAME", "STORE_GLOBAL")}
    yield from (str(s.argval) for s in steps if s.opname in _READS and s.argval not in made)
    for inner in code.co_consts:
        if inspect.iscode(inner):
            yield from _read(inner)


def _without_hints(source: str) -> str:
    """Hints may name what only the module knew; putting their evaluation off keeps the code whole."""
    return f"from __future__ import annotations\n\n{source}"


def _sql_type(hint: Any, what: str) -> str:
    options = [a for a in get_args(hint) if a is not type(None)]
    if options and get_origin(hint) is not list and len(options) == 1:
        hint = options[0]  # float | None
    if get_origin(hint) is list:
        return f"array<{_sql_type(get_args(hint)[0], what)}>"
    if hint not in _TYPES:
        raise InvalidInput(f"the type of {what} is not known: add a hint ({', '.join(t.__name__ for t in _TYPES)}), or name it")
    return _TYPES[hint]
