"""Conditions of `condition_task`: equality compares text, order compares numbers."""

from collections.abc import Callable, Mapping
from typing import Any

from boathouse.errors import InvalidInput

_TEXT: dict[str, Callable[[str, str], bool]] = {
    "EQUAL_TO": lambda a, b: a == b,
    "NOT_EQUAL": lambda a, b: a != b,
}
_NUMBER: dict[str, Callable[[float, float], bool]] = {
    "GREATER_THAN": lambda a, b: a > b,
    "GREATER_THAN_OR_EQUAL": lambda a, b: a >= b,
    "LESS_THAN": lambda a, b: a < b,
    "LESS_THAN_OR_EQUAL": lambda a, b: a <= b,
}


def holds(condition: Mapping[str, Any]) -> bool:
    """Whether {left, op, right} is true. Raises InvalidInput for an unknown op or a text that is no number."""
    left, op, right = str(condition["left"]), str(condition["op"]), str(condition["right"])
    if op in _TEXT:
        return _TEXT[op](left, right)
    if op not in _NUMBER:
        raise InvalidInput(f"a condition cannot compare by {op!r}; use one of {', '.join((*_TEXT, *_NUMBER))}")
    try:
        return _NUMBER[op](float(left), float(right))
    except ValueError as error:
        raise InvalidInput(f"{op} compares numbers, not {left!r} and {right!r}") from error
