"""Trees as models; what does not fit is told with its file, line and path."""

import reprlib
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
        found = sorted(_sentences(error, node, above), key=lambda told: told[:2])
        problems = list(dict.fromkeys(sentence for _, _, sentence in found))
        raise InvalidBundle("\n".join(problems), problems=problems) from error


def problem(node: Node, above: tuple[str, ...], path: Sequence[Step], sentence: str) -> str:
    """`file:line: path: sentence`."""
    name = ".".join(filter(None, (".".join(above), spelled(node, path))))
    return f"{node.find(path).where}: {name}: {sentence}"


def _sentences(error: ValidationError, node: Node, above: tuple[str, ...]) -> Iterator[tuple[str, int, str]]:
    """(file, line, sentence) of each problem."""
    for entry in error.errors(include_url=False):
        if entry["type"] == "too_short" and entry["input"]:
            continue  # items that are wrong themselves are not counted, and told of already
        path: list[Step] = []
        spot = node
        for step in entry["loc"]:
            below = spot.find([step])
            if below is spot and entry["type"] != "missing":
                continue  # a step inside pydantic, not of the file
            path.append(step)
            spot = below
        place = node.find(path)
        yield place.file, place.line, problem(node, above, path, _sentence(entry["msg"], entry["type"], entry.get("input")))


def _sentence(message: str, kind: str, given: Any) -> str:
    text = message.removeprefix("Value error, ")
    text = text.replace("valid tuple", "list").replace("valid dictionary", "mapping").replace("Tuple should", "List should")
    text = text.replace(" after validation, not 0", "")
    if text[:1].isupper() and not text[1:2].isupper():
        text = text[0].lower() + text[1:]
    shown = isinstance(given, str | int | float) and kind != "value_error"
    return f"{text}, not {reprlib.repr(given)}" if shown else text
