"""Variables of a project file, and where their values come from."""

import json
from collections.abc import Mapping
from difflib import get_close_matches

from boathouse.errors import InvalidBundle
from boathouse.project.interpolation import as_node
from boathouse.project.located import Node

_PREFIXES = ("BOATHOUSE_VAR_", "BUNDLE_VAR_")


def values_of(
    document: Node, override: Node, target: str, given: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[str, Node], dict[str, str]]:
    """Values by name, and for the names without one what to do about it.

    The first of `given`, the environment, the target's own and the default. Raises InvalidBundle for a name
    that is not declared.
    """
    declared, of_target = document.child("variables").mapping, override.child("variables").mapping
    for name in (*given, *of_target):
        if name not in declared:
            where = of_target[name].where if name in of_target else document.file
            near = get_close_matches(name, declared, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"declared are: {', '.join(declared) or 'none'}"
            raise InvalidBundle(f"{where}: there is no variable '{name}'; {hint}")
    found: dict[str, Node] = {}
    for name, node in declared.items():
        is_complex = node.child("type").value == "complex"
        texts = (given.get(name), *(environ.get(prefix + name) for prefix in _PREFIXES))
        outside = next((text for text in texts if text is not None), None)
        if outside is not None:
            found[name] = _from_text(name, outside, is_complex)
        elif name in of_target:
            own = of_target[name]
            found[name] = own if is_complex or not own.mapping else own.child("default")
        elif "default" in node.mapping:
            found[name] = node.mapping["default"]
    advice = f"it has no value in target '{target}': give it a default, a value there, or --var"
    return found, {name: f"{advice} {name}=…" for name in declared if name not in found}


def _from_text(name: str, text: str, is_complex: bool) -> Node:
    if not is_complex:
        return Node(text)
    try:
        return as_node(json.loads(text))
    except ValueError as error:
        raise InvalidBundle(f"variable '{name}' is complex, and its value is not JSON: {error}") from error
