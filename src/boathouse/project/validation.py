"""Trees as models; what does not fit is told with its file, line and path."""

from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from boathouse.errors import InvalidBundle
from boathouse.project.located import Node, Step, spelled
from boathouse.project.shape import Shape


def validated(node: Node, shape: Any, above: tuple[str, ...]) -> Any:
    """The tree as a model (or another type); `above` is its path in the file. Raises InvalidBundle."""
    empty: Any = {} if isinstance(shape, type) and issubclass(shape, Shape) else ()
    try:
        return TypeAdapter(shape).validate_python(empty if node.value is None else node.plain())
    except ValidationError as error:
        problems = list(dict.fromkeys(_sentences(error, node, above)))
        raise InvalidBundle("\n".join(problems), problems=problems) from error


def problem(node: Node, above: tuple[str, ...], path: Sequence[Step], sentence: str) -> str:
    """`file:line: path: sentence`."""
    name = ".".join(filter(None, (".".join(above), spelled(node, path))))
    return f"{node.find(path).where}: {name}: {sentence}"


def _sentences(error: ValidationError, node: Node, above: tuple[str, ...]) -> Iterator[str]:
    for entry in error.errors(include_url=False):
        path: list[Step] = []
        spot = node
        for step in entry["loc"]:
            below = spot.find([step])
            if below is spot and entry["type"] != "missing":
                continue  # a step inside pydantic, not of the file
            path.append(step)
            spot = below
        yield problem(node, above, path, _sentence(entry["msg"], entry["type"], entry.get("input")))


def _sentence(message: str, kind: str, given: Any) -> str:
    text = message.removeprefix("Value error, ")
    if text[:1].isupper() and not text[1:2].isupper():
        text = text[0].lower() + text[1:]
    shown = isinstance(given, str | int | float) and kind != "value_error"
    return f"{text}, not {given!r}" if shown else text
